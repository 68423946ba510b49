"""Counted features: `consume`, `hold` and `commitHold` over GraphQL, on each database, in alternating rounds.

The hot customer is one that all callers are about at a time. Run by `make bench`; see docs/performance.md.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import sqlalchemy as sa
from bench_access import SERVICE, environment
from bench_engine import NOW
from bench_events import databases
from runner import Gateway, Round, Server, family, line, measure, median, request, verdict

from gateway.db.tables import table_for
from gateway.models import mirrored as models
from gateway.models.columns import Row
from gateway.models.credits import CreditAccount, CreditLot
from gateway.models.metering import UsageCounter, UsageHold
from gateway.runtime import compose
from gateway.settings import Settings

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "2000"))
CUSTOMERS = 50
LATER = datetime.now(UTC) + timedelta(days=20)
EARLIER = LATER - timedelta(days=30)
MUTATIONS = {
    "consume": "mutation($i: ConsumeInput!) { consume(input: $i) { count { used remaining } userErrors { code } } }",
    "hold": "mutation($i: HoldInput!) { hold(input: $i) { hold { id } count { remaining } userErrors { code } } }",
    "commitHold": "mutation($i: CommitHoldInput!) { commitHold(input: $i) { count { used } userErrors { code } } }",
}
META = {
    "features": "tokens, calls, images",
    "use_tokens": "counter",
    "limit_tokens": "1000000000",
    "use_calls": "meter:calls",
    "use_images": "credits",
}


def rows() -> list[Row]:
    """A product with counted features, a meter, and customers who have it."""
    meter = {"display_name": "Calls", "formula": "sum", "customer_key": "customer", "value_key": "value"}
    made: list[Row] = [
        models.Product(id="prod", name="prod", active=True, meta=META, created=NOW, updated=NOW, as_of=1),
        models.Meter(id="mtr_1", event_name="calls", status="active", as_of=1, **meter),
    ]
    for number in range(CUSTOMERS):
        plan = {"price_id": "price", "product_id": "prod", "quantity": 1, "created": NOW}
        period = {"current_period_start": EARLIER, "current_period_end": LATER}
        customer, subscription = f"cus_{number}", f"sub_{number}"
        given = {"customer_id": customer, "status": "active", "currency": "usd", "created": NOW, "start_date": NOW}
        credit = {"customer_id": customer, "purchase_id": "in_1", "granted": 10**9, "granted_at": NOW}
        made += [
            models.Customer(id=customer, external_id=f"user_{number}", created=NOW, as_of=1),
            models.Subscription(id=subscription, as_of=1, **given),
            models.SubscriptionItem(id=f"si_{number}", subscription_id=subscription, **plan, **period),
            CreditAccount(customer_id=customer, balance=10**9, clock=NOW),
            CreditLot(id=f"il_{number}", **credit),
            UsageCounter(
                customer_id=customer,
                name="counter:tokens",
                subscription_id=subscription,
                used=0,
                period_start=EARLIER,
                period_end=LATER,
            ),
        ]
    return made


def holds(number: int) -> list[Row]:
    """Holds that a round commits."""
    return [
        UsageHold(
            id=f"hold_{number}_{place}",
            key=f"{number} {place}",
            fingerprint="f",
            status="open",
            customer_id=f"cus_{place % CUSTOMERS}",
            external_id=f"user_{place % CUSTOMERS}",
            amount=5,
            feature="tokens",
            name="counter:tokens",
            expires_at=LATER,
            created=NOW,
        )
        for place in range(REQUESTS)
    ]


async def put(url: str, made: Sequence[Row]) -> None:
    """Write rows."""
    database = compose(Settings.load(database_url=url)).database

    def write(connection: sa.Connection) -> None:
        for each in made:
            connection.execute(sa.insert(table_for(type(each))).values(each.model_dump()))

    await database.transaction(write, seconds=None)
    await database.close()


def load(name: str, number: int, feature: str, customers: int) -> list[bytes]:
    """The requests of a round; each has a key of its own."""
    made = []
    for place in range(REQUESTS):
        given = {"externalId": f"user_{place % customers}", "feature": feature, "amount": 1}
        given["idempotencyKey"] = f"{name} {feature} {customers} {number} {place}"
        if name == "commitHold":
            given = {"holdId": f"hold_{number}_{place}", "actual": 3}
        body = json.dumps({"query": MUTATIONS[name], "variables": {"i": given}}).encode()
        made.append(request("/graphql", body, {"Content-Type": "application/json", **SERVICE}))
    return made


KINDS = {
    "consume, 50 customers": ("consume", "tokens", CUSTOMERS),
    "consume, one hot customer": ("consume", "tokens", 1),
    "consume by a meter": ("consume", "calls", CUSTOMERS),
    "consume by credits": ("consume", "images", CUSTOMERS),
    "hold": ("hold", "tokens", CUSTOMERS),
    "commitHold": ("commitHold", "tokens", CUSTOMERS),
}


def compare(servers: dict[str, tuple[Server, str]]) -> dict[tuple[str, str], list[Round]]:
    """Alternating rounds, the first of which warms up."""
    results: dict[tuple[str, str], list[Round]] = {(kind, name): [] for name in servers for kind in KINDS}
    for number in range(ROUNDS + 1):
        for name, (server, url) in servers.items():
            asyncio.run(put(url, holds(number)))
            for kind, (mutation, feature, customers) in KINDS.items():
                found = measure(server, load(mutation, number, feature, customers), connections=100)
                if number:
                    results[kind, name].append(found)
    return results


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = True
    with databases() as urls, contextlib.ExitStack() as stack:
        servers = {}
        for name, (url, pid) in urls.items():
            asyncio.run(put(url, rows()))
            others = partial(family, pid) if pid else tuple
            limits = {"GATEWAY_RATE_LIMIT_MUTATIONS": "off"}
            server = Gateway(f"gateway, {name}", "", {**environment(url), **limits}, True, others)
            servers[name] = stack.enter_context(server.running()), url
        results = compare(servers)
        line("", "CPU µs", "database µs", "requests/s", "p99 ms")
        for (kind, name), rounds in results.items():
            cpu, database, rate = (median([getattr(r, what) for r in rounds]) for what in ("cpu", "database", "rate"))
            p99 = median([each.percentile(0.99) for each in rounds]) * 1e3
            line(f"{kind}, {name}", f"{cpu:.0f}", f"{database:.0f}", f"{rate:.0f}", f"{p99:.0f}")
        for (kind, name), rounds in results.items():
            good &= verdict(f"CPU ms, {kind}, {name}", median([each.cpu for each in rounds]) / 1000, 1)
        hot = median([each.rate for each in results["consume, one hot customer", "PostgreSQL"]])
        good &= verdict("1,000 a second of one hot customer, PostgreSQL", 1_000 / hot, 1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
