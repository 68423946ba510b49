"""What moves money leaves a balance transaction, with Stripe's fee.

Recorded (pay, API 2025-10-29.clover): test_stripe_can_create_a_subscription #5, test_stripe_allows_subscription_
quantities #5, test_stripe_can_capture_an_authorized_charge #3 and #6, test_stripe_can_create_a_charge #3.
"""

import httpx
import pytest

DAY = 24 * 3600


@pytest.fixture
def pay(stripe_client):
    """Takes an amount from a test card; keywords are further parameters."""

    def take(amount, **params):
        given = {"amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
        returns = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
        return stripe_client.v1.payment_intents.create({**given, **returns, "expand": ["latest_charge"], **params})

    return take


def _booked(client, charge):
    return client.v1.charges.retrieve(charge, {"expand": ["balance_transaction"]}).balance_transaction


@pytest.mark.parametrize(("amount", "fee"), [(1000, 59), (2500, 103), (2900, 114), (25000, 755)])
def test_a_card_costs_2_9_percent_and_30_cents(stripe_client, pay, amount, fee):
    charge = pay(amount, capture_method="automatic", description="Tea").latest_charge
    booked = _booked(stripe_client, charge.id)
    assert charge.balance_transaction == booked.id
    assert (booked.amount, booked.fee, booked.net) == (amount, fee, amount - fee)
    assert [each.to_dict() for each in booked.fee_details] == [
        {
            "amount": fee,
            "application": None,
            "currency": "usd",
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    told = (booked.type, booked.reporting_category, booked.status, booked.source, booked.description)
    assert told == ("charge", "charge", "pending", charge.id, "Tea")
    assert booked.available_on == (booked.created // DAY + 7) * DAY


def test_a_subscriptions_charge_is_booked_at_once(stripe_client):
    price = stripe_client.v1.prices.create(
        {"currency": "usd", "unit_amount": 1000, "recurring": {"interval": "month"}, "product_data": {"name": "Tea"}}
    )
    default = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    customer = stripe_client.v1.customers.create(default)
    stripe_client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    [booked] = stripe_client.v1.balance_transactions.list().data
    assert (booked.amount, booked.fee, booked.net, booked.description) == (1000, 59, 941, "Subscription creation")


def test_an_asynchronous_capture_is_told_of_later(sandbox_server, stripe_client, pay):
    charge = pay(1000).latest_charge
    assert charge.balance_transaction is None
    sandbox_server.advance(60)
    [event] = stripe_client.v1.events.list({"type": "charge.updated"}).data
    booked = _booked(stripe_client, charge.id)
    assert event.data.object.balance_transaction == booked.id
    assert event.data.previous_attributes.to_dict() == {"balance_transaction": None}


def test_an_authorisation_is_booked_when_it_is_captured(stripe_client, pay):
    intent = pay(2900, capture_method="manual")
    charge = intent.latest_charge
    assert charge.balance_transaction is None
    assert charge.payment_method_details.card.capture_before == charge.created + 7 * DAY
    stripe_client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1000})
    assert _booked(stripe_client, charge.id).amount == 1000


def test_a_refund_takes_the_amount_and_leaves_the_fee(stripe_client, pay):
    """docs.stripe.com/refunds; the description as in exports of balance histories (`REFUND FOR CHARGE (…)`)."""
    intent = pay(1000, description="Tea")
    refund = stripe_client.v1.refunds.create({"payment_intent": intent.id, "amount": 400})
    taken = stripe_client.v1.balance_transactions.retrieve(refund.balance_transaction)
    assert (taken.amount, taken.fee, taken.net, taken.type) == (-400, 0, -400, "refund")
    assert (taken.source, taken.description) == (refund.id, "REFUND FOR CHARGE (Tea)")
    assert stripe_client.v1.balance.retrieve().pending[0].amount == 1000 - 59 - 400


def test_a_refund_that_fails_comes_back(sandbox_server, stripe_client, pay):
    intent = pay(1000, payment_method="pm_card_refundFail")
    refund = stripe_client.v1.refunds.create({"payment_intent": intent.id})
    sandbox_server.advance(120)
    failed = stripe_client.v1.refunds.retrieve(refund.id, {"expand": ["failure_balance_transaction"]})
    back = failed.failure_balance_transaction
    assert (back.amount, back.type, back.reporting_category) == (1000, "refund_failure", "refund_failure")


def test_a_dispute_takes_amount_and_fee_and_a_won_one_gives_the_amount_back(stripe_client, pay):
    """Public recordings of `charge.dispute.funds_withdrawn`; the fee stays lost since 17 June 2025."""
    intent = pay(5000, payment_method="pm_card_createDispute", capture_method="automatic")
    [dispute] = stripe_client.v1.disputes.list({"payment_intent": intent.id}).data
    [taken] = dispute.balance_transactions
    told = (taken.type, taken.reporting_category, taken.status, taken.description)
    assert told == ("adjustment", "dispute", "available", f"Chargeback withdrawal for {dispute.charge}")
    assert (taken.amount, taken.fee, taken.net) == (-5000, 1500, -6500)
    assert taken.fee_details[0].description == "Dispute fee"
    won = {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    back = stripe_client.v1.disputes.update(dispute.id, won).balance_transactions[-1]
    assert (back.amount, back.fee, back.reporting_category) == (5000, 0, "dispute_reversal")


def test_what_is_pending_is_available_a_week_later(sandbox_server, stripe_client, pay):
    charge = pay(1000, capture_method="automatic").latest_charge
    sandbox_server.advance(8 * DAY)
    assert _booked(stripe_client, charge.id).status == "available"
    balance = stripe_client.v1.balance.retrieve()
    assert (balance.available[0].amount, balance.pending[0].amount) == (941, 0)


def test_a_bank_debit_is_a_payment_and_costs_less(sandbox_server, stripe_client, pay):
    """stripe.com/pricing: 0.8 % for ACH Direct Debit, at most $5.00."""
    account = {"account_number": "000123456789", "routing_number": "110000000", "account_holder_type": "individual"}
    method = {"type": "us_bank_account", "us_bank_account": account, "billing_details": {"name": "Ada"}}
    intent = pay(
        100_000,
        payment_method=stripe_client.v1.payment_methods.create(method).id,
        allowed_payment_method_types=["us_bank_account"],
        automatic_payment_methods=None,
    )
    assert intent.latest_charge.balance_transaction is None
    sandbox_server.advance(7 * DAY)
    booked = _booked(stripe_client, intent.latest_charge.id)
    assert (booked.type, booked.fee) == ("payment", 500)


def test_transactions_are_listed_by_what_they_come_from(stripe_client, pay):
    first, second = (pay(amount, capture_method="automatic").latest_charge.id for amount in (1000, 2000))
    listed = stripe_client.v1.balance_transactions.list({"source": first, "expand": ["data.source"]}).data
    assert [each.source.id for each in listed] == [first]
    assert len(stripe_client.v1.balance_transactions.list({"type": "charge"}).data) == 2
    assert second != first


def test_a_receipt_is_there_for_people_to_see(sandbox_server, pay):
    receipt = pay(1000).latest_charge.receipt_url
    assert "$10.00 paid" in httpx.get(receipt).text
    assert receipt.startswith(sandbox_server.url)
