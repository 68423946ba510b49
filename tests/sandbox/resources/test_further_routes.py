"""Payments attached to invoices, confirmation tokens, tax calculations, alerts, the stream of usage.

Each by its page of docs.stripe.com/api; a tax calculation as recorded (spree_stripe, create_tax_calculation_us_tx #0).
"""

import pytest
import stripe


@pytest.fixture
def v1(stripe_client):
    return stripe_client.v1


@pytest.fixture
def customer(v1):
    return v1.customers.create({"email": "ada@example.com"}).id


@pytest.fixture
def invoice(v1, customer):
    """An open invoice of $10.00."""
    v1.invoice_items.create({"customer": customer, "amount": 1000, "currency": "usd"})
    made = v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    return v1.invoices.finalize_invoice(made.id)


@pytest.fixture
def paid(v1, customer):
    """Takes an amount by a payment intent of its own."""

    def take(amount):
        method = v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
        return v1.payment_intents.create(
            {
                "amount": amount,
                "currency": "usd",
                "customer": customer,
                "payment_method": method,
                "confirm": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            }
        ).id

    return take


def test_attached_payments_pay_an_invoice_together(v1, invoice, paid):
    part = v1.invoices.attach_payment(invoice.id, {"payment_intent": paid(400)})
    assert (part.status, part.amount_paid, part.amount_remaining) == ("open", 400, 600)
    whole = v1.invoices.attach_payment(invoice.id, {"payment_intent": paid(600), "expand": ["payments"]})
    assert (whole.status, whole.amount_paid, whole.amount_remaining) == ("paid", 1000, 0)
    found = sorted((each.is_default, each.status, each.amount_paid) for each in whole.payments.data)
    assert found == [(False, "paid", 400), (False, "paid", 600), (True, "canceled", None)]


def test_the_rest_is_paid_by_the_invoice_s_own_payment(v1, invoice, paid):
    v1.invoices.attach_payment(invoice.id, {"payment_intent": paid(400)})
    settled = v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    assert (settled.status, settled.amount_paid) == ("paid", 1000)
    assert [each.amount for each in v1.charges.list().data] == [600, 400]


def test_a_payment_that_succeeds_later_is_credited_then(v1, invoice, customer):
    intent = v1.payment_intents.create({"amount": 1000, "currency": "usd", "customer": customer})
    assert v1.invoices.attach_payment(invoice.id, {"payment_intent": intent.id}).status == "open"
    v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa", "return_url": "https://shop.test"})
    assert v1.invoices.retrieve(invoice.id).status == "paid"


def test_a_confirmation_token_brings_the_payment_method(v1):
    token = v1.test_helpers.confirmation_tokens.create(
        {"payment_method": "pm_card_visa", "return_url": "https://shop.test/back"}
    )
    assert token.payment_method_preview.card.last4 == "4242"
    assert token.expires_at == token.created + 12 * 3600
    intent = v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "confirm": True, "confirmation_token": token.id}
    )
    assert intent.status == "succeeded"
    assert v1.confirmation_tokens.retrieve(token.id).payment_intent == intent.id


@pytest.fixture
def calculate(v1):
    """Reckons the tax of the order that was recorded, to an address in Texas."""
    lines = [
        {"amount": amount, "reference": str(number), "tax_behavior": "exclusive", "quantity": 1}
        for number, amount in enumerate((1000, 2000, 3000), 1)
    ]
    address = {"line1": "3201 North Dallas Avenue", "city": "Lancaster", "state": "TX", "country": "US"}
    order = {
        "currency": "usd",
        "line_items": lines,
        "customer_details": {"address": address, "address_source": "shipping"},
        "shipping_cost": {"amount": 1000},
        "expand": ["line_items.data.tax_breakdown"],
    }
    v1.tax.settings.update({"head_office": {"address": {"country": "US", "state": "CA"}}})
    return lambda: v1.tax.calculations.create(order)


def test_a_calculation_needs_a_head_office(v1):
    """docs.stripe.com/api/tax/settings (`status`), docs.stripe.com/error-codes (`stripe_tax_inactive`)."""
    assert v1.tax.settings.retrieve().status_details.pending.missing_fields == ["head_office"]
    details = {"address": {"country": "US"}, "address_source": "shipping"}
    order = {"currency": "usd", "line_items": [{"amount": 100, "reference": "1"}], "customer_details": details}
    with pytest.raises(stripe.InvalidRequestError) as error:
        v1.tax.calculations.create(order)
    assert error.value.code == "stripe_tax_inactive"
    v1.tax.settings.update({"head_office": {"address": {"country": "US", "state": "CA"}}})
    assert v1.tax.settings.retrieve().status == "active"
    assert v1.tax.calculations.create(order).amount_total == 100


def test_the_account_s_rates_of_the_buyer_s_place_are_the_tax(v1, calculate):
    rate = {"display_name": "Sales Tax", "percentage": 8, "inclusive": False, "tax_type": "sales_tax"}
    v1.tax_rates.create({**rate, "country": "US", "state": "TX", "jurisdiction": "Texas"})
    v1.tax_rates.create({**rate, "country": "US", "state": "NY", "percentage": 4})
    made = calculate()
    assert (made.amount_total, made.tax_amount_exclusive, made.tax_amount_inclusive) == (7560, 560, 0)
    assert [each.amount_tax for each in made.line_items.data] == [80, 160, 240]
    assert made.shipping_cost.amount_tax == 80
    assert made.line_items.data[0].tax_breakdown[0].to_dict() == {
        "amount": 80,
        "jurisdiction": {"country": "US", "display_name": "Texas", "level": "state", "state": "TX"},
        "sourcing": "destination",
        "tax_rate_details": {"display_name": "Sales Tax", "percentage_decimal": "8.0", "tax_type": "sales_tax"},
        "taxability_reason": "standard_rated",
        "taxable_amount": 1000,
    }
    [whole] = made.tax_breakdown
    assert (whole.amount, whole.taxable_amount, whole.tax_rate_details.state) == (560, 7000, "TX")


def test_an_account_without_rates_of_a_place_collects_no_tax(v1, calculate):
    made = calculate()
    assert (made.amount_total, made.tax_amount_exclusive) == (7000, 0)
    assert made.tax_breakdown[0].taxability_reason == "not_collecting"
    first = made.line_items.data[0]
    assert (first.amount, first.amount_tax, first.reference, first.tax_code) == (1000, 0, "1", "txcd_10000000")
    assert first.tax_breakdown[0].taxability_reason == "not_collecting"
    assert made.shipping_cost.tax_code == "txcd_92010001"
    assert made.expires_at == made.tax_date + 90 * 24 * 3600
    assert v1.tax.calculations.retrieve(made.id).id == made.id


@pytest.fixture
def meter(v1):
    return v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )


def test_an_alert_tells_once_that_usage_has_reached_its_threshold(v1, customer, meter):
    alert = v1.billing.alerts.create(
        {
            "alert_type": "usage_threshold",
            "title": "Many calls",
            "usage_threshold": {"gte": 10, "meter": meter.id, "recurrence": "one_time"},
        }
    )
    for value in ("6", "6", "6"):
        v1.billing.meter_events.create(
            {"event_name": "calls", "payload": {"stripe_customer_id": customer, "value": value}}
        )
    [event] = v1.events.list({"type": "billing.alert.triggered"}).data
    told = event.data.object
    assert (told.alert.id, told.customer, told.value) == (alert.id, customer, 12)
    assert v1.billing.alerts.deactivate(alert.id).status == "inactive"
    assert v1.billing.alerts.activate(alert.id).status == "active"
    assert v1.billing.alerts.archive(alert.id).status == "archived"
    with pytest.raises(stripe.InvalidRequestError):
        v1.billing.alerts.activate(alert.id)


def test_a_stream_counts_many_events_under_a_key_of_its_own(sandbox_server, stripe_client, customer, meter):
    session = stripe_client.v2.billing.meter_event_session.create()
    addresses = {"api": sandbox_server.url, "meter_events": sandbox_server.url}
    stream = stripe.StripeClient(session.authentication_token, base_addresses=addresses)
    payload = {"stripe_customer_id": customer, "value": "5"}
    stream.v2.billing.meter_event_stream.create({"events": [{"event_name": "calls", "payload": payload}] * 2})
    now = session.created
    assert now < session.expires_at
    found = sandbox_server.sandbox.store.find("billing.meter_event")
    assert [(each["event_name"], each["payload"]["value"]) for each in found] == [("calls", "5")] * 2
