"""@supabase/stripe-sync-engine, unmodified, against the offline Stripe, into PostgreSQL."""

import json
from pathlib import Path

import pytest

from harness.programs import node_packages, run

PROJECT = Path(__file__).with_name("stripe_sync_engine")
PATHS = {
    "charges": "charges",
    "checkout_sessions": "checkout/sessions",
    "credit_notes": "credit_notes",
    "customers": "customers",
    "disputes": "disputes",
    "invoices": "invoices",
    "payment_intents": "payment_intents",
    "plans": "plans",
    "prices": "prices",
    "products": "products",
    "refunds": "refunds",
    "setup_intents": "setup_intents",
    "subscription_schedules": "subscription_schedules",
    "subscriptions": "subscriptions",
    "tax_ids": "tax_ids",
}
"""Its tables, and where the offline Stripe lists the same."""

pytestmark = [pytest.mark.soak, pytest.mark.postgres]  # `make programs` runs what installs other people's programs


def synchronized(stripe, database: str, task: str) -> dict:
    """What it said, and its tables."""
    project = node_packages(PROJECT)
    return json.loads(run(["node", project / "sync.cjs", stripe.url, database, task], cwd=project))


def listed(stripe, table: str) -> dict[str, dict]:
    """What the offline Stripe lists, in the version that the engine speaks, by id."""
    every = {"status": "all"} if table == "subscriptions" else {}
    found = stripe.everything(PATHS[table], version="2020-08-27", **every)
    return {each["id"]: each for each in found}


def test_the_sync_engine_backfills_all(lived_stripe, empty_postgres_url):
    done = synchronized(lived_stripe, empty_postgres_url, "backfill")
    for table in PATHS:
        expected = listed(lived_stripe, table)
        kept = {row["id"]: row for row in done["tables"][table]}
        assert kept.keys() == expected.keys(), table
        assert expected, f"there are no {table}: the comparison says nothing"
        for key, row in kept.items():
            plain = {
                name: value
                for name, value in expected[key].items()
                if name in row and not isinstance(value, dict | list)
            }
            assert {name: row[name] for name in plain} == plain, f"{table} {key}"
    subscriptions = listed(lived_stripe, "subscriptions").values()
    items = {item["id"] for subscription in subscriptions for item in subscription["items"]["data"]}
    assert {row["id"] for row in done["tables"]["subscription_items"]} >= items
    assert len(done["tables"]["checkout_session_line_items"]) == len(listed(lived_stripe, "checkout_sessions"))
    assert lived_stripe.state()["unknown_paths"] == {}


def test_the_sync_engine_follows_the_webhooks(stripe, empty_postgres_url):
    done = synchronized(stripe, empty_postgres_url, "webhooks")
    assert done["told"]["failed"] == []
    assert {"checkout.session.expired", "customer.subscription.deleted", "invoice.paid"} <= set(done["told"]["types"])
    for table in ("customers", "subscriptions", "invoices", "checkout_sessions", "payment_intents", "charges"):
        expected = {key: each.get("status") for key, each in listed(stripe, table).items()}
        assert {row["id"]: row.get("status") for row in done["tables"][table]} == expected
