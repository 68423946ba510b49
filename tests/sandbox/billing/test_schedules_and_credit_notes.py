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
