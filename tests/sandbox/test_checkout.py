"""Checkout sessions through the SDK, paid as the hosted page (and the Stripe CLI) pays them."""

import pytest
import stripe

from gateway.sandbox.billing import checkout

MONTH = {"interval": "month"}


@pytest.fixture
def prices(stripe_client):
    """Prices of one product: a one-off, a monthly and a metered one."""
    product = stripe_client.v1.products.create({"name": "Team"})

    def make(**params):
        return stripe_client.v1.prices.create({"product": product.id, "currency": "usd", **params})

    return {"once": make(unit_amount=500), "monthly": make(unit_amount=1900, recurring=MONTH)}


@pytest.fixture
def open_session(stripe_client, prices):
    def open_one(price="monthly", mode="subscription", **params):
        return stripe_client.v1.checkout.sessions.create(
            {
                "mode": mode,
                "line_items": [{"price": prices[price].id, "quantity": 2}],
                "success_url": "https://shop.test/done?session_id={CHECKOUT_SESSION_ID}",
                **params,
            }
        )

    return open_one


@pytest.fixture
def pay(sandbox_server):
    def pay_with(session, token="pm_card_visa", **buyer):
        buyer.setdefault("email", "ada@example.com")
        return checkout.complete(sandbox_server.sandbox, session.id, token, **buyer)

    return pay_with


def types(client):
    """The types of all events so far, in order."""
    return [event.type for event in client.v1.events.list({"limit": 100}).auto_paging_iter()][::-1]


def test_a_new_session_shows_what_it_will_cost_and_where_to_pay(open_session, sandbox_server):
    session = open_session()
    assert (session.status, session.payment_status) == ("open", "unpaid")
    assert (session.amount_subtotal, session.amount_total, session.currency) == (3800, 3800, "usd")
    assert session.url == f"{sandbox_server.url}/c/pay/{session.id}"
    assert session.expires_at == session.created + 86400


def test_paying_for_a_subscription_completes_the_session_and_starts_it(stripe_client, open_session, pay):
    outcome = pay(open_session(subscription_data={"metadata": {"team": "7"}}))
    assert outcome.status == "paid"
    session = stripe_client.v1.checkout.sessions.retrieve(
        outcome.session["id"], {"expand": ["subscription.latest_invoice.payments", "customer", "line_items"]}
    )
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert session.customer.email == session.customer_details.email == "ada@example.com"
    subscription = session.subscription
    assert (subscription.status, subscription.metadata["team"]) == ("active", "7")
    assert subscription["items"].data[0].quantity == 2
    assert subscription.default_payment_method.startswith("pm_")
    invoice = subscription.latest_invoice
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 3800, "subscription_create")
    assert invoice.payments.data[0].payment.payment_intent.startswith("pi_")
    assert session.line_items.data[0].amount_total == 3800


def test_the_events_of_a_purchase_come_in_stripes_order(stripe_client, open_session, pay):
    pay(open_session())
    assert [type for type in types(stripe_client) if not type.startswith(("product", "price", "plan"))] == [
        "customer.created",
        "payment_method.attached",
        "invoice.created",
        "customer.subscription.created",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.updated",
        "invoice.paid",
        "invoice_payment.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
        "checkout.session.completed",
    ]


def test_a_one_off_purchase_by_a_guest_has_a_payment_intent_and_no_customer(stripe_client, open_session, pay):
    outcome = pay(open_session("once", "payment", payment_intent_data={"metadata": {"order": "1"}}))
    session = stripe_client.v1.checkout.sessions.retrieve(outcome.session["id"], {"expand": ["payment_intent"]})
    assert (session.payment_status, session.customer) == ("paid", None)
    assert (session.payment_intent.amount_received, session.payment_intent.metadata["order"]) == (1000, "1")


def test_a_declined_card_leaves_the_session_open_for_another_one(stripe_client, open_session, pay):
    session = open_session()
    declined = pay(session, "pm_card_visa_chargeDeclinedInsufficientFunds")
    assert (declined.status, declined.message) == ("declined", "Your card has insufficient funds.")
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert pay(session).status == "paid"
    assert len(stripe_client.v1.subscriptions.list({"status": "all"}).data) == 1
    assert "invoice.payment_failed" in types(stripe_client)


def test_a_session_is_paid_once(open_session, pay):
    session = open_session()
    assert pay(session).status == "paid"
    assert pay(session).status == "complete"


def test_three_d_secure_is_asked_for_and_answered(sandbox_server, open_session, pay):
    session = open_session()
    assert pay(session, "pm_card_threeDSecure2Required").status == "requires_action"
    refused = checkout.authenticate(sandbox_server.sandbox, session.id, succeeded=False)
    assert refused.status == "declined"
    assert "authenticate" in refused.message
    assert pay(session, "pm_card_threeDSecure2Required").status == "requires_action"
    assert checkout.authenticate(sandbox_server.sandbox, session.id, succeeded=True).status == "paid"


def test_a_trial_takes_the_card_and_no_money(stripe_client, open_session, pay):
    session = open_session(subscription_data={"trial_period_days": 14})
    assert session.amount_total == 0
    outcome = pay(session)
    assert (outcome.status, outcome.session["payment_status"]) == ("paid", "no_payment_required")
    subscription = stripe_client.v1.subscriptions.retrieve(
        outcome.session["subscription"], {"expand": ["latest_invoice"]}
    )
    assert (subscription.status, subscription.latest_invoice.total) == ("trialing", 0)
    assert subscription.trial_end - subscription.trial_start == 14 * 86400
    assert subscription.latest_invoice.lines.data[0].description == "Trial period for Team"


@pytest.mark.parametrize(
    ("token", "event", "payment_status", "status"),
    [
        ("pm_usBankAccount_success", "checkout.session.async_payment_succeeded", "paid", "active"),
        ("pm_usBankAccount_insufficientFunds", "checkout.session.async_payment_failed", "unpaid", "past_due"),
    ],
)
def test_a_bank_debit_tells_its_outcome_later(
    stripe_client, sandbox_server, open_session, pay, token, event, payment_status, status
):
    outcome = pay(open_session(), token)
    assert (outcome.status, outcome.session["payment_status"]) == ("processing", "unpaid")
    sandbox_server.sandbox.clock.advance(sandbox_server.sandbox.now() + 120)
    session = stripe_client.v1.checkout.sessions.retrieve(outcome.session["id"], {"expand": ["subscription"]})
    assert (session.payment_status, session.subscription.status) == (payment_status, status)
    assert event in types(stripe_client)


def test_setup_mode_saves_a_payment_method(stripe_client, open_session, pay):
    customer = stripe_client.v1.customers.create({"email": "ada@example.com"})
    session = stripe_client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": "https://shop.test"}
    )
    assert pay(session).status == "paid"
    assert len(stripe_client.v1.customers.payment_methods.list(customer.id).data) == 1


def test_a_session_expires_by_itself_after_a_day(stripe_client, sandbox_server, open_session, pay):
    session = open_session()
    sandbox_server.sandbox.clock.advance(session.expires_at)
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert types(stripe_client)[-1] == "checkout.session.expired"
    assert pay(session).status == "expired"


def test_a_promotion_code_is_typed_in_on_the_page(stripe_client, sandbox_server, open_session, pay):
    from gateway.sandbox.resources.checkout_sessions import apply_promotion_code

    coupon = stripe_client.v1.coupons.create({"percent_off": 25, "duration": "once"})
    stripe_client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "HELLO"})
    session = open_session(allow_promotion_codes=True)
    assert apply_promotion_code(sandbox_server.sandbox, session.id, "hello")["amount_total"] == 2850
    outcome = pay(session)
    assert outcome.session["total_details"]["amount_discount"] == 950
    invoice = stripe_client.v1.invoices.retrieve(outcome.session["invoice"])
    assert (invoice.subtotal, invoice.total) == (3800, 2850)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"success_url": None}, "success_url"),
        ({"mode": "payment"}, "line_items"),
        ({"success_url": "nonsense"}, "success_url"),
        ({"expires_at": 1}, "expires_at"),
        ({"customer": "cus_none"}, "customer"),
        ({"line_items": [{"price": "price_none", "quantity": 1}]}, "line_items[0][price]"),
    ],
)
def test_what_stripe_refuses_is_refused(stripe_client, prices, change, param):
    params = {
        "mode": "subscription",
        "line_items": [{"price": prices["monthly"].id, "quantity": 1}],
        "success_url": "https://shop.test",
        **change,
    }
    with pytest.raises(stripe.InvalidRequestError) as error:
        stripe_client.v1.checkout.sessions.create({key: value for key, value in params.items() if value is not None})
    assert error.value.param == param
