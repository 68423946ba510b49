"""API versions: the same happenings in the shapes before and after basil (2025-03-31)."""

import json

import pytest

OLD = "2024-06-20"


@pytest.fixture
def told(sandbox_factory, receiver):
    """A life of a subscription as an endpoint of an old version was told it: type -> the last event."""
    server = sandbox_factory(forward_to=receiver.url, api_version=OLD)
    v1 = server.client().v1
    customer = v1.customers.create({"name": "Ada"})
    method = v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    data = {"currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    price = v1.products.create({"name": "Pro", "default_price_data": data}).default_price
    subscription = v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price}], "default_payment_method": method.id}
    )
    server.advance(33 * 86_400)
    expected = server.sandbox.store.count("event")
    receiver.wait_for(expected)
    events = [json.loads(body) for body, _ in receiver.arrived]
    return {"price": price, "subscription": subscription.id, **{event["type"]: event for event in events}}


def test_an_old_subscription_carries_its_period_and_plan(told):
    event = told["customer.subscription.created"]
    subscription = event["data"]["object"]
    assert event["api_version"] == OLD
    assert subscription["current_period_end"] > subscription["current_period_start"]
    assert "current_period_end" not in subscription["items"]["data"][0]
    assert (subscription["plan"]["id"], subscription["quantity"]) == (told["price"], 1)


def test_an_old_renewal_says_that_the_period_changed(told):
    event = told["customer.subscription.updated"]
    before, now = event["data"]["previous_attributes"], event["data"]["object"]
    assert before["current_period_end"] == now["current_period_start"]


def test_an_old_invoice_names_its_subscription_charge_and_payment(told):
    invoice = told["invoice.paid"]["data"]["object"]
    assert invoice["subscription"] == told["subscription"]
    assert invoice["paid"] is True
    assert invoice["payment_intent"].startswith("pi_")
    assert invoice["charge"].startswith("ch_")
    assert "parent" not in invoice
    assert (invoice["application_fee_amount"], invoice["transfer_data"]) == (None, None)  # Connect's, until basil
    line = invoice["lines"]["data"][0]
    assert line["tax_rates"] == []
    assert (line["type"], line["price"]["id"], line["subscription"]) == (
        "subscription",
        told["price"],
        told["subscription"],
    )


def test_an_old_charge_names_its_invoice(told):
    assert told["charge.succeeded"]["data"]["object"]["invoice"].startswith("in_")


def test_a_client_of_an_old_version_reads_old_shapes(sandbox_factory):
    server = sandbox_factory()
    coupon = server.client().v1.coupons.create({"percent_off": 10})
    code = server.client().v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    old = server.client(stripe_version=OLD).v1.promotion_codes.retrieve(code.id).to_dict()
    server.recorder.answers.clear()  # the contract describes the current version only
    assert old["coupon"]["percent_off"] == 10
    assert "promotion" not in old


def test_an_endpoint_of_the_current_version_is_told_the_current_shape(sandbox_factory, receiver):
    v1 = sandbox_factory(forward_to=receiver.url).client().v1
    customer = v1.customers.create({"payment_method": "pm_card_visa"})
    data = {"currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    price = v1.products.create({"name": "Pro", "default_price_data": data}).default_price
    v1.subscriptions.create({"customer": customer.id, "items": [{"price": price}], "trial_period_days": 3})
    receiver.wait_for_type("customer.subscription.created")
    events = {json.loads(body)["type"]: json.loads(body) for body, _ in receiver.arrived}
    subscription = events["customer.subscription.created"]["data"]["object"]
    assert "current_period_end" not in subscription
    assert subscription["items"]["data"][0]["current_period_end"] > 0
