"""Subscriptions as they begin and as they are: first payments, amounts, items, anchors and currencies."""

import pytest
import stripe

from harness.clocked import DAY, FEBRUARY, HOUR, MARCH, START, changed, get, give_card, invoices, item, types


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


def test_a_customer_has_one_currency_at_a_time(client, subscribe, product, price):
    euros = client.v1.prices.create(
        {"product": product.id, "currency": "eur", "unit_amount": 1000, "recurring": {"interval": "month"}}
    ).id
    subscription = subscribe(price(1000))
    with pytest.raises(stripe.InvalidRequestError, match="cannot combine currencies"):
        subscribe(euros)
    client.v1.subscriptions.cancel(subscription.id)
    assert subscribe(euros).currency == "eur"
