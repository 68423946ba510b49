"""The GraphQL engine, without a cache: a pricing page of 80 prices, and a customer's account page.

Run by `make bench`. The limits are those of the project's goals; see docs/performance.md.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import sqlalchemy as sa
from bench_events import databases
from runner import Gateway, Round, Server, family, line, measure, median, ratios, request, verdict

from gateway.db.tables import table_for
from gateway.models import mirrored as models
from gateway.runtime import compose
from gateway.settings import Settings

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "1000"))
CUSTOMERS = 50
SECRET = "the-secret-that-signs-the-tokens-of-the-bench"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

PRICING = """query Pricing { pricing { currency intervals asOf products {
  product { id name description features metadata { key value } }
  plans { id nickname interval intervalCount amount { amount currency decimal formatted } metadata { key value }
    price { lookupKey } }
  oneTime { id nickname unitAmount { amount currency decimal formatted } metadata { key value } }
} } }"""
VIEWER = """query Viewer { viewer { id
  subscription { id status currentPeriodEnd willCancel
    plan { id amount { amount currency decimal } product { name } } }
  invoices(first: 20) {
    nodes { id number status total { amount currency decimal } createdAt
      lines { description amount { amount currency decimal } } }
    pageInfo { hasNextPage endCursor } }
  access(feature: "sso") { allowed reason until }
} }"""


def catalogue() -> Iterator[tuple[type, dict[str, Any]]]:
    """20 products of three plans and a one-off price each."""
    kinds = (("month", 1000), ("month", 2500), ("year", 10_000), (None, 50_000))
    for number in range(20):
        product = f"prod_{number}"
        yield (
            models.Product,
            {
                "id": product,
                "as_of": 1,
                "name": f"Product {number}",
                "description": f"What product {number} does for you, in a sentence or so",
                "active": True,
                "images": [],
                "features": ["One thing", "Another thing", "A third thing and more"],
                "meta": {"sort_order": str(number), "features": "sso"},
                "created": NOW,
                "updated": NOW,
            },
        )
        for place, (interval, amount) in enumerate(kinds):
            yield (
                models.Price,
                {
                    "id": f"price_{number}_{place}",
                    "as_of": 1,
                    "product_id": product,
                    "nickname": f"Plan {number}.{place}",
                    "lookup_key": f"key_{number}_{place}",
                    "active": True,
                    "currency": "usd",
                    "unit_amount": amount + number,
                    "unit_amount_decimal": str(amount + number),
                    "billing_scheme": "per_unit",
                    "interval": interval,
                    "interval_count": 1 if interval else None,
                    "usage_type": "licensed" if interval else None,
                    "tax_behavior": "exclusive",
                    "meta": {"credits": "100"},
                    "created": NOW,
                },
            )


def accounts() -> Iterator[tuple[type, dict[str, Any]]]:
    """Customers with a subscription and 30 paid invoices each, the last of them for the present month."""
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    month = timedelta(days=30)
    for number in range(CUSTOMERS):
        customer, subscription = f"cus_{number}", f"sub_{number}"
        yield models.Customer, {"id": customer, "as_of": 1, "external_id": f"user_{number}", "created": NOW}
        yield models.EntitlementSummary, {"id": customer, "as_of": 1, "features": ["projects"]}
        yield (
            models.Subscription,
            {
                "id": subscription,
                "as_of": 1,
                "customer_id": customer,
                "status": "active",
                "currency": "usd",
                "created": NOW,
                "start_date": NOW,
            },
        )
        yield (
            models.SubscriptionItem,
            {
                "id": f"si_{number}",
                "subscription_id": subscription,
                "price_id": "price_1_0",
                "product_id": "prod_1",
                "quantity": 1,
                "current_period_start": NOW,
                "current_period_end": end,
                "created": NOW,
            },
        )
        for place in range(30):
            made, until = NOW + timedelta(days=place), end - (29 - place) * month
            amounts = ("subtotal", "total", "amount_due", "amount_paid")
            yield (
                models.Invoice,
                {
                    "id": f"in_{number}_{place}",
                    "as_of": 1,
                    "customer_id": customer,
                    "subscription_id": subscription,
                    "number": f"{number:04}-{place:04}",
                    "status": "paid",
                    "currency": "usd",
                    **dict.fromkeys(amounts, 1900),
                    "tax": 0,
                    "amount_remaining": 0,
                    "lines": [
                        {
                            "id": f"il_{number}_{place}",
                            "description": "1 x Pro (at $19.00 / month)",
                            "amount": 1900,
                            "quantity": 1,
                            "price": "price_1_0",
                            "subscription_item": f"si_{number}",
                            "proration": False,
                            "period_start": int((until - month).timestamp()),
                            "period_end": int(until.timestamp()),
                        }
                    ],
                    "service_end": until,
                    "period_start": NOW,
                    "period_end": NOW,
                    "created": made,
                },
            )


async def fill(url: str) -> None:
    """Write what the pages show."""
    database = compose(Settings.load(database_url=url)).database
    rows: dict[type, list[dict[str, Any]]] = {}
    for model, row in (*catalogue(), *accounts()):
        rows.setdefault(model, []).append(model(**row).model_dump())

    def write(connection: sa.Connection) -> None:
        for model, its in rows.items():
            connection.execute(sa.insert(table_for(model)), its)

    await database.transaction(write)
    await database.close()


def posts(query: str, count: int, *, signed_in: bool, start: int) -> list[bytes]:
    """Requests of which no two have the same body, so that none is answered from a memory of answers."""
    expires = int(time.time()) + 3600
    tokens = [
        jwt.encode({"sub": f"user_{number}", "exp": expires}, SECRET, algorithm="HS256") for number in range(CUSTOMERS)
    ]
    made = []
    for number in range(start, start + count):
        headers = {"Content-Type": "application/json"}
        if signed_in:
            headers["Authorization"] = f"Bearer {tokens[number % CUSTOMERS]}"
        text = f"{query}\n" if signed_in else query
        made.append(request("/graphql", json.dumps({"query": text, "variables": {"n": number}}).encode(), headers))
    return made


def ask(server: Server, query: str, *, signed_in: bool) -> bytes:
    """One answer, which must be a whole one."""
    token = jwt.encode({"sub": "user_7", "exp": int(time.time()) + 60}, SECRET, algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"} if signed_in else {}
    body = httpx.post(f"http://127.0.0.1:{server.port}/graphql", json={"query": query}, headers=headers).content
    assert b"errors" not in body, body
    return body


def compare(servers: list[Server], query: str, *, signed_in: bool) -> dict[str, list[Round]]:
    """Alternating rounds: every contestant once a round, in turn."""
    results: dict[str, list[Round]] = {server.name: [] for server in servers}
    for number in range(ROUNDS + 1):  # the first warms up
        for server in servers:
            load = posts(query, REQUESTS, signed_in=signed_in, start=number * REQUESTS)
            results[server.name].append(measure(server, load))
    for name, rounds in results.items():
        del rounds[0]
        cpu, database, rate = ([getattr(each, what) for each in rounds] for what in ("cpu", "database", "rate"))
        figures = [f"{median(each):.0f}" for each in (cpu, database, rate)]
        line(name, *figures, f"{ratios(cpu, [each.cpu for each in results[servers[0].name]]):.2f}")
    return results


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = True
    with databases() as urls, tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        gateways, hands = {}, {}
        for name, (url, pid) in urls.items():
            asyncio.run(fill(url))
            environment = {
                "DATABASE_URL": url,
                "AUTH_HS256_SECRET": SECRET,
                "STRIPE_SECRET_KEY": "sk_test_bench",
                "STRIPE_API_BASE": "http://127.0.0.1:9",
                "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
                "GATEWAY_RATE_LIMIT_REQUESTS": "off",
            }
            others = (lambda pid=pid: family(pid)) if pid else tuple
            for start, kind, app, made in (
                (Gateway, "gateway", "", gateways),
                (Server, "by hand", "engine_contestants:by_hand", hands),
            ):
                server = start(f"{kind}, {name}", app, environment, True, others)
                made[name] = stack.enter_context(server.running())
        page = ask(gateways["SQLite"], PRICING, signed_in=False)
        (Path(folder) / "page").write_bytes(page)
        raw = Server("ready bytes", "engine_contestants:ready", {"READY_BYTES": f"{folder}/page"}, True)
        stack.enter_context(raw.running())

        line(f"pricing, 80 prices, {len(page)} bytes", "CPU µs", "database µs", "requests/s", "x ready")
        results = compare([raw, gateways["SQLite"]], PRICING, signed_in=False)
        cpu = [[each.cpu for each in results[server.name]] for server in (gateways["SQLite"], raw)]
        good &= verdict("CPU a first-time query, x ready bytes", ratios(*cpu), 10)
        for name in urls:
            pair = hands[name], gateways[name]
            answers = {ask(server, VIEWER, signed_in=True) for server in pair}
            assert len(answers) == 1, answers
            line(f"viewer, 20 invoices, {len(answers.pop())} bytes", "CPU µs", "database µs", "requests/s", "x by hand")
            results = compare(list(pair), VIEWER, signed_in=True)
            cpu = [[each.cpu for each in results[server.name]] for server in (gateways[name], hands[name])]
            good &= verdict(f"CPU of an account page, x by hand, {name}", ratios(*cpu), 3)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
