"""Payouts, tax registrations and transactions, configurations, warnings and attempts: what the first calls find.

Each by its page of docs.stripe.com/api and docs.stripe.com/testing; booking types as Stripe's reports call them.
"""

import pytest
import stripe

DAY = 24 * 3600


@pytest.fixture
def v1(stripe_client):
    return stripe_client.v1


@pytest.fixture
def pay(v1):
    """Takes an amount from a test card, and returns the charge."""

    def take(amount, card):
        returns = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
        given = {"amount": amount, "currency": "usd", "payment_method": card, "confirm": True, **returns}
        return v1.payment_intents.create(given).latest_charge

    return take


def test_what_is_available_is_paid_out_and_arrives_in_two_days(sandbox_server, v1, pay):
    pay(10_000, "pm_card_visa")  # which is pending for a week
    with pytest.raises(stripe.InvalidRequestError) as error:
        v1.payouts.create({"amount": 5_000, "currency": "usd"})
    assert error.value.code == "balance_insufficient"
    pay(10_000, "pm_card_bypassPending")
    sandbox_server.advance(10)
    expanded = {"expand": ["balance_transaction", "destination"]}
    payout = v1.payouts.create({"amount": 5_000, "currency": "usd", **expanded})
    [bank] = v1.accounts.external_accounts.list(v1.accounts.retrieve_current().id).data
    assert payout.destination == bank
    booked = payout.balance_transaction
    assert (payout.status, payout.arrival_date) == ("pending", (payout.created // DAY + 2) * DAY)
    assert (booked.amount, booked.type, booked.reporting_category, booked.source) == (
        -5_000,
        "payout",
        "payout",
        payout.id,
    )
    [left] = v1.balance.retrieve().available
    assert left.amount == 10_000 - 320 - 5_000
    assert v1.payouts.update(payout.id, {"metadata": {"a": "b"}}).metadata["a"] == "b"
    back = v1.payouts.create({"amount": 1_000, "currency": "usd"})
    assert v1.payouts.cancel(back.id).status == "canceled"
    assert v1.balance.retrieve().available[0].amount == left.amount
    sandbox_server.advance(2 * DAY)
    assert [each.status for each in v1.payouts.list({}).data] == ["canceled", "paid"]
    with pytest.raises(stripe.InvalidRequestError):
        v1.payouts.cancel(payout.id)
    assert [each.type for each in v1.events.list({"type": "payout.*"}).data] == [
        "payout.paid",
        "payout.canceled",
        "payout.created",
        "payout.updated",
        "payout.created",
    ]


def test_a_registration_is_scheduled_active_and_expired(sandbox_server, v1):
    now = sandbox_server.sandbox.now()
    options = {"us": {"state": "CA", "type": "state_sales_tax"}}
    later = {"country": "US", "country_options": options, "active_from": now + DAY}
    made = v1.tax.registrations.create(later)
    assert (made.status, made.country_options.to_dict()) == ("scheduled", options)
    assert v1.tax.registrations.update(made.id, {"active_from": "now"}).status == "active"
    assert [each.id for each in v1.tax.registrations.list({"status": "active"}).data] == [made.id]
    assert v1.tax.registrations.update(made.id, {"expires_at": "now"}).status == "expired"
    assert v1.tax.registrations.list({"status": "active"}).data == []
    assert v1.tax.registrations.retrieve(made.id).expires_at >= now


@pytest.fixture
def sold(v1):
    """A tax transaction: two lines of $10.00 and $20.00 and shipping, with 10 % tax."""
    v1.tax.settings.update({"head_office": {"address": {"country": "US", "state": "CA"}}})
    rate = {"display_name": "Sales Tax", "percentage": 10, "inclusive": False, "tax_type": "sales_tax"}
    v1.tax_rates.create({**rate, "country": "US", "state": "TX"})
    address = {"address": {"country": "US", "state": "TX"}, "address_source": "shipping"}
    order = {"currency": "usd", "customer_details": address, "shipping_cost": {"amount": 500}}
    lines = [{"amount": 1_000, "reference": "a"}, {"amount": 2_000, "reference": "b"}]
    calculation = v1.tax.calculations.create({**order, "line_items": lines})
    given = {"calculation": calculation.id, "reference": "order 1", "expand": ["line_items"]}
    return v1.tax.transactions.create_from_calculation(given)


def _amounts(transaction):
    return [(each.amount, each.amount_tax) for each in transaction.line_items.data]


def test_a_calculation_that_was_sold_is_a_transaction(v1, sold):
    assert (sold.type, sold.reference, sold.reversal) == ("transaction", "order 1", None)
    assert _amounts(sold) == [(1_000, 100), (2_000, 200)]
    assert sold.line_items.to_dict()["total_count"] == 2
    shipping = {"amount": 500, "amount_tax": 50, "tax_behavior": "exclusive", "tax_code": "txcd_92010001"}
    assert sold.shipping_cost.to_dict() == shipping
    assert [each.type for each in v1.tax.transactions.line_items.list(sold.id).data] == ["transaction"] * 2
    assert v1.tax.transactions.retrieve(sold.id).id == sold.id


def test_a_transaction_is_taken_back_in_parts_and_no_more_than_it_was(v1, sold):
    def back(mode, reference, **given):
        wanted = {"mode": mode, "original_transaction": sold.id, "reference": reference, "expand": ["line_items"]}
        return v1.tax.transactions.create_reversal({**wanted, **given})

    line = {"original_line_item": sold.line_items.data[0].id, "reference": "a"}
    part = back("partial", "1", line_items=[{**line, "amount": -400, "amount_tax": -40}])
    assert (part.type, part.reversal.original_transaction) == ("reversal", sold.id)
    assert part.line_items.data[0].reversal.original_line_item == line["original_line_item"]
    assert _amounts(back("partial", "2", flat_amount=-330)) == [(-100, -10), (-200, -20)]
    for given, param in (
        ({"line_items": [{**line, "amount": -501, "amount_tax": 0}]}, "line_items"),
        ({"line_items": [{**line, "amount": 1, "amount_tax": 0}]}, "line_items"),
        ({}, "line_items"),
    ):
        with pytest.raises(stripe.InvalidRequestError) as error:
            back("partial", "3", **given)
        assert error.value.param == param
    with pytest.raises(stripe.InvalidRequestError) as error:
        back("partial", "1", flat_amount=-1)
    assert error.value.param == "reference"


def test_a_transaction_is_taken_back_as_a_whole(v1, sold):
    whole = {"mode": "full", "original_transaction": sold.id, "reference": "back", "expand": ["line_items"]}
    back = v1.tax.transactions.create_reversal(whole)
    assert _amounts(back) == [(-1_000, -100), (-2_000, -200)]
    assert (back.shipping_cost.amount, back.shipping_cost.amount_tax) == (-500, -50)


def test_payment_methods_are_switched_on_and_off_in_configurations(v1):
    [default] = v1.payment_method_configurations.list().data
    assert (default.is_default, default.card.available) == (True, True)
    off = {
        "klarna": {"display_preference": {"preference": "on"}},
        "card": {"display_preference": {"preference": "off"}},
    }
    changed = v1.payment_method_configurations.update(default.id, off)
    assert (changed.card.available, changed.klarna.display_preference.value) == (False, "on")
    assert v1.payment_method_configurations.retrieve(default.id).card.display_preference.value == "off"
    made = v1.payment_method_configurations.create({"name": "Mine"})
    assert (made.name, made.active, made.is_default, made.card.available) == ("Mine", True, False, True)
    assert v1.payment_method_configurations.update(made.id, {"active": False}).active is False
    assert {each.id for each in v1.payment_method_configurations.list().data} == {default.id, made.id}


def test_a_bank_warns_of_fraud_until_the_payment_is_refunded(v1, pay):
    charge = pay(1_000, "pm_card_createIssuerFraudRecord")
    [warning] = v1.radar.early_fraud_warnings.list({"charge": charge}).data
    assert (warning.actionable, warning.charge) == (True, charge)
    v1.refunds.create({"charge": charge})
    assert v1.radar.early_fraud_warnings.retrieve(warning.id).actionable is False
    assert len(v1.events.list({"type": "radar.early_fraud_warning.*"}).data) == 2


def test_one_charge_is_disputed_several_times(v1, pay):
    charge = pay(1_001, "pm_card_createMultipleDisputes")
    assert [each.amount for each in v1.disputes.list({"charge": charge}).data] == [500, 501]


def test_each_confirmation_of_a_setup_intent_is_an_attempt(v1):
    intent = v1.setup_intents.create({"customer": v1.customers.create({}).id})
    with pytest.raises(stripe.CardError):
        v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_visa_chargeDeclined"})
    done = v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_visa", "expand": ["latest_attempt"]})
    failed = v1.setup_attempts.list({"setup_intent": intent.id}).data[-1]
    assert (done.latest_attempt.status, done.latest_attempt.setup_error) == ("succeeded", None)
    assert done.latest_attempt.payment_method_details.card.last4 == "4242"
    assert (failed.status, failed.setup_error.decline_code) == ("failed", "generic_decline")


def test_a_bank_debit_has_a_mandate(v1):
    """Recorded of a SEPA debit: spree_stripe, processing_sepa_debit_payment_intent #1."""
    customer = v1.customers.create({"email": "ada@example.com"}).id
    holder = {"name": "Ada", "email": "ada@example.com"}
    account = {"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}, "billing_details": holder}
    method = v1.payment_methods.create(account).id
    given = {
        "customer": customer,
        "payment_method": method,
        "confirm": True,
        "allowed_payment_method_types": ["sepa_debit"],
    }
    mandate = v1.mandates.retrieve(v1.setup_intents.create(given).mandate)
    assert (mandate.status, mandate.type, mandate.payment_method) == ("active", "multi_use", method)
    assert mandate.payment_method_details.sepa_debit.reference
    paid = v1.payment_intents.create({**given, "amount": 1_000, "currency": "eur", "expand": ["latest_charge"]})
    assert paid.latest_charge.payment_method_details.sepa_debit.mandate == mandate.id


def test_3d_secure_that_fails_is_only_tried_where_it_is_asked_for(v1):
    """docs.stripe.com/testing (4000000000003097): the payment passes without it, and fails in it."""
    given = {"amount": 1_000, "currency": "usd", "payment_method": "pm_card_threeDSecureOptionalProcessingError"}
    given |= {"confirm": True, "return_url": "https://shop.test"}
    assert v1.payment_intents.create(given).status == "succeeded"
    asked = {"payment_method_options": {"card": {"request_three_d_secure": "any"}}}
    assert v1.payment_intents.create({**given, **asked}).status == "requires_action"
    saved = {name: value for name, value in given.items() if name not in ("amount", "currency")}
    assert v1.setup_intents.create(saved).status == "succeeded"
