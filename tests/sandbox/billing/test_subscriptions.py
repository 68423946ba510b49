"""The life of subscriptions on a test clock: renewal, trial, dunning, change and end, with hand-computed amounts.

One long file, because each example is worked out by hand beside the next one of its kind.
"""

import httpx
import pytest
import stripe

from harness.waiting import eventually

DAY, HOUR = 86_400, 3_600
# 1 January 2026: the first month has 31 days, February 28.
START = 1_767_225_600
FEBRUARY, MARCH = START + 31 * DAY, START + 59 * DAY


@pytest.fixture
def client(sandbox_factory):
    """The SDK on a sandbox whose own clock begins where the test clocks do."""
    return sandbox_factory(clock=START).client()


@pytest.fixture
def clock(client):
    return client.v1.test_helpers.test_clocks.create({"frozen_time": START})


@pytest.fixture
def at(client, clock):
    """Moves the test clock to a time and waits until everything due on the way has happened."""

    def move(moment):
        client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": moment})
        eventually(lambda: client.v1.test_helpers.test_clocks.retrieve(clock.id).status, "ready", seconds=20)

    return move


@pytest.fixture
def product(client):
    return client.v1.products.create({"name": "Team"})


@pytest.fixture
def price(client, product):
    """Makes a monthly price in US dollars, or what is asked for."""

    def make(unit_amount=1000, interval="month", **params):
        amount = {} if "tiers" in params else {"unit_amount": unit_amount}
        recurring = {"interval": interval, **params.pop("recurring", {})}
        return client.v1.prices.create(
            {"product": product.id, "currency": "usd", "recurring": recurring, **amount, **params}
        ).id

    return make


@pytest.fixture
def customer(client, clock):
    """A customer on the test clock, with a card that pays."""
    made = client.v1.customers.create({"email": "ada@example.com", "test_clock": clock.id})
    give_card(client, made.id, "pm_card_visa")
    return made


def give_card(client, customer, token):
    method = client.v1.payment_methods.attach(token, {"customer": customer})
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method.id}})


@pytest.fixture
def subscribe(client, customer):
    def start(*prices, **params):
        items = [each if isinstance(each, dict) else {"price": each} for each in prices]
        return client.v1.subscriptions.create({"customer": customer.id, "items": items, **params})

    return start


def get(client, subscription):
    return client.v1.subscriptions.retrieve(subscription.id, {"expand": ["latest_invoice"]})


def item(subscription, number=0):
    return subscription["items"].data[number]


def invoices(client, subscription):
    """Oldest first: (reason, status, total)."""
    found = client.v1.invoices.list({"subscription": subscription.id, "limit": 100}).data
    return [(each.billing_reason, each.status, each.total) for each in found][::-1]


def types(client, prefix):
    events = client.v1.events.list({"limit": 100}).auto_paging_iter()
    return [event.type for event in events if event.type.startswith(prefix)][::-1]


def test_a_subscription_is_paid_at_once_and_active(client, subscribe, price):
    subscription = get(client, subscribe({"price": price(), "quantity": 3}))
    assert subscription.status == "active"
    assert subscription.latest_invoice.status == "paid"
    assert subscription.latest_invoice.total == 3000
    assert (item(subscription).current_period_start, item(subscription).current_period_end) == (START, FEBRUARY)
    line = subscription.latest_invoice.lines.data[0]
    assert line.description == "3 × Team (at $10.00 / month)"  # noqa: RUF001 -- Stripe's own sign
    assert line.parent.subscription_item_details.subscription == subscription.id
    assert line.pricing.price_details.price == item(subscription).price.id


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


def test_an_unpaid_first_invoice_leaves_it_incomplete_and_expires_it_after_23_hours(client, subscribe, price, at):
    subscription = subscribe(
        price(), payment_behavior="default_incomplete", expand=["latest_invoice.confirmation_secret"]
    )
    assert subscription.status == "incomplete"
    assert subscription.latest_invoice.confirmation_secret.client_secret.startswith("pi_")
    at(START + 23 * HOUR)
    assert get(client, subscription).status == "incomplete_expired"
    assert invoices(client, subscription) == [("subscription_create", "void", 1000)]


def test_confirming_the_first_payment_activates_the_subscription(client, subscribe, price):
    subscription = subscribe(price(), payment_behavior="default_incomplete", expand=["latest_invoice.payments"])
    intent = subscription.latest_invoice.payments.data[0].payment.payment_intent
    client.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_mastercard"})
    assert get(client, subscription).status == "active"


def test_a_declined_first_payment_is_incomplete_or_an_error_as_asked(client, customer, subscribe, price):
    give_card(client, customer.id, "pm_card_chargeCustomerFail")
    assert subscribe(price()).status == "incomplete"
    with pytest.raises(stripe.CardError) as error:
        subscribe(price(), payment_behavior="error_if_incomplete")
    assert error.value.code == "card_declined"
    assert len(client.v1.subscriptions.list({"status": "all"}).data) == 1


def test_without_a_payment_method_there_is_no_subscription(client, clock, price):
    poor = client.v1.customers.create({"test_clock": clock.id})
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        client.v1.subscriptions.create({"customer": poor.id, "items": [{"price": price()}]})


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


def test_a_preview_within_a_trial_shows_what_its_end_will_cost(client, subscribe, price):
    subscription = subscribe(price(1000), trial_period_days=10)
    preview = client.v1.invoices.create_preview({"subscription": subscription.id})
    assert (preview.total, preview.lines.data[0].period.start) == (1000, START + 10 * DAY)


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


def changed(client, subscription, price_id, behavior):
    client.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item(subscription).id, "price": price_id}], "proration_behavior": behavior}
    )


def prorations(client):
    return [entry.amount for entry in reversed(client.v1.invoice_items.list().data)]


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


def test_cancel_at_period_end_keeps_it_until_then(client, subscribe, price, at):
    subscription = subscribe(price())
    subscription = client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (subscription.status, subscription.cancel_at) == ("active", FEBRUARY)
    assert client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False}).cancel_at is None
    client.v1.subscriptions.update(subscription.id, {"cancel_at": "min_period_end"})
    at(FEBRUARY + HOUR)
    subscription = get(client, subscription)
    assert (subscription.status, subscription.ended_at) == ("canceled", FEBRUARY)
    assert len(invoices(client, subscription)) == 1
    assert types(client, "customer.subscription.deleted")


def test_of_two_ways_to_plan_the_end_the_last_one_counts(client, subscribe, price):
    subscription = subscribe(price())

    def end_of(**params):
        changed = client.v1.subscriptions.update(subscription.id, params)
        return changed.cancel_at_period_end, changed.cancel_at, changed.canceled_at is None

    assert end_of(cancel_at_period_end=True) == (True, FEBRUARY, False)
    assert end_of(cancel_at="") == (False, None, True)
    assert end_of(cancel_at=MARCH) == (False, MARCH, False)
    assert end_of(cancel_at_period_end=True) == (True, FEBRUARY, False)
    assert end_of(cancel_at=MARCH) == (False, MARCH, False)
    assert end_of(cancel_at_period_end=False) == (False, None, True)
    with pytest.raises(stripe.InvalidRequestError, match="only specify one"):
        end_of(cancel_at_period_end=True, cancel_at=MARCH)


def test_what_ends_now_is_planned_to_end_no_more(client, subscribe, price):
    subscription = subscribe(price())
    client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    canceled = client.v1.subscriptions.cancel(subscription.id)
    why = {"cancellation_details": {"feedback": "unused"}}
    assert client.v1.subscriptions.update(canceled.id, why).cancellation_details.feedback == "unused"
    with pytest.raises(stripe.InvalidRequestError, match="only update its cancellation_details and metadata"):
        client.v1.subscriptions.update(canceled.id, {**why, "cancel_at_period_end": True})
    assert (canceled.status, canceled.cancel_at, canceled.cancel_at_period_end) == ("canceled", None, False)


def test_an_end_within_the_period_is_credited_and_taken_back_charged(client, customer, subscribe, price, at):
    subscription = subscribe(price(3100))
    ended = client.v1.subscriptions.update(subscription.id, {"cancel_at": START + 10 * DAY})
    assert item(ended).current_period_end == START + 10 * DAY
    assert prorations(client) == [-2100]
    later = client.v1.subscriptions.update(subscription.id, {"cancel_at": START + 20 * DAY})
    assert (item(later).current_period_end, prorations(client)) == (START + 20 * DAY, [-2100, 1000])
    whole = client.v1.subscriptions.update(subscription.id, {"cancel_at": ""})
    assert (item(whole).current_period_end, prorations(client)) == (FEBRUARY, [-2100, 1000, 1100])
    client.v1.subscriptions.update(subscription.id, {"cancel_at": START + 30 * DAY, "proration_behavior": "none"})
    assert prorations(client) == [-2100, 1000, 1100]
    at(START + 30 * DAY + HOUR)
    assert get(client, subscription).status == "canceled"


def test_an_end_within_a_later_period_bills_that_period_in_part(client, subscribe, price, at):
    subscription = subscribe(price(2800))
    client.v1.subscriptions.update(subscription.id, {"cancel_at": FEBRUARY + 7 * DAY})
    at(FEBRUARY + HOUR)
    subscription = get(client, subscription)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "paid", 700)
    assert subscription.latest_invoice.lines.data[0].parent.subscription_item_details.proration
    assert item(subscription).current_period_end == FEBRUARY + 7 * DAY
    at(FEBRUARY + 8 * DAY)
    subscription = get(client, subscription)
    assert (subscription.status, subscription.ended_at) == ("canceled", FEBRUARY + 7 * DAY)
    assert len(invoices(client, subscription)) == 2


def test_a_subscription_made_to_end_within_its_first_period_costs_its_share(client, subscribe, price):
    subscription = subscribe(price(3100), cancel_at=START + 10 * DAY)
    assert get(client, subscription).latest_invoice.total == 1000


def test_cancel_now_with_proration_credits_the_unused_time(client, customer, subscribe, price, at):
    subscription = subscribe(price(3100))
    at(START + 10 * DAY)
    canceled = client.v1.subscriptions.cancel(subscription.id, {"prorate": True, "invoice_now": True})
    assert canceled.status == "canceled"
    assert client.v1.customers.retrieve(customer.id).balance == -2100


def test_a_paused_collection_voids_its_invoices_until_it_resumes(client, subscribe, price, at):
    subscription = subscribe(price())
    client.v1.subscriptions.update(
        subscription.id, {"pause_collection": {"behavior": "void", "resumes_at": MARCH - DAY}}
    )
    at(FEBRUARY + HOUR)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "void", 1000)
    at(MARCH + HOUR)
    assert invoices(client, subscription)[-1] == ("subscription_cycle", "paid", 1000)


@pytest.mark.parametrize(
    ("behavior", "status"), [("void", "void"), ("mark_uncollectible", "uncollectible"), ("keep_as_draft", "draft")]
)
def test_what_a_change_bills_while_collection_is_paused_is_put_by_as_a_renewal_is(
    client, subscribe, price, behavior, status
):
    subscription = subscribe(price())
    client.v1.subscriptions.update(subscription.id, {"pause_collection": {"behavior": behavior}})
    dearer = [{"id": subscription["items"].data[0].id, "price": price(3000)}]
    how = {"proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete"}
    client.v1.subscriptions.update(subscription.id, {"items": dearer, **how})
    assert invoices(client, subscription)[-1] == ("subscription_update", status, 2000)


@pytest.mark.parametrize(
    ("coupon", "totals"),
    [
        ({"percent_off": 50, "duration": "once"}, [500, 1000, 1000]),
        ({"amount_off": 300, "currency": "usd", "duration": "forever"}, [700, 700, 700]),
        ({"percent_off": 10, "duration": "repeating", "duration_in_months": 2}, [900, 900, 1000]),
    ],
)
def test_coupons_count_once_for_some_months_or_forever(client, subscribe, price, at, coupon, totals):
    made = client.v1.coupons.create(coupon)
    subscription = subscribe(price(), discounts=[{"coupon": made.id}])
    at(MARCH + HOUR)
    assert [total for _, _, total in invoices(client, subscription)] == totals


def test_an_exclusive_and_an_inclusive_tax(client, subscribe, price):
    on_top = client.v1.tax_rates.create({"display_name": "Sales tax", "percentage": 8.25, "inclusive": False})
    within = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": True})
    taxed = get(client, subscribe(price(1999), default_tax_rates=[on_top.id])).latest_invoice
    # 19.99 x 8.25 % = 1.649
    assert (taxed.subtotal, taxed.total, taxed.total_excluding_tax) == (1999, 2164, 1999)
    assert taxed.total_taxes[0].amount == 165
    taxed = get(client, subscribe(price(1200), default_tax_rates=[within.id])).latest_invoice
    assert (taxed.subtotal, taxed.total, taxed.total_excluding_tax) == (1200, 1200, 1000)


def test_tiers_and_several_items_are_added_up(client, subscribe, price):
    tiers = [
        {"up_to": 5, "unit_amount": 700},
        {"up_to": 10, "unit_amount": 650},
        {"up_to": "inf", "unit_amount": 600},
    ]
    graduated = price(tiers=tiers, tiers_mode="graduated", billing_scheme="tiered")
    volume = price(tiers=tiers, tiers_mode="volume", billing_scheme="tiered")
    both = subscribe({"price": graduated, "quantity": 6}, {"price": volume, "quantity": 6})
    # 5 x 7 + 1 x 6.50 = 41.50 and 6 x 6.50 = 39
    assert get(client, both).latest_invoice.total == 4150 + 3900


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


def test_a_coupon_for_once_outlives_the_trial(client, subscribe, price, at):
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "once"})
    subscription = subscribe(price(1000), trial_period_days=10, discounts=[{"coupon": coupon.id}])
    at(START + 10 * DAY + 2 * HOUR)
    assert [total for _, _, total in invoices(client, subscription)] == [0, 500]


def test_a_currency_option_decides_what_is_charged(client, subscribe, product):
    yen = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
            "currency_options": {"jpy": {"unit_amount": 1500}},
        }
    )
    subscription = get(client, subscribe(yen.id, currency="jpy"))
    assert (subscription.currency, subscription.latest_invoice.total) == ("jpy", 1500)


def test_an_item_can_be_added_changed_and_removed_by_itself(client, subscribe, price, at):
    subscription = subscribe(price(1000))
    at(START + 15 * DAY + 12 * HOUR)
    added = client.v1.subscription_items.create({"subscription": subscription.id, "price": price(500), "quantity": 2})
    assert client.v1.invoice_items.list({"pending": True}).data[0].amount == 500
    client.v1.subscription_items.update(added.id, {"quantity": 4, "proration_behavior": "none"})
    assert [each.quantity for each in client.v1.subscription_items.list({"subscription": subscription.id}).data] == [
        4,
        1,
    ]
    client.v1.subscription_items.delete(added.id, {"proration_behavior": "none"})
    assert len(get(client, subscription)["items"].data) == 1


def test_a_plan_sent_as_an_invoice_waits_for_its_due_date(client, subscribe, price, at):
    subscription = subscribe(price(), collection_method="send_invoice", days_until_due=30)
    assert subscription.status == "active"
    at(START + HOUR)
    last = get(client, subscription).latest_invoice
    assert (last.status, last.due_date) == ("open", START + 30 * DAY)
    assert types(client, "invoice.sent")
    at(START + 30 * DAY)
    assert get(client, subscription).status == "past_due"
    assert types(client, "invoice.overdue")
    client.v1.invoices.pay(last.id, {"paid_out_of_band": True})
    assert get(client, subscription).status == "active"


def test_billing_anchors_make_a_shorter_first_period_at_its_share(client, subscribe, price):
    # Anchored on the 16th: 15 of 31 days (16 December to 16 January) are left.
    subscription = get(client, subscribe(price(3100), billing_cycle_anchor_config={"day_of_month": 16}))
    assert item(subscription).current_period_end == START + 15 * DAY
    assert subscription.latest_invoice.total == 1500


def test_a_classic_subscription_migrates_to_flexible_billing_once(client, subscribe, price):
    classic = subscribe(price(1000), billing_mode={"type": "classic"})
    migrated = client.v1.subscriptions.migrate(classic.id, {"billing_mode": {"type": "flexible"}})
    assert (migrated.billing_mode.type, migrated.billing_mode.updated_at) == ("flexible", START)
    with pytest.raises(stripe.InvalidRequestError, match="already has the flexible billing mode"):
        client.v1.subscriptions.migrate(classic.id, {"billing_mode": {"type": "flexible"}})


def test_an_update_that_is_invoiced_is_told_once_with_its_invoice(client, subscribe, price, at):
    subscription = subscribe(price(1000))
    at(START + 10 * DAY)
    seen = len(types(client, "customer.subscription.updated"))
    changed(client, subscription, price(2000), "always_invoice")
    [event, *_] = client.v1.events.list({"type": "customer.subscription.updated"}).data
    assert len(types(client, "customer.subscription.updated")) == seen + 1
    told = event.data
    assert told.object.latest_invoice == get(client, subscription).latest_invoice.id
    assert told.previous_attributes["latest_invoice"] == subscription.latest_invoice
    assert "items" in told.previous_attributes


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


def test_a_customer_has_one_currency_at_a_time(client, subscribe, product, price):
    euros = client.v1.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": 1000, "recurring": {"interval": "month"}}
    ).id
    subscription = subscribe(price(1000))
    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies"):
        subscribe(euros)
    client.v1.subscriptions.cancel(subscription.id)
    assert subscribe(euros).currency == "eur"
