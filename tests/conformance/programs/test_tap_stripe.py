"""tap-stripe (Singer), unmodified, against the offline Stripe: all its streams."""

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
PINNED = ["tap-stripe==3.3.0", "stripe==5.5.0", "singer-python==6.0.1", "requests==2.34.2"]
VERSION = "2022-11-15"  # the API version that it speaks
STREAMS = {
    "balance_transactions": "balance_transactions",
    "charges": "charges",
    "coupons": "coupons",
    "customers": "customers",
    "disputes": "disputes",
    "events": "events",
    "invoice_items": "invoiceitems",
    "invoices": "invoices",
    "payment_intents": "payment_intents",
    "plans": "plans",
    "products": "products",
    "subscriptions": "subscriptions",
}
"""Its streams, and where the offline Stripe lists the same; besides, there are those of lines and items."""
SPECIAL = {
    "subscriptions": {"status": "all"},
    "events": {"created[gte]": str(int(time.time()) - 30 * DAY)},  # it knows that Stripe keeps them for so long
}
EMPTY = {"payouts", "payout_transactions", "transfers", "transfer_reversals"}
"""Its streams of which a fresh account has nothing."""

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


def test_tap_stripe_reads_all_its_streams(lived_stripe, tmp_path):
    packages = python_packages("tap-stripe", PINNED)
    settings, catalog = tmp_path / "config.json", tmp_path / "catalog.json"
    start = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 70 * DAY))
    settings.write_text(json.dumps({"start_date": start, "account_id": ACCOUNT, "client_secret": KEY}))
    tap = [sys.executable, packages / "bin/tap-stripe", "--config", settings]
    where = {"PYTHONPATH": f"{ELSEWHERE}:{packages}", "OFFLINE_STRIPE": lived_stripe.url}

    known = json.loads(run([*tap, "--discover"], **where))
    for each in known["streams"]:
        for described in each["metadata"]:
            described["metadata"]["selected"] = True
    catalog.write_text(json.dumps(known))
    records = defaultdict(dict)
    for line in run([*tap, "--catalog", catalog], **where).splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            # What events tell of comes after what is listed: the last one holds.
            records[message["stream"]][message["record"]["id"]] = message["record"]

    for stream, path in STREAMS.items():
        every = SPECIAL.get(stream, {})
        listed = {each["id"]: each for each in lived_stripe.everything(path, version=VERSION, **every)}
        assert listed, f"there are no {path}: the comparison says nothing"
        assert records[stream].keys() == listed.keys(), stream
        for name in ("status", "amount", "amount_due", "total"):
            kept = {key: record.get(name) for key, record in records[stream].items()}
            assert kept == {key: each.get(name) for key, each in listed.items()}, f"{stream}: {name}"
    invoices = lived_stripe.everything("invoices", version=VERSION)
    assert records["invoice_line_items"].keys() == {line["id"] for each in invoices for line in each["lines"]["data"]}
    subscriptions = lived_stripe.everything("subscriptions", version=VERSION, status="all")
    assert records["subscription_items"].keys() == {
        item["id"] for each in subscriptions for item in each["items"]["data"]
    }
    assert {each["tap_stream_id"] for each in known["streams"]} == (records.keys() | EMPTY)
    assert lived_stripe.state()["unknown_paths"] == {}
