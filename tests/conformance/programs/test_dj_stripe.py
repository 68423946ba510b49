"""dj-stripe, unmodified, against the offline Stripe: all that it can store, and its webhooks."""

import json
import sys
from pathlib import Path

import pytest

from harness.programs import python_packages, run

PROJECT = Path(__file__).with_name("dj_stripe") / "project.py"
PINNED = ["dj-stripe==2.11.0", "django==5.2.19", "stripe==15.6.2", "requests==2.34.2", "typing-extensions==4.16.0"]
LEFT_OUT = {
    "AccountV2": "its client knows no STRIPE_API_HOST",
    "ActiveEntitlement": "dj-stripe names no customer, which Stripe demands",
    "TaxId": "dj-stripe sends `id`, which Stripe's description does not have there",
    "CountrySpec": "not there: Connect",
}
PATHS = {
    "BalanceTransaction": "balance_transactions",
    "Charge": "charges",
    "Coupon": "coupons",
    "Customer": "customers",
    "Dispute": "disputes",
    "Event": "events",
    "Feature": "entitlements/features",
    "Invoice": "invoices",
    "InvoiceItem": "invoiceitems",
    "PaymentIntent": "payment_intents",
    "Price": "prices",
    "Product": "products",
    "PromotionCode": "promotion_codes",
    "Refund": "refunds",
    "Session": "checkout/sessions",
    "SetupIntent": "setup_intents",
    "ShippingRate": "shipping_rates",
    "Subscription": "subscriptions",
    "SubscriptionSchedule": "subscription_schedules",
    "TaxCode": "tax_codes",
    "TaxRate": "tax_rates",
}

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


def played(stripe, tmp_path, *task: str) -> dict:
    """What dj-stripe stored."""
    packages = python_packages("dj-stripe", PINNED)
    printed = run([sys.executable, PROJECT, stripe.url, tmp_path / "django.sqlite3", *task], PYTHONPATH=str(packages))
    return json.loads(printed.splitlines()[-1])


def identified(value):
    """The id of an object that dj-stripe asked to be expanded; anything else as it is."""
    return value.get("id") if isinstance(value, dict) else value


def test_dj_stripe_stores_all_that_it_can_list(lived_stripe, tmp_path):
    stored = played(lived_stripe, tmp_path, "sync", *LEFT_OUT)["objects"]
    for model, path in PATHS.items():
        every = {"status": "all"} if model == "Subscription" else {}
        listed = {each["id"]: each for each in lived_stripe.everything(path, **every)}
        assert listed, f"there are no {path}: the comparison says nothing"
        assert stored[model].keys() == listed.keys(), model
        for key, given in listed.items():
            plain = {name: value for name, value in given.items() if not isinstance(value, dict | list)}
            kept = stored[model][key]
            assert {name: identified(kept.get(name)) for name in plain} == plain, f"{model} {key}"
    invoices = lived_stripe.everything("invoices")
    lines = {line["id"] for invoice in invoices for line in invoice["lines"]["data"]}
    assert stored["LineItem"].keys() == lines
    subscriptions = lived_stripe.everything("subscriptions", status="all")
    items = {item["id"] for subscription in subscriptions for item in subscription["items"]["data"]}
    assert stored["SubscriptionItem"].keys() == items
    assert lived_stripe.state()["unknown_paths"] == {}


def test_dj_stripe_understands_the_webhooks(stripe, tmp_path):
    told = played(stripe, tmp_path, "webhooks")
    assert told["failed"] == []
    happened = {event["type"] for event in stripe.everything("events")} - {"webhook_endpoint.created"}
    assert {"checkout.session.expired", "customer.subscription.deleted", "invoice.paid"} <= happened
    assert set(told["processed"]) >= happened
    for model in ("Customer", "Subscription", "Invoice", "Session"):
        status = {"status": "all"} if model == "Subscription" else {}
        listed = {each["id"]: each.get("status") for each in stripe.everything(PATHS[model], **status)}
        assert {key: kept.get("status") for key, kept in told["objects"][model].items()} == listed
