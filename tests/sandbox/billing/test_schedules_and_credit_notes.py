"""Subscription schedules and credit notes, over the SDK."""

import httpx
import pytest
import stripe

DAY, HOUR = 86_400, 3_600
START = 1_767_225_600  # 1 January 2026


@pytest.fixture
def server(sandbox_factory):
    return sandbox_factory(clock=START)


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def customer(client):
    """A customer with a card that pays."""
    made = client.v1.customers.create({"email": "ada@example.com"})
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": made.id})
    client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": method.id}})
    return made


@pytest.fixture
def price(client):
    """Makes a monthly price."""
    product = client.v1.products.create({"name": "Team"})

    def make(amount):
        recurring = {"interval": "month"}
        return client.v1.prices.create(
            {"product": product.id, "currency": "usd", "unit_amount": amount, "recurring": recurring}
        ).id

    return make


@pytest.fixture
def later(server):
    """Lets seconds pass on the sandbox's clock."""

    def advance(seconds):
        httpx.post(f"{server.url}/_sandbox/clock/advance", json={"by": seconds}, timeout=30).raise_for_status()

    return advance


@pytest.fixture
def paid_invoice(client, customer):
    """An invoice over 20 USD; paid on request."""

    def make(*, pay):
        invoice = client.v1.invoices.create({"customer": customer.id, "currency": "usd"})
        client.v1.invoice_items.create(
            {"customer": customer.id, "invoice": invoice.id, "amount": 2000, "currency": "usd"}
        )
        client.v1.invoices.finalize_invoice(invoice.id)
        return client.v1.invoices.pay(invoice.id) if pay else client.v1.invoices.retrieve(invoice.id)

    return make


def test_a_schedule_starts_later_changes_its_phase_and_releases_the_subscription(client, customer, price, later):
    schedule = client.v1.subscription_schedules.create(
        {
            "customer": customer.id,
            "start_date": START + DAY,
            "phases": [
                {"items": [{"price": price(1000)}], "duration": {"interval": "month", "interval_count": 1}},
                {"items": [{"price": price(3000), "quantity": 2}], "duration": {"interval": "month"}},
            ],
        }
    )
    assert (schedule.status, schedule.subscription) == ("not_started", None)
    later(DAY + 2 * HOUR)
    schedule = client.v1.subscription_schedules.retrieve(schedule.id, {"expand": ["subscription.latest_invoice"]})
    assert (schedule.status, schedule.subscription.status) == ("active", "active")
    assert schedule.subscription.latest_invoice.amount_paid == 1000
    later(31 * DAY)
    subscription = client.v1.subscriptions.retrieve(schedule.subscription.id, {"expand": ["latest_invoice"]})
    assert subscription["items"].data[0].quantity == 2
    later(31 * DAY)
    assert client.v1.subscription_schedules.retrieve(schedule.id).status == "completed"
    released = client.v1.subscriptions.retrieve(subscription.id)
    assert (released.status, released.schedule) == ("active", None)


def test_a_schedule_around_a_subscription_plans_its_downgrade(client, customer, price, later):
    expensive, cheap = price(3000), price(1000)
    subscription = client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": expensive}]})
    schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
    phase = schedule.phases[0]
    client.v1.subscription_schedules.update(
        schedule.id,
        {
            "phases": [
                {"items": [{"price": expensive}], "start_date": phase.start_date, "end_date": phase.end_date},
                {"items": [{"price": cheap}], "proration_behavior": "none", "duration": {"interval": "month"}},
            ]
        },
    )
    assert client.v1.subscriptions.retrieve(subscription.id)["items"].data[0].price.id == expensive
    later(31 * DAY + 2 * HOUR)
    assert client.v1.subscriptions.retrieve(subscription.id)["items"].data[0].price.id == cheap


@pytest.fixture
def planned(client, customer, price):
    """A subscription over 30 USD a month, and what its schedule says of the time after this month."""

    def make(**phase):
        params = {"customer": customer.id, "items": [{"price": price(3000)}]}
        subscription = client.v1.subscriptions.create(params)
        schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
        first = schedule.phases[0]
        now = {
            "items": [{"price": subscription["items"].data[0].price.id}],
            "start_date": first.start_date,
            "end_date": first.end_date,
        }
        then = {"duration": {"interval": "month", "interval_count": 2}, **phase}
        client.v1.subscription_schedules.update(schedule.id, {"phases": [now, then]})
        return client.v1.subscriptions.retrieve(subscription.id)

    return make


def renews(subscription):
    """The first renewal; the clock runs on while a test does."""
    return subscription["items"].data[0].current_period_end


def invoices(client, subscription):
    """Oldest first: (reason, total, amounts of the lines)."""
    found = client.v1.invoices.list({"subscription": subscription.id}).data
    return [(each.billing_reason, each.total, [line.amount for line in each.lines.data]) for each in reversed(found)]


@pytest.mark.parametrize("behavior", ["none", "create_prorations", "always_invoice"])
def test_a_phase_that_begins_with_a_period_gives_one_renewal_at_its_price(client, price, planned, later, behavior):
    subscription = planned(items=[{"price": price(1000)}], proration_behavior=behavior)
    later(31 * DAY + 2 * HOUR)
    assert invoices(client, subscription) == [
        ("subscription_create", 3000, [3000]),
        ("subscription_cycle", 1000, [1000]),
    ]
    later(28 * DAY)
    assert invoices(client, subscription)[2:] == [("subscription_cycle", 1000, [1000])]


def test_a_phase_with_another_interval_begins_a_full_period(client, price, planned, later):
    yearly = client.v1.prices.create(
        {
            "product": client.v1.products.create({"name": "Year"}).id,
            "currency": "usd",
            "unit_amount": 30000,
            "recurring": {"interval": "year"},
        }
    ).id
    subscription = planned(items=[{"price": yearly}], duration={"interval": "year"})
    later(31 * DAY + 2 * HOUR)
    assert invoices(client, subscription)[1:] == [("subscription_cycle", 30000, [30000])]
    changed = client.v1.subscriptions.retrieve(subscription.id)
    assert changed.billing_cycle_anchor == changed["items"].data[0].current_period_start == renews(subscription)


def test_a_later_phase_brings_all_that_it_says(client, customer, price, planned, later):
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    tax = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 10, "inclusive": False})
    card = client.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
    once = client.v1.prices.create(
        {"product": client.v1.products.create({"name": "Set-up"}).id, "currency": "usd", "unit_amount": 700}
    )
    subscription = planned(
        items=[{"price": price(1000), "quantity": 2}],
        discounts=[{"coupon": coupon.id}],
        default_tax_rates=[tax.id],
        default_payment_method=card.id,
        description="Small",
        metadata={"size": "small"},
        add_invoice_items=[{"price": once.id}],
    )
    later(31 * DAY + 2 * HOUR)
    changed = client.v1.subscriptions.retrieve(subscription.id, {"expand": ["discounts"]})
    assert (changed.description, changed.metadata["size"]) == ("Small", "small")
    assert changed.default_payment_method == card.id
    assert [rate.id for rate in changed.default_tax_rates] == [tax.id]
    assert [each.source.coupon for each in changed.discounts] == [coupon.id]
    # (7.00 + 20.00) / 2 and a tenth of it
    reason, total, lines = invoices(client, subscription)[1]
    assert (reason, total, sorted(lines)) == ("subscription_cycle", 1485, [700, 2000])


def test_the_next_invoice_of_a_schedule_is_that_of_its_next_phase(client, price, planned):
    subscription = planned(items=[{"price": price(1000), "quantity": 2}])
    preview = client.v1.invoices.create_preview({"schedule": subscription.schedule})
    assert (preview.total, preview.lines.data[0].period.start) == (2000, renews(subscription))
    assert client.v1.subscriptions.retrieve(subscription.id) == subscription
    assert len(client.v1.events.list({"type": "subscription_schedule.updated"}).data) == 2  # as before
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.create_preview({"schedule": subscription.schedule, "subscription": subscription.id})


def test_a_phase_may_be_a_trial(client, price, planned, later):
    subscription = planned(items=[{"price": price(1000)}], trial=True, duration={"interval": "month"})
    later(31 * DAY + 2 * HOUR)
    changed = client.v1.subscriptions.retrieve(subscription.id)
    assert (changed.status, changed.trial_end) == ("trialing", renews(subscription) + 28 * DAY)
    assert len(invoices(client, subscription)) == 1
    later(28 * DAY)
    assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert invoices(client, subscription)[-1] == ("subscription_cycle", 1000, [1000])


def test_a_phase_may_move_the_anchor_to_its_start(client, price, planned, later):
    phase = {"items": [{"price": price(3000)}], "billing_cycle_anchor": "phase_start"}
    subscription = planned(**phase)
    schedule = client.v1.subscription_schedules.retrieve(subscription.schedule)
    begun = subscription.start_date
    half = begun + 15 * DAY + 12 * HOUR
    first = {"items": [{"price": subscription["items"].data[0].price.id}], "start_date": begun, "end_date": half}
    then = {**phase, "duration": {"interval": "month"}}
    client.v1.subscription_schedules.update(schedule.id, {"phases": [first, then]})
    later(15 * DAY + 14 * HOUR)
    changed = client.v1.subscriptions.retrieve(subscription.id)
    assert changed.billing_cycle_anchor == changed["items"].data[0].current_period_start == half
    assert invoices(client, subscription)[1:] == [("subscription_update", 1500, [-1500, 3000])]


@pytest.mark.parametrize("params", [{"cancel_at_period_end": True}, {"cancel_at": START + 90 * DAY}])
def test_a_schedule_decides_when_its_subscription_ends(client, price, planned, params):
    subscription = planned(items=[{"price": price(1000)}])
    with pytest.raises(
        stripe.InvalidRequestError, match=f"managed by the subscription schedule `{subscription.schedule}`"
    ):
        client.v1.subscriptions.update(subscription.id, params)
    assert client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False}).cancel_at is None


def test_a_schedule_is_released_or_canceled_with_its_subscription(client, customer, price):
    phases = [{"items": [{"price": price(1000)}], "duration": {"interval": "year"}}]

    def start():
        return client.v1.subscription_schedules.create({"customer": customer.id, "start_date": "now", "phases": phases})

    released = client.v1.subscription_schedules.release(start().id)
    assert (released.status, released.subscription) == ("released", None)
    assert client.v1.subscriptions.retrieve(released.released_subscription).status == "active"
    canceled = client.v1.subscription_schedules.cancel(start().id)
    assert client.v1.subscriptions.retrieve(canceled.subscription).status == "canceled"


def test_a_credit_note_lowers_what_an_open_invoice_asks_for(client, paid_invoice):
    invoice = paid_invoice(pay=False)
    note = client.v1.credit_notes.create({"invoice": invoice.id, "amount": 500, "reason": "order_change"})
    assert (note.status, note.type, note.total) == ("issued", "pre_payment", 500)
    assert client.v1.invoices.retrieve(invoice.id).amount_remaining == 1500
    assert client.v1.credit_notes.void_credit_note(note.id).status == "void"
    assert client.v1.invoices.pay(invoice.id).amount_paid == 2000


def test_a_credit_note_of_a_paid_invoice_refunds_and_credits(client, customer, paid_invoice):
    invoice = paid_invoice(pay=True)
    with pytest.raises(stripe.InvalidRequestError, match="must equal"):
        client.v1.credit_notes.create({"invoice": invoice.id, "amount": 1200})
    note = client.v1.credit_notes.create(
        {"invoice": invoice.id, "amount": 1200, "refund_amount": 700, "credit_amount": 500}
    )
    assert (note.type, note.refunds[0].amount_refunded) == ("post_payment", 700)
    assert client.v1.customers.retrieve(customer.id).balance == -500
    assert client.v1.invoices.retrieve(invoice.id).post_payment_credit_notes_amount == 1200


@pytest.fixture
def taxed(client, customer):
    """A paid invoice: three at 10 USD, half off, 20 % tax on top: 18 USD."""
    coupon = client.v1.coupons.create({"percent_off": 50, "duration": "once"})
    tax = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    once = client.v1.prices.create(
        {"product": client.v1.products.create({"name": "Seat"}).id, "currency": "usd", "unit_amount": 1000}
    )
    params = {"customer": customer.id, "discounts": [{"coupon": coupon.id}], "default_tax_rates": [tax.id]}
    invoice = client.v1.invoices.create({**params, "currency": "usd"})
    client.v1.invoice_items.create(
        {"customer": customer.id, "invoice": invoice.id, "pricing": {"price": once.id}, "quantity": 3}
    )
    paid = client.v1.invoices.pay(invoice.id)
    assert paid.amount_paid == 1800
    return paid


def test_a_credit_note_of_some_units_has_their_discount_and_tax(client, taxed):
    line = {"type": "invoice_line_item", "invoice_line_item": taxed.lines.data[0].id, "quantity": 2}
    note = client.v1.credit_notes.create({"invoice": taxed.id, "lines": [line], "refund_amount": 1200})
    assert (note.subtotal, note.discount_amount, note.total_excluding_tax, note.total) == (2000, 1000, 1000, 1200)
    assert [(tax.amount, tax.taxable_amount) for tax in note.total_taxes] == [(200, 1000)]
    (made,) = client.v1.credit_notes.line_items.list(note.id).data
    assert (made.amount, made.quantity, made.discount_amount, made.taxes[0].amount) == (2000, 2, 1000, 200)
    too_many = {**line, "quantity": 4}
    with pytest.raises(stripe.InvalidRequestError, match="quantity"):
        client.v1.credit_notes.create({"invoice": taxed.id, "lines": [too_many], "refund_amount": 1})


def test_a_credit_note_is_previewed_without_being_made(client, taxed):
    line = {"type": "invoice_line_item", "invoice_line_item": taxed.lines.data[0].id, "amount": 1500}
    preview = client.v1.credit_notes.preview({"invoice": taxed.id, "lines": [line]})
    assert (preview.subtotal, preview.total) == (1500, 900)
    assert client.v1.credit_notes.list({"invoice": taxed.id}).data == []
    lines = client.v1.credit_notes.preview_lines.list({"invoice": taxed.id, "lines": [line]})
    assert [each.amount for each in lines.data] == [1500]


def test_a_line_of_ones_own_is_taxed_as_it_says(client, taxed):
    tax = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 10, "inclusive": False})
    line = {
        "type": "custom_line_item",
        "description": "Sorry",
        "quantity": 2,
        "unit_amount": 100,
        "tax_rates": [tax.id],
    }
    note = client.v1.credit_notes.create({"invoice": taxed.id, "lines": [line], "credit_amount": 220})
    assert (note.subtotal, note.total, note.lines.data[0].description) == (200, 220, "Sorry")
