"""Renewals that are not paid: retries, what ends them, and who is delinquent meanwhile."""

import httpx
import pytest
import stripe

from harness.clocked import DAY, FEBRUARY, HOUR, MARCH, START, get, give_card, invoices, types


def test_a_failed_renewal_is_retried_and_recovers_with_a_new_card(client, customer, subscribe, price, at):
    subscription = subscribe(price())
    give_card(client, customer.id, "pm_card_chargeCustomerFail")
    at(FEBRUARY + HOUR)
    subscription = get(client, subscription)
    assert (subscription.status, subscription.latest_invoice.status) == ("past_due", "open")
    assert subscription.latest_invoice.next_payment_attempt == FEBRUARY + HOUR + 3 * DAY
    give_card(client, customer.id, "pm_card_visa")
    at(FEBRUARY + HOUR + 3 * DAY)
    assert get(client, subscription).status == "active"
    assert types(client, "invoice.payment_failed") == ["invoice.payment_failed"]


def test_after_the_last_retry_the_subscription_is_canceled(client, customer, subscribe, price, at):
    subscription = subscribe(price())
    give_card(client, customer.id, "pm_card_chargeCustomerFail")
    at(FEBRUARY + HOUR + 15 * DAY)
    subscription = get(client, subscription)
    assert (subscription.status, subscription.cancellation_details.reason) == ("canceled", "payment_failed")
    assert subscription.latest_invoice.attempt_count == 4
    assert subscription.latest_invoice.status == "open"


def test_retries_can_end_in_unpaid_which_only_drafts_further_invoices(sandbox_factory):
    server = sandbox_factory(clock=START, after_retries="unpaid", retry_days=(3,))
    client = server.client()
    price = client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Team"},
        }
    )
    customer = client.v1.customers.create()
    give_card(client, customer.id, "pm_card_visa")
    subscription = client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})
    give_card(client, customer.id, "pm_card_chargeCustomerFail")
    httpx.post(f"{server.url}/_sandbox/clock/advance", json={"to": MARCH + DAY}, timeout=30).raise_for_status()
    assert get(client, subscription).status == "unpaid"
    assert invoices(client, subscription)[1:] == [
        ("subscription_cycle", "open", 1000),
        ("subscription_cycle", "draft", 1000),
    ]


def test_a_customer_is_delinquent_while_a_renewal_is_unpaid(client, customer, subscribe, price, at):
    subscription = subscribe(price(1000))
    give_card(client, customer.id, "pm_card_chargeCustomerFail")
    at(FEBRUARY + 2 * HOUR)
    assert client.v1.customers.retrieve(customer.id).delinquent is True
    give_card(client, customer.id, "pm_card_visa")
    client.v1.invoices.pay(get(client, subscription).latest_invoice.id)
    assert client.v1.customers.retrieve(customer.id).delinquent is False


def test_an_attempt_by_hand_leaves_the_planned_retries_alone(client, customer, subscribe, price, at):
    subscription = subscribe(price(1000))
    give_card(client, customer.id, "pm_card_chargeCustomerFail")
    at(FEBRUARY + 2 * HOUR)
    invoice = get(client, subscription).latest_invoice
    at(FEBRUARY + 2 * DAY)
    with pytest.raises(stripe.CardError):
        client.v1.invoices.pay(invoice.id)
    again = client.v1.invoices.retrieve(invoice.id)
    assert (again.attempt_count, again.next_payment_attempt) == (1, invoice.next_payment_attempt)
    at(FEBRUARY + 4 * DAY)
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 2
