"""Checkout sessions through the SDK, paid as the hosted page (and the Stripe CLI) pays them."""

import httpx
import pytest
import stripe

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
def pay(stripe_client):
    """Submits the page as the Stripe CLI does; answers the session afterwards."""

    def pay_with(session, card="pm_card_visa"):
        token = stripe_client.v1.payment_methods.retrieve(card)
        method = stripe_client.v1.payment_methods.update(
            token.id, {"billing_details": {"email": "ada@example.com", "name": "Ada"}}
        )
        stripe_client.raw_request("post", f"/v1/payment_pages/{session.id}/confirm", payment_method=method.id)
        return stripe_client.v1.checkout.sessions.retrieve(session.id)

    return pay_with


@pytest.fixture
def answer_bank(sandbox_server):
    """Presses a button of the session's 3-D Secure page."""

    def press(session, button):
        httpx.post(f"{sandbox_server.url}/c/pay/{session.id}/authenticate", data={"action": button})

    return press


@pytest.fixture
def later(sandbox_server):
    """Lets seconds pass on the sandbox's clock."""

    def advance(seconds):
        httpx.post(f"{sandbox_server.url}/_sandbox/clock/advance", json={"by": seconds}).raise_for_status()

    return advance


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
    paid = pay(open_session(subscription_data={"metadata": {"team": "7"}}))
    session = stripe_client.v1.checkout.sessions.retrieve(
        paid.id, {"expand": ["subscription.latest_invoice.payments", "customer", "line_items"]}
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
    made_before = ("product", "price", "plan", "payment_method.updated")
    assert [each for each in types(stripe_client) if not each.startswith(made_before)] == [
        "customer.created",
        "payment_method.attached",
        "customer.updated",  # its currency
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
    paid = pay(open_session("once", "payment", payment_intent_data={"metadata": {"order": "1"}}))
    session = stripe_client.v1.checkout.sessions.retrieve(paid.id, {"expand": ["payment_intent"]})
    assert (session.payment_status, session.customer) == ("paid", None)
    assert (session.payment_intent.amount_received, session.payment_intent.metadata["order"]) == (1000, "1")


def test_a_one_off_purchase_makes_a_paid_invoice_on_request(stripe_client, open_session, pay):
    paid = pay(open_session("once", "payment", invoice_creation={"enabled": True}))
    invoice = stripe_client.v1.invoices.retrieve(paid.invoice)
    assert (invoice.status, invoice.total, invoice.customer) == ("paid", 1000, paid.customer)


def test_a_declined_card_leaves_the_session_open_for_another_one(stripe_client, open_session, pay):
    session = open_session()
    with pytest.raises(stripe.CardError, match="insufficient funds"):
        pay(session, "pm_card_visa_chargeDeclinedInsufficientFunds")
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert pay(session).payment_status == "paid"
    assert len(stripe_client.v1.subscriptions.list({"status": "all"}).data) == 1
    assert "invoice.payment_failed" in types(stripe_client)


def test_the_email_of_the_buyer_becomes_that_of_a_customer_without_one(stripe_client, open_session, pay):
    """docs.stripe.com/api/checkout/sessions/create, `customer`."""
    nobody, grace = (stripe_client.v1.customers.create(given).id for given in ({}, {"email": "grace@example.com"}))
    for customer, email in ((nobody, "ada@example.com"), (grace, "grace@example.com")):
        assert pay(open_session(customer=customer)).status == "complete"
        assert stripe_client.v1.customers.retrieve(customer).email == email


def test_a_session_is_paid_once(stripe_client, open_session, pay):
    session = open_session()
    first, second = pay(session), pay(session)
    assert first.status == second.status == "complete"
    assert len(stripe_client.v1.payment_intents.list().data) == 1


def test_three_d_secure_is_asked_for_and_answered(stripe_client, open_session, pay, answer_bank):
    session = open_session()
    assert pay(session, "pm_card_threeDSecure2Required").status == "open"
    answer_bank(session, "fail")
    intent = stripe_client.v1.payment_intents.list().data[0]
    assert intent.last_payment_error.code == "payment_intent_authentication_failure"
    assert pay(session, "pm_card_threeDSecure2Required").status == "open"
    answer_bank(session, "approve")
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_a_trial_takes_the_card_and_no_money(stripe_client, open_session, pay):
    session = open_session(subscription_data={"trial_period_days": 14})
    assert session.amount_total == 0
    paid = pay(session)
    assert paid.payment_status == "no_payment_required"
    subscription = stripe_client.v1.subscriptions.retrieve(paid.subscription, {"expand": ["latest_invoice"]})
    assert (subscription.status, subscription.latest_invoice.total) == ("trialing", 0)
    assert subscription.trial_end - subscription.trial_start == 14 * 86400
    assert subscription.latest_invoice.lines.data[0].description == "Free trial for 2 × Team"  # noqa: RUF001 -- Stripe's own sign


@pytest.mark.parametrize(
    ("token", "event", "payment_status", "status"),
    [
        ("pm_usBankAccount_success", "checkout.session.async_payment_succeeded", "paid", "active"),
        ("pm_usBankAccount_insufficientFunds", "checkout.session.async_payment_failed", "unpaid", "past_due"),
    ],
)
def test_a_bank_debit_tells_its_outcome_later(
    stripe_client, open_session, pay, later, token, event, payment_status, status
):
    pending = pay(open_session(), token)
    assert (pending.status, pending.payment_status) == ("complete", "unpaid")
    later(120)
    session = stripe_client.v1.checkout.sessions.retrieve(pending.id, {"expand": ["subscription"]})
    assert (session.payment_status, session.subscription.status) == (payment_status, status)
    assert event in types(stripe_client)


def test_setup_mode_saves_a_payment_method(stripe_client, open_session, pay):
    customer = stripe_client.v1.customers.create({"email": "ada@example.com"})
    session = stripe_client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": customer.id, "success_url": "https://shop.test"}
    )
    assert pay(session).status == "complete"
    assert len(stripe_client.v1.customers.payment_methods.list(customer.id).data) == 1


def test_a_session_expires_by_itself_after_a_day(stripe_client, open_session, pay, later):
    session = open_session()
    later(86_400)
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).status == "expired"
    assert types(stripe_client)[-1] == "checkout.session.expired"
    assert pay(session).status == "expired"


def test_a_promotion_code_that_is_typed_in_on_the_page_reduces_the_first_invoice(
    stripe_client, sandbox_server, open_session, pay
):
    coupon = stripe_client.v1.coupons.create({"percent_off": 25, "duration": "once"})
    stripe_client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "HELLO"})
    session = open_session(allow_promotion_codes=True)
    httpx.post(f"{sandbox_server.url}/c/pay/{session.id}", data={"action": "promotion", "promotion_code": "hello"})
    assert stripe_client.v1.checkout.sessions.retrieve(session.id).amount_total == 2850
    paid = pay(session)
    assert paid.total_details.amount_discount == 950
    invoice = stripe_client.v1.invoices.retrieve(paid.invoice)
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
