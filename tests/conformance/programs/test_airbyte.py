"""airbyte-source-stripe, unmodified, against the offline Stripe: all its streams of billing."""

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from harness.lives import DAY
from harness.offline_stripe import ACCOUNT, KEY
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
    "invoice_line_items",
    "payment_methods",
    "subscription_items",
)
"""Its streams of what belongs to something else."""
EMPTY = ("early_fraud_warnings", "payouts", "reviews", "setup_attempts", "transfers", "bank_accounts")
"""Its streams of which this account has nothing. Left out: Connect, Issuing, files, and usage records."""

pytestmark = [
    pytest.mark.soak,  # other people's programs are installed; `make programs` runs them
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="airbyte-source-stripe needs Python 3.10 or 3.11"),
]


def test_airbyte_reads_all_streams_of_billing(lived_stripe, tmp_path):
    packages = python_packages("airbyte", PINNED)
    settings, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    start = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 70 * DAY))
    settings.write_text(json.dumps({"start_date": start, "account_id": ACCOUNT, "client_secret": KEY}))
    catalog.write_text(json.dumps({"streams": [configured(name) for name in (*STREAMS, *INSIDE, *EMPTY)]}))
    source = [sys.executable, packages / "bin/source-stripe"]
    where = {"PYTHONPATH": f"{ELSEWHERE}:{packages}", "OFFLINE_STRIPE": lived_stripe.url}

    records, statuses = defaultdict(dict), {}
    read = run([*source, "read", "--config", settings, "--catalog", catalog], cwd=packages, **where)
    for message in map(json.loads, read.splitlines()):
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


def configured(name: str) -> dict:
    """A stream as a catalogue asks for it."""
    stream = {"name": name, "json_schema": {"type": "object"}, "supported_sync_modes": ["full_refresh"]}
    return {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
