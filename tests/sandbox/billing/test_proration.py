"""Changes within a period, and their previews, with hand-computed amounts: what is credited and what is charged."""

import pytest

from harness.clocked import DAY, FEBRUARY, HOUR, MARCH, START, changed, get, invoices, item, prorations


def test_an_upgrade_in_mid_period_is_prorated_to_the_second_on_the_next_invoice(client, subscribe, price, at):
    # 10 to 20 USD after 10 of 31 days: -10 x 21/31 = -6.77, +20 x 21/31 = 13.55
    subscription = subscribe(price(1000))
    at(START + 10 * DAY)
    client.v1.subscriptions.update(subscription.id, {"items": [{"id": item(subscription).id, "price": price(2000)}]})
    waiting = client.v1.invoice_items.list({"pending": True}).data
    assert sorted(each.amount for each in waiting) == [-677, 1355]
    assert {each.description for each in waiting} == {
        "Unused time on Team after 11 Jan 2026",
        "Remaining time on Team after 11 Jan 2026",
    }
    at(FEBRUARY + HOUR)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "paid", 2678)


def test_always_invoice_charges_the_difference_at_once_and_a_preview_says_so_before(client, subscribe, price, at):
    subscription = subscribe(price(1000))
    at(START + 15 * DAY + 12 * HOUR)
    change = {
        "items": [{"id": item(subscription).id, "price": price(2000)}],
        "proration_behavior": "always_invoice",
        "proration_date": START + 15 * DAY + 12 * HOUR,
    }
    preview = client.v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": change})
    # Half of the period: -5 + 10
    assert (preview.total, [line.amount for line in preview.lines.data]) == (500, [-500, 1000])
    before = len(client.v1.invoice_items.list().data)
    client.v1.subscriptions.update(subscription.id, change)
    assert before == 0
    assert invoices(client, subscription)[-1] == ("subscription_update", "paid", 500)


def test_a_preview_of_the_next_renewal_charges_it_and_changes_nothing(client, subscribe, price, at):
    subscription = subscribe({"price": price(700), "quantity": 2})
    before = [event.id for event in client.v1.events.list({"limit": 100}).data]
    preview = client.v1.invoices.create_preview({"subscription": subscription.id})
    assert (preview.total, preview.billing_reason, preview.status) == (1400, "upcoming", "draft")
    assert preview.lines.data[0].period.start == FEBRUARY
    assert [event.id for event in client.v1.events.list({"limit": 100}).data] == before
    at(FEBRUARY + HOUR)
    assert invoices(client, subscription)[-1][2] == preview.total


def test_a_downgrade_leaves_a_credit_that_pays_the_next_invoice(client, customer, subscribe, price, at):
    subscription = subscribe(price(2000))
    at(START + 15 * DAY + 12 * HOUR)
    client.v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": item(subscription).id, "price": price(1000)}], "proration_behavior": "always_invoice"},
    )
    assert invoices(client, subscription)[-1] == ("subscription_update", "paid", -500)
    assert client.v1.customers.retrieve(customer.id).balance == -500
    at(FEBRUARY + HOUR)
    last = get(client, subscription).latest_invoice
    assert (last.total, last.amount_due, last.amount_paid, last.starting_balance) == (1000, 500, 500, -500)
    assert client.v1.customers.retrieve(customer.id).balance == 0


def test_without_proration_the_new_price_counts_from_the_next_period(client, subscribe, price, at):
    subscription = subscribe(price(1000))
    at(START + 10 * DAY)
    client.v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": item(subscription).id, "quantity": 5}], "proration_behavior": "none"},
    )
    assert client.v1.invoice_items.list().data == []
    at(FEBRUARY + HOUR)
    assert invoices(client, subscription)[-1][2] == 5000


def yearly(client, subscription, price, **params):
    """Change the only item of a monthly subscription to a yearly price; answers the subscription."""
    entry = {"id": item(subscription).id, "price": price(10000, "year")}
    client.v1.subscriptions.update(subscription.id, {"items": [entry], **params})
    return get(client, subscription)


def test_classic_from_monthly_to_yearly_begins_a_new_period_and_credits_the_rest(client, subscribe, price, at):
    subscription = subscribe(price(1000), billing_mode={"type": "classic"})
    moment = START + 15 * DAY + 12 * HOUR
    at(moment)
    subscription = yearly(client, subscription, price)
    assert (subscription.latest_invoice.total, subscription.latest_invoice.status) == (9500, "paid")
    assert item(subscription).current_period_start == subscription.billing_cycle_anchor == moment
    assert item(subscription).current_period_end == moment + 365 * DAY


@pytest.mark.parametrize("params", [{}, {"proration_behavior": "always_invoice"}, {"trial_end": "now"}])
def test_flexible_from_monthly_to_yearly_keeps_the_anchor_and_prorates(client, subscribe, price, at, params):
    subscription = subscribe(price(1000))
    at(START + 15 * DAY + 12 * HOUR)
    subscription = yearly(client, subscription, price, **params)
    # The month's other half is credited; of the year from the old anchor, 349.5 of 365 days are charged.
    lines = subscription.latest_invoice.lines.data
    assert [(line.amount, line.description[:14], line.discountable) for line in lines] == [
        (-500, "Unused time on", False),
        (9575, "Remaining time", False),
    ]
    assert all(line.parent.subscription_item_details.proration for line in lines)
    assert subscription.billing_cycle_anchor == item(subscription).current_period_start == START
    assert item(subscription).current_period_end == START + 365 * DAY
    assert subscription.latest_invoice.status == "paid"


def test_a_preview_of_what_recurs_shows_the_new_interval_without_prorations(client, subscribe, price, at):
    subscription = subscribe(price(1000))
    at(START + 15 * DAY)
    change = {"items": [{"id": item(subscription).id, "price": price(10000, "year")}]}
    preview = client.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": change, "preview_mode": "recurring"}
    )
    (line,) = preview.lines.data
    assert (line.amount, line.period.start) == (10000, START + 365 * DAY)


def test_flexible_with_a_new_anchor_bills_the_year_in_full(client, subscribe, price, at):
    subscription = subscribe(price(1000))
    moment = START + 15 * DAY + 12 * HOUR
    at(moment)
    anew = {"billing_cycle_anchor": {"type": "now"}, "proration_behavior": "always_invoice"}
    subscription = yearly(client, subscription, price, **anew)
    credit, charge = subscription.latest_invoice.lines.data
    assert (credit.amount, charge.amount) == (-500, 10000)
    assert not charge.parent.subscription_item_details.proration
    assert item(subscription).current_period_start == subscription.billing_cycle_anchor == moment


def test_classic_may_keep_the_anchor_too(client, subscribe, price, at):
    subscription = subscribe(price(1000), billing_mode={"type": "classic"})
    at(START + 15 * DAY + 12 * HOUR)
    subscription = yearly(client, subscription, price, billing_cycle_anchor={"type": "unchanged"})
    assert (subscription.billing_cycle_anchor, subscription.latest_invoice.total) == (START, 9075)


def test_flexible_from_yearly_to_monthly_takes_the_month_that_has_begun(client, subscribe, price, at):
    subscription = subscribe(price(36500, "year"))
    at(FEBRUARY + 14 * DAY)
    entry = {"id": item(subscription).id, "price": price(2800)}
    client.v1.subscriptions.update(subscription.id, {"items": [entry]})
    subscription = get(client, subscription)
    # 320 of 365 days come back, 14 of February's 28 are charged.
    assert [line.amount for line in subscription.latest_invoice.lines.data] == [-32000, 1400]
    assert (item(subscription).current_period_start, item(subscription).current_period_end) == (FEBRUARY, MARCH)


HALF = START + 15 * DAY + 12 * HOUR


def test_a_credit_after_a_coupon_for_once_gives_back_what_was_charged(client, subscribe, price, at):
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "once"})
    subscription = subscribe(price(3000), discounts=[{"coupon": coupon.id}])
    assert get(client, subscription).latest_invoice.total == 1500
    at(HALF)
    changed(client, subscription, price(6000), "create_prorations")
    assert prorations(client) == [-750, 3000]


@pytest.mark.parametrize(("mode", "credit"), [("flexible", -1500), ("classic", -750)])
def test_a_credit_does_not_know_a_coupon_that_came_later(client, subscribe, price, at, mode, credit):
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    subscription = subscribe(price(3000), billing_mode={"type": mode})
    client.v1.subscriptions.update(subscription.id, {"discounts": [{"coupon": coupon.id}]})
    at(HALF)
    changed(client, subscription, price(6000), "create_prorations")
    assert prorations(client) == [credit, 1500]


@pytest.mark.parametrize(("mode", "credit"), [("flexible", -500), ("classic", -3000)])
def test_a_credit_does_not_give_back_what_was_never_charged(client, subscribe, price, at, mode, credit):
    cheap = price(1000)
    subscription = subscribe(cheap, billing_mode={"type": mode})
    changed(client, subscription, price(6000), "none")
    at(HALF)
    changed(client, subscription, cheap, "create_prorations")
    assert prorations(client) == [credit, 500]


def test_each_debit_is_given_back_once_and_says_where_it_stands(client, subscribe, price, at):
    subscription = subscribe(price(3100))
    first = get(client, subscription).latest_invoice
    at(START + 10 * DAY)
    changed(client, subscription, price(6200), "always_invoice")  # -21.00 +42.00
    at(START + 20 * DAY)
    changed(client, subscription, price(9300), "create_prorations")  # of the 42.00 for 21 days, 11 are left
    assert prorations(client) == [-2100, 4200, -2200, 3300]
    credit, charge, again, _ = reversed(client.v1.invoice_items.list().data)
    given = credit.proration_details.credited_items.invoice_line_item_details
    assert (given.invoice, given.invoice_line_items) == (first.id, [first.lines.data[0].id])
    assert again.proration_details.credited_items.invoice_line_item_details.invoice == charge.invoice
    at(START + 25 * DAY)
    changed(client, subscription, price(3100), "create_prorations")
    last = client.v1.invoice_items.list().data[1].proration_details.credited_items
    pending = client.v1.invoice_items.list().data[2]
    assert (last.type, last.invoice_item) == ("invoice_item", pending.id)
