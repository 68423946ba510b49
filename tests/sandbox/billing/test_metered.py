"""Metered plans: when use is billed, at which price, and what of it is free."""

import pytest

from harness.clocked import DAY, FEBRUARY, HOUR, MARCH, START, changed, get, invoices, prorations


def test_metered_usage_is_billed_at_the_period_s_end_and_paid_by_credits_first(client, customer, subscribe, price, at):
    meter = client.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )
    metered = price(2, recurring={"usage_type": "metered", "meter": meter.id})
    subscription = subscribe(metered)
    assert (subscription.status, subscription.latest_invoice) == ("active", None)
    at(START + 2 * DAY)
    for value in (600, 400):
        client.v1.billing.meter_events.create(
            {
                "event_name": "calls",
                "payload": {"stripe_customer_id": customer.id, "value": str(value)},
                "timestamp": START + DAY,
            }
        )
    client.v1.billing.credit_grants.create(
        {
            "customer": customer.id,
            "category": "promotional",
            "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 500}},
            "applicability_config": {"scope": {"price_type": "metered"}},
        }
    )
    at(FEBRUARY + HOUR)
    last = get(client, subscription).latest_invoice
    assert (last.lines.data[0].quantity, last.subtotal, last.total, last.status) == (1000, 2000, 1500, "paid")
    assert last.total_pretax_credit_amounts[0].amount == 500


@pytest.fixture
def metered(client, customer, price):
    """A price of 2 cents for each call, and how calls are counted."""
    meter = client.v1.billing.meters.create(
        {"display_name": "Calls", "event_name": "calls", "default_aggregation": {"formula": "sum"}}
    )

    def count(value, moment):
        payload = {"stripe_customer_id": customer.id, "value": str(value)}
        client.v1.billing.meter_events.create({"event_name": "calls", "payload": payload, "timestamp": moment})

    def make(unit_amount=2, **params):
        return price(unit_amount, recurring={"usage_type": "metered", "meter": meter.id}, **params)

    make.count = count
    return make


def test_a_planned_end_bills_the_last_usage(client, subscribe, metered, at):
    subscription = subscribe(metered(), cancel_at=START + 10 * DAY)
    at(START + 5 * DAY)
    metered.count(300, START + 4 * DAY)
    at(START + 10 * DAY + 2 * HOUR)
    assert get(client, subscription).status == "canceled"
    assert invoices(client, subscription) == [("subscription_cycle", "paid", 600)]


def test_usage_reported_while_the_renewal_is_a_draft_is_billed_for_the_period_that_ended(
    client, subscribe, metered, at
):
    subscription = subscribe(metered())
    at(FEBRUARY + HOUR // 2)
    assert get(client, subscription).latest_invoice.total == 0
    metered.count(150, FEBRUARY - DAY)
    metered.count(7, FEBRUARY + 60)  # of the new period
    at(FEBRUARY + 2 * HOUR)
    last = get(client, subscription).latest_invoice
    assert (last.total, last.lines.data[0].quantity, last.status) == (300, 150, "paid")
    at(MARCH + 2 * HOUR)
    assert get(client, subscription).latest_invoice.total == 14


def test_a_metered_price_changed_within_a_period_bills_each_use_at_its_price(client, subscribe, metered, at):
    subscription = subscribe(metered(2))
    at(START + 10 * DAY)
    metered.count(100, START + 5 * DAY)
    changed(client, subscription, metered(5), "create_prorations")
    assert prorations(client) == [200]
    at(START + 20 * DAY)
    metered.count(10, START + 15 * DAY)
    at(FEBRUARY + 2 * HOUR)
    last = get(client, subscription).latest_invoice
    assert [(line.amount, line.quantity) for line in last.lines.data] == [(200, 100), (50, 10)]


def test_a_metered_item_that_is_removed_leaves_its_usage_to_the_next_invoice(client, subscribe, price, metered, at):
    subscription = subscribe(price(1000), metered())
    at(START + 10 * DAY)
    metered.count(100, START + 5 * DAY)
    gone = next(each for each in subscription["items"].data if each.price.recurring.usage_type == "metered")
    client.v1.subscription_items.delete(gone.id)
    at(FEBRUARY + 2 * HOUR)
    assert get(client, subscription).latest_invoice.total == 1200


def test_usage_in_a_trial_is_free(client, subscribe, metered, at):
    subscription = subscribe(metered(), trial_period_days=10)
    at(START + 6 * DAY)
    metered.count(100, START + 5 * DAY)
    at(START + 10 * DAY + 2 * HOUR)
    assert (get(client, subscription).status, invoices(client, subscription)) == ("active", [])
    at(START + 20 * DAY)
    metered.count(10, START + 15 * DAY)
    at(START + 41 * DAY + 2 * HOUR)
    assert get(client, subscription).latest_invoice.total == 20


def test_a_part_of_a_unit_is_billed_too(client, subscribe, metered, at):
    subscription = subscribe(metered(10))
    at(START + 6 * DAY)
    metered.count("2.5", START + 5 * DAY)
    at(FEBRUARY + 2 * HOUR)
    line = get(client, subscription).latest_invoice.lines.data[0]
    assert (line.amount, str(line.quantity_decimal)) == (25, "2.5")
