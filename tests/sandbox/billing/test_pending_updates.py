"""Changes that wait for their payment, and subscriptions whose first payment is not there.

Sources: docs.stripe.com/billing/subscriptions/pending-updates and .../pending-updates-reference;
docs.stripe.com/api/subscriptions/object (`status`).
"""

import pytest
import stripe

HOUR, DAY = 3600, 24 * 3600


@pytest.fixture
def v1(stripe_client):
    return stripe_client.v1


@pytest.fixture
def price(v1):
    """Makes a monthly price in US dollars."""
    product = v1.products.create({"name": "Team"}).id

    def make(unit_amount):
        given = {"product": product, "currency": "usd", "unit_amount": unit_amount, "recurring": {"interval": "month"}}
        return v1.prices.create(given).id

    return make


@pytest.fixture
def subscribed(v1, price):
    """A subscription to a price of $10.00 of a customer whose card will be declined from now on."""
    card = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    customer = v1.customers.create(card)
    made = v1.subscriptions.create({"customer": customer.id, "items": [{"price": price(1000)}]})
    failing = v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": failing.id}})
    return made


@pytest.fixture
def upgrade(v1, price, subscribed):
    """Asks for a price of $30.00 at once, if it is paid; keywords are further parameters."""

    def ask(**params):
        item = {"id": subscribed["items"].data[0].id, "price": price(3000)}
        given = {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice"}
        return v1.subscriptions.update(subscribed.id, {"items": [item], **given, **params})

    return ask


def _types(v1):
    found = [each.type for each in v1.events.list({"limit": 100}).data]
    return [each for each in found if each.startswith("customer.subscription.")]


def _amount(subscription):
    return subscription["items"].data[0].price.unit_amount


def test_a_change_that_is_not_paid_waits(v1, subscribed, upgrade):
    waiting = upgrade()
    assert (_amount(waiting), waiting.status) == (1000, "active")
    assert waiting.pending_update.subscription_items[0].price.unit_amount == 3000
    assert waiting.pending_update.subscription_items[0].id == subscribed["items"].data[0].id
    assert waiting.pending_update.billing_cycle_anchor is None
    invoice = v1.invoices.retrieve(waiting.latest_invoice)
    assert (invoice.status, invoice.billing_reason) == ("open", "subscription_update")
    seconds = waiting.pending_update.expires_at - invoice.created
    assert abs(seconds - 23 * HOUR) < 60
    assert _types(v1)[0] == "customer.subscription.updated"


def test_a_change_that_is_paid_later_is_made_then(v1, upgrade):
    waiting = upgrade()
    good = v1.payment_methods.attach("pm_card_mastercard", {"customer": waiting.customer})
    assert v1.invoices.pay(waiting.latest_invoice, {"payment_method": good.id}).status == "paid"
    changed = v1.subscriptions.retrieve(waiting.id)
    assert (_amount(changed), changed.pending_update) == (3000, None)
    assert _types(v1)[:2] == ["customer.subscription.pending_update_applied", "customer.subscription.updated"]


def test_a_change_that_is_paid_at_once_never_waits(v1, subscribed, upgrade):
    good = v1.payment_methods.attach("pm_card_mastercard", {"customer": subscribed.customer})
    v1.customers.update(subscribed.customer, {"invoice_settings": {"default_payment_method": good.id}})
    changed = upgrade()
    assert (_amount(changed), changed.pending_update) == (3000, None)
    assert "customer.subscription.pending_update_applied" not in _types(v1)


def test_a_change_is_dropped_with_its_invoice(v1, upgrade):
    waiting = upgrade()
    v1.invoices.void_invoice(waiting.latest_invoice)
    kept = v1.subscriptions.retrieve(waiting.id)
    assert (_amount(kept), kept.status, kept.pending_update) == (1000, "active", None)


def test_a_change_expires_after_23_hours_and_its_invoice_is_void(sandbox_server, v1, upgrade):
    waiting = upgrade()
    sandbox_server.advance(23 * HOUR + 60)
    kept = v1.subscriptions.retrieve(waiting.id)
    assert (_amount(kept), kept.status, kept.pending_update) == (1000, "active", None)
    assert v1.invoices.retrieve(waiting.latest_invoice).status == "void"
    assert _types(v1)[0] == "customer.subscription.pending_update_expired"


def test_the_period_s_end_comes_first_where_it_is_near(sandbox_server, v1, subscribed, upgrade):
    ends = subscribed["items"].data[0].current_period_end
    sandbox_server.advance(ends - subscribed.created - HOUR)
    waiting = upgrade(billing_cycle_anchor={"type": "now"}).pending_update
    assert waiting.expires_at == ends
    assert 0 <= waiting.billing_cycle_anchor - (ends - HOUR) < 60


def test_the_end_of_the_subscription_drops_the_change(v1, upgrade):
    waiting = upgrade()
    v1.subscriptions.cancel(waiting.id)
    assert v1.subscriptions.retrieve(waiting.id).pending_update is None
    assert v1.invoices.retrieve(waiting.latest_invoice).status == "void"


def test_a_change_without_an_invoice_does_not_wait(upgrade):
    changed = upgrade(proration_behavior="create_prorations")
    assert (_amount(changed), changed.pending_update) == (3000, None)


@pytest.mark.parametrize(
    ("params", "param"),
    [({"default_payment_method": "pm_card_visa"}, "default_payment_method"), ({"description": "Tea"}, "description")],
)
def test_only_what_is_documented_can_wait(upgrade, params, param):
    with pytest.raises(stripe.InvalidRequestError) as error:
        upgrade(**params)
    assert error.value.param == param


def test_a_new_item_waits_too(v1, price, subscribed):
    given = {"payment_behavior": "pending_if_incomplete", "proration_behavior": "always_invoice"}
    item = v1.subscription_items.create({"subscription": subscribed.id, "price": price(500), **given})
    assert item.price.unit_amount == 500
    waiting = v1.subscriptions.retrieve(subscribed.id)
    assert len(waiting["items"].data) == 1
    assert [each.id for each in waiting.pending_update.subscription_items][-1] == item.id


@pytest.fixture
def incomplete(v1, price):
    """A subscription whose first invoice waits for the buyer."""
    customer = v1.customers.create().id
    given = {"payment_behavior": "default_incomplete", "items": [{"price": price(1000)}]}
    return v1.subscriptions.create({"customer": customer, **given})


def test_an_incomplete_subscription_takes_notes_only(v1, price, incomplete):
    assert v1.subscriptions.update(incomplete.id, {"metadata": {"a": "b"}}).metadata["a"] == "b"
    for params in (
        {"items": [{"id": incomplete["items"].data[0].id, "price": price(3000)}]},
        {"cancel_at_period_end": True},
        {"trial_end": "now"},
    ):
        with pytest.raises(stripe.InvalidRequestError) as error:
            v1.subscriptions.update(incomplete.id, params)
        assert error.value.param == next(iter(params))
    assert v1.subscriptions.cancel(incomplete.id).status in ("canceled", "incomplete_expired")
