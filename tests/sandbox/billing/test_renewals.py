"""Renewals and trials on a test clock, with hand-computed amounts."""

import pytest

from harness.clocked import DAY, FEBRUARY, HOUR, MARCH, START, get, give_card, invoices, item, types


def test_a_renewal_is_drafted_at_the_period_s_end_and_charged_an_hour_later(client, subscribe, price, at):
    subscription = subscribe(price())
    at(FEBRUARY + 60)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "draft", 1000)
    assert item(get(client, subscription)).current_period_end == MARCH
    at(FEBRUARY + HOUR)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "paid", 1000)


def test_a_year_renews_a_monthly_subscription_twelve_times_in_order(client, subscribe, price, at):
    subscription = subscribe(price())
    at(START + 365 * DAY + HOUR)
    found = client.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data[::-1]
    assert len(found) == 13
    assert all(invoice.status == "paid" for invoice in found)
    starts = [invoice.lines.data[0].period.start for invoice in found]
    assert starts == sorted(starts)
    assert starts[1:3] == [FEBRUARY, MARCH]
    assert len(types(client, "invoice.paid")) == 13


def test_a_trial_warns_three_days_before_its_end_and_converts(client, subscribe, price, at):
    subscription = subscribe(price(), trial_period_days=14)
    assert (subscription.status, invoices(client, subscription)) == ("trialing", [("subscription_create", "paid", 0)])
    at(START + 11 * DAY - 1)
    assert "customer.subscription.trial_will_end" not in types(client, "customer.subscription")
    at(START + 11 * DAY)
    assert "customer.subscription.trial_will_end" in types(client, "customer.subscription")
    at(START + 14 * DAY + HOUR)
    subscription = get(client, subscription)
    assert (subscription.status, subscription.latest_invoice.amount_paid) == ("active", 1000)
    assert subscription.billing_cycle_anchor == item(subscription).current_period_start == START + 14 * DAY


@pytest.mark.parametrize(("behavior", "status"), [("cancel", "canceled"), ("pause", "paused")])
def test_a_trial_without_a_card_ends_as_it_was_told_to(client, clock, price, at, behavior, status):
    poor = client.v1.customers.create({"test_clock": clock.id})
    subscription = client.v1.subscriptions.create(
        {
            "customer": poor.id,
            "items": [{"price": price()}],
            "trial_period_days": 7,
            "trial_settings": {"end_behavior": {"missing_payment_method": behavior}},
        }
    )
    at(START + 7 * DAY)
    assert get(client, subscription).status == status
    if status == "paused":
        give_card(client, poor.id, "pm_card_visa")
        assert client.v1.subscriptions.resume(subscription.id).status == "active"
        assert types(client, "customer.subscription.resumed")


def test_a_preview_within_a_trial_shows_what_its_end_will_cost(client, subscribe, price):
    subscription = subscribe(price(1000), trial_period_days=10)
    preview = client.v1.invoices.create_preview({"subscription": subscription.id})
    assert (preview.total, preview.lines.data[0].period.start) == (1000, START + 10 * DAY)


def test_a_coupon_for_once_outlives_the_trial(client, subscribe, price, at):
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "once"})
    subscription = subscribe(price(1000), trial_period_days=10, discounts=[{"coupon": coupon.id}])
    at(START + 10 * DAY + 2 * HOUR)
    assert [total for _, _, total in invoices(client, subscription)] == [0, 500]


def test_a_renewal_is_told_of_a_week_before(client, subscribe, price, at):
    subscription = subscribe(price(1000))
    at(FEBRUARY - 8 * DAY)
    assert types(client, "invoice.upcoming") == []
    at(FEBRUARY - 6 * DAY)
    [event] = client.v1.events.list({"type": "invoice.upcoming"}).data
    assert (event.data.object.total, event.data.object.billing_reason) == (1000, "upcoming")
    assert event.data.object.parent.subscription_details.subscription == subscription.id
    assert "id" not in event.data.object
    client.v1.subscriptions.update(subscription.id, {"metadata": {"a": "b"}})
    at(FEBRUARY + HOUR)
    assert types(client, "invoice.upcoming") == ["invoice.upcoming"]
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    at(MARCH)
    assert types(client, "invoice.upcoming") == ["invoice.upcoming"]
