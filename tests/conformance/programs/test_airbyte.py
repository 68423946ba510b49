"""airbyte-source-stripe, unmodified, against the offline Stripe: all its streams."""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from harness.lives import DAY
from harness.offline_stripe import ACCOUNT, KEY, offline_stripe
from harness.programs import python_packages, run

ELSEWHERE = Path(__file__).with_name("elsewhere")  # it has no option for Stripe's address
PINNED = ["airbyte-source-stripe==5.14.1", "airbyte-cdk==6.61.6", "setuptools==80.9.0"]
VERSION = "2022-11-15"  # the API version that it speaks
STREAMS = {
    "balance_transactions": "balance_transactions",
    "charges": "charges",
    "checkout_sessions": "checkout/sessions",
    "coupons": "coupons",
    "credit_notes": "credit_notes",
    "customers": "customers",
    "disputes": "disputes",
    "events": "events",
    "invoice_items": "invoiceitems",
    "invoices": "invoices",
    "payment_intents": "payment_intents",
    "plans": "plans",
    "prices": "prices",
    "products": "products",
    "promotion_codes": "promotion_codes",
    "refunds": "refunds",
    "setup_intents": "setup_intents",
    "shipping_rates": "shipping_rates",
    "subscription_schedule": "subscription_schedules",
    "subscriptions": "subscriptions",
}
"""Its streams, and where the offline Stripe lists the same."""
INSIDE = (
    "checkout_sessions_line_items",
    "customer_balance_transactions",
    "external_account_bank_accounts",
    "invoice_line_items",
    "payment_methods",
    "setup_attempts",
    "subscription_items",
    "usage_records",
)
"""Its streams of what belongs to something else."""
EMPTY = (
    *("accounts", "application_fees", "application_fees_refunds", "authorizations", "bank_accounts", "cardholders"),
    *("cards", "early_fraud_warnings", "external_account_cards", "file_links", "files", "payouts", "persons"),
    *("payout_balance_transactions", "reviews", "top_ups", "transactions", "transfer_reversals", "transfers"),
)
"""Its streams of which this account has nothing."""

pytestmark = [
    pytest.mark.soak,  # other people's programs are installed; `make programs` runs them
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="airbyte-source-stripe needs Python 3.10 or 3.11"),
]


def test_airbyte_reads_all_streams(lived_stripe, tmp_path):
    settings, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    start = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 70 * DAY))
    settings.write_text(json.dumps({"start_date": start, "account_id": ACCOUNT, "client_secret": KEY}))
    catalog.write_text(json.dumps({"streams": [configured(name) for name in (*STREAMS, *INSIDE, *EMPTY)]}))
    records, statuses = defaultdict(dict), {}
    for message in read(lived_stripe.url, "--config", settings, "--catalog", catalog):
        if message["type"] == "RECORD":
            records[message["record"]["stream"]][message["record"]["data"]["id"]] = message["record"]["data"]
        elif message["type"] == "TRACE" and message["trace"]["type"] == "STREAM_STATUS":
            status = message["trace"]["stream_status"]
            statuses[status["stream_descriptor"]["name"]] = status["status"]

    assert statuses == dict.fromkeys((*STREAMS, *INSIDE, *EMPTY), "COMPLETE")
    assert records.keys() == {*STREAMS, *INSIDE}
    for stream, path in STREAMS.items():
        every = {"status": "all"} if stream == "subscriptions" else {}
        listed = {each["id"]: each for each in lived_stripe.everything(path, version=VERSION, **every)}
        for name in ("id", "status", "amount", "amount_due", "total"):
            kept = {key: record.get(name) for key, record in records[stream].items()}
            assert kept == {key: each.get(name) for key, each in listed.items()}, f"{stream}: {name}"
    invoices = lived_stripe.everything("invoices", version=VERSION)
    assert records["invoice_line_items"].keys() == {line["id"] for each in invoices for line in each["lines"]["data"]}
    subscriptions = lived_stripe.everything("subscriptions", version=VERSION, status="all")
    assert records["subscription_items"].keys() == {
        item["id"] for each in subscriptions for item in each["items"]["data"]
    }
    assert lived_stripe.state()["unknown_paths"] == {}


@pytest.fixture
def past_stripe():
    """An empty offline Stripe in the past: Airbyte reads nothing beyond its own machine's time."""
    with offline_stripe("--clock", str(int(time.time()) - 3 * DAY)) as running:
        yield running


def test_airbyte_reads_later_what_has_changed_since(past_stripe, tmp_path):
    settings, catalog, state = (tmp_path / f"{name}.json" for name in ("config", "catalog", "state"))
    start = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 4 * DAY))
    settings.write_text(json.dumps({"start_date": start, "account_id": ACCOUNT, "client_secret": KEY}))
    catalog.write_text(json.dumps({"streams": [configured("customers", "incremental")]}))
    customers = past_stripe.client().v1.customers
    kept = customers.create({"name": "Ada"}).id
    past_stripe.lever("clock/advance", by=60)
    changed = customers.create({"name": "Bob"}).id

    def names(*more):
        messages = read(past_stripe.url, "--config", settings, "--catalog", catalog, *more)
        states = [message["state"] for message in messages if message["type"] == "STATE"]
        state.write_text(json.dumps(states[-1:]))
        found = [message["record"]["data"] for message in messages if message["type"] == "RECORD"]
        return {each["id"]: each["name"] for each in reversed(found)}  # the newest event comes first

    assert names() == {kept: "Ada", changed: "Bob"}
    past_stripe.lever("clock/advance", by=DAY)
    customers.update(changed, {"name": "Bert"})
    new = customers.create({"name": "Eve"}).id
    assert names("--state", state) == {changed: "Bert", new: "Eve"}


def read(url: str, *options: object) -> list[dict]:
    """What its command `read` prints, message by message."""
    packages = python_packages("airbyte", PINNED)
    where = {"PYTHONPATH": f"{ELSEWHERE}:{packages}", "OFFLINE_STRIPE": url}
    printed = run([sys.executable, packages / "bin/source-stripe", "read", *options], cwd=packages, **where)
    return [json.loads(line) for line in printed.splitlines()]


def configured(name: str, mode: str = "full_refresh") -> dict:
    """A stream as a catalogue asks for it."""
    stream = {"name": name, "json_schema": {"type": "object"}, "supported_sync_modes": [mode]}
    return {"stream": stream, "sync_mode": mode, "destination_sync_mode": "overwrite"}
