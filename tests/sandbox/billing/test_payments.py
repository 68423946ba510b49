"""Payment intents, setup intents, charges, refunds and disputes with Stripe's test cards, over the SDK."""

import httpx
import pytest
import stripe

from gateway.sandbox.core.periods import DAY


@pytest.fixture
def client(stripe_client):
    return stripe_client


@pytest.fixture
def charge_card(client):
    """Confirms a payment of 20 USD with a test card."""

    def pay(card, **params):
        return client.v1.payment_intents.create(
            {"amount": 2000, "currency": "usd", "payment_method": card, "confirm": True, **params}
        )

    return pay


@pytest.fixture
def later(sandbox_server):
    """Lets seconds pass on the sandbox's clock."""

    def advance(seconds):
        httpx.post(f"{sandbox_server.url}/_sandbox/clock/advance", json={"by": seconds}).raise_for_status()

    return advance


def types(client, *prefixes):
    events = client.v1.events.list({"limit": 100}).auto_paging_iter()
    return [event.type for event in events if event.type.startswith(prefixes)][::-1]


def test_a_payment_succeeds_with_its_charge_and_events(client, charge_card):
    intent = charge_card("pm_card_visa", expand=["latest_charge"])
    assert (intent.status, intent.amount_received) == ("succeeded", 2000)
    assert intent.latest_charge.payment_method_details.card.last4 == "4242"
    assert types(client, "payment_intent", "charge") == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_radarBlock", "card_declined", "fraudulent"),
        ("tok_chargeDeclined", "card_declined", "generic_decline"),
    ],
)
def test_a_decline_is_a_card_error_that_leaves_the_attempt_behind(client, charge_card, card, code, decline_code):
    with pytest.raises(stripe.CardError) as error:
        charge_card(card)
    assert (error.value.code, error.value.error.decline_code) == (code, decline_code)
    intent = client.v1.payment_intents.retrieve(error.value.error.payment_intent.id, {"expand": ["latest_charge"]})
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", code)
    assert (intent.latest_charge.status, intent.latest_charge.failure_code) == ("failed", code)
    assert client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"


@pytest.mark.parametrize(
    ("card", "advice", "network", "param"),
    [
        ("chargeDeclined", "try_again_later", "01", None),
        ("visa_chargeDeclinedInsufficientFunds", "try_again_later", "51", None),
        ("visa_chargeDeclinedLostCard", "do_not_try_again", "41", None),
        ("visa_chargeDeclinedStolenCard", "do_not_try_again", "43", None),
        ("chargeDeclinedExpiredCard", "confirm_card_data", "54", "exp_month"),
        ("chargeDeclinedIncorrectCvc", "confirm_card_data", "N7", "cvc"),
        ("chargeDeclinedProcessingError", "try_again_later", "06", None),
        ("visa_chargeDeclinedVelocityLimitExceeded", "try_again_later", "61", None),
    ],
)
def test_a_decline_says_what_the_network_said_and_what_to_do(charge_card, card, advice, network, param):
    with pytest.raises(stripe.CardError) as error:
        charge_card(f"pm_card_{card}")
    body = error.value.json_body["error"]
    assert (body["advice_code"], body["network_decline_code"], body.get("param")) == (advice, network, param)


def test_a_card_that_cannot_be_saved_says_so_with_an_empty_param(client):
    customer = client.v1.customers.create()
    with pytest.raises(stripe.CardError) as error:
        client.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})
    body = error.value.json_body["error"]
    assert (body["code"], body["param"], body["network_decline_code"]) == ("card_declined", "", "01")


def test_the_security_code_is_checked_when_a_card_is_saved_or_charged(client, charge_card):
    method = client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    assert method.card.checks.cvc_check == "unchecked"
    charge = charge_card(method.id, expand=["latest_charge"]).latest_charge
    assert charge.payment_method_details.card.checks.cvc_check == "pass"
    customer = client.v1.customers.create()
    assert client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id}).card.checks.cvc_check == "pass"


def test_three_d_secure_waits_for_the_buyer(client, charge_card):
    intent = charge_card("pm_card_authenticationRequired", return_url="https://shop.test/back")
    assert intent.status == "requires_action"
    assert intent.next_action.redirect_to_url.return_url == "https://shop.test/back"
    answer = httpx.post(intent.next_action.redirect_to_url.url, data={"action": "approve"})
    assert answer.headers["location"] == "https://shop.test/back"
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_without_a_place_to_return_to_the_step_is_for_stripes_script(charge_card):
    """Recorded (pay, 2020-08-27): raises_action_required_error_when_SCA_required #3."""
    step = charge_card("pm_card_authenticationRequired").next_action.to_dict()
    assert (step["type"], step["use_stripe_sdk"]["type"]) == ("use_stripe_sdk", "three_d_secure_redirect")
    assert step["use_stripe_sdk"]["source"].startswith("src_")


def test_off_session_a_demand_for_authentication_is_a_decline(charge_card):
    with pytest.raises(stripe.CardError) as error:
        charge_card("pm_card_authenticationRequired", off_session=True)
    assert error.value.code == "authentication_required"


def test_a_card_that_was_set_up_passes_off_session(client, charge_card):
    customer = client.v1.customers.create()
    intent = client.v1.setup_intents.create(
        {"customer": customer.id, "payment_method": "pm_card_authenticationRequiredOnSetup", "confirm": True}
    )
    assert intent.status == "requires_action"
    page = intent.next_action.use_stripe_sdk.stripe_js
    assert "Confirm it is you" in httpx.get(page).text
    httpx.post(page, data={"action": "approve"})
    [saved] = client.v1.customers.payment_methods.list(customer.id).data
    assert charge_card(saved.id, customer=customer.id, off_session=True).status == "succeeded"


def test_a_declined_setup_is_a_card_error(client):
    with pytest.raises(stripe.CardError) as error:
        client.v1.setup_intents.create({"payment_method": "pm_card_visa_chargeDeclined", "confirm": True})
    assert error.value.error.setup_intent.status == "requires_payment_method"
    assert types(client, "setup_intent") == ["setup_intent.created", "setup_intent.setup_failed"]


def test_manual_capture_takes_part_and_releases_the_rest(client, charge_card):
    intent = charge_card("pm_card_visa", capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 2000)
    captured = client.v1.payment_intents.capture(intent.id, {"amount_to_capture": 1500, "expand": ["latest_charge"]})
    assert (captured.status, captured.amount_received) == ("succeeded", 1500)
    assert (captured.latest_charge.amount_captured, captured.latest_charge.amount_refunded) == (1500, 500)


def test_a_succeeded_payment_can_be_neither_canceled_nor_confirmed_again(client, charge_card):
    intent = charge_card("pm_card_visa")
    for call in (client.v1.payment_intents.cancel, client.v1.payment_intents.confirm):
        with pytest.raises(stripe.InvalidRequestError) as error:
            call(intent.id)
        assert error.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("account", "status"),
    [("pm_usBankAccount_success", "succeeded"), ("pm_usBankAccount_accountClosed", "requires_payment_method")],
)
def test_a_bank_debit_is_processing_first(client, charge_card, later, account, status):
    intent = charge_card(account, allowed_payment_method_types=["us_bank_account"])
    assert intent.status == "processing"
    later(120)
    assert client.v1.payment_intents.retrieve(intent.id).status == status


def test_refunds_are_partial_then_complete_and_never_more(client, charge_card):
    intent = charge_card("pm_card_visa")
    refund = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500, "reason": "requested_by_customer"})
    assert (refund.status, refund.amount) == ("succeeded", 500)
    with pytest.raises(stripe.InvalidRequestError, match=r"\(\$.*\) is greater than unrefunded amount on charge \(\$"):
        client.v1.refunds.create({"payment_intent": intent.id, "amount": 1501})
    client.v1.refunds.create({"charge": intent.latest_charge})
    charge = client.v1.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded, len(charge.refunds.data)) == (True, 2000, 2)
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.refunds.create({"charge": charge.id})
    assert error.value.code == "charge_already_refunded"
    assert types(client, "charge.refunded", "refund") == ["refund.created", "charge.refunded"] * 2


@pytest.mark.parametrize(
    ("card", "first", "then"),
    [("pm_card_pendingRefund", "pending", "succeeded"), ("pm_card_refundFail", "succeeded", "failed")],
)
def test_a_refund_can_take_time_or_fail_afterwards(client, charge_card, later, card, first, then):
    refund = client.v1.refunds.create({"payment_intent": charge_card(card).id})
    assert refund.status == first
    later(61)
    refund = client.v1.refunds.retrieve(refund.id, {"expand": ["charge"]})
    assert refund.status == then
    assert refund.charge.refunded == (then == "succeeded")


def test_a_pending_refund_can_be_canceled(client, charge_card):
    refund = client.v1.refunds.create({"payment_intent": charge_card("pm_card_pendingRefund").id})
    assert client.v1.refunds.cancel(refund.id).status == "canceled"
    assert client.v1.charges.retrieve(refund.charge).amount_refunded == 0


@pytest.mark.parametrize(("evidence", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
def test_a_dispute_is_decided_by_the_evidence(client, charge_card, later, evidence, status):
    charge = charge_card("pm_card_createDispute").latest_charge
    later(1)
    [dispute] = client.v1.disputes.list({"charge": charge}).data
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 2000)
    assert client.v1.charges.retrieve(charge).disputed
    closed = client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": evidence}})
    assert closed.status == status
    assert types(client, "charge.dispute")[:2] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    assert "charge.dispute.closed" in types(client, "charge.dispute")


def test_an_unanswered_dispute_is_lost_and_an_inquiry_ends(client, charge_card, later):
    charge_card("pm_card_createDispute")
    charge_card("pm_card_createDisputeInquiry")
    later(1)
    assert {each.status for each in client.v1.disputes.list().data} == {"needs_response", "warning_needs_response"}
    later(10 * DAY)
    assert {each.status for each in client.v1.disputes.list().data} == {"lost", "warning_closed"}


def test_the_older_charges_call_still_charges(client):
    charge = client.v1.charges.create({"amount": 100, "currency": "usd", "source": "tok_visa"})
    assert (charge.status, charge.paid, charge.payment_intent) == ("succeeded", True, None)
    held = client.v1.charges.create({"amount": 100, "currency": "usd", "source": "tok_visa", "capture": False})
    assert client.v1.charges.capture(held.id, {"amount": 60}).amount_captured == 60
    with pytest.raises(stripe.InvalidRequestError) as error:
        client.v1.charges.capture(held.id)
    assert error.value.code == "charge_already_captured"
    assert client.v1.refunds.create({"charge": charge.id}).payment_intent is None
    for source, decline in (
        ("tok_chargeDeclined", "generic_decline"),
        ("tok_threeDSecure2Required", "authentication_required"),
    ):
        with pytest.raises(stripe.CardError) as declined:
            client.v1.charges.create({"amount": 100, "currency": "usd", "source": source})
        assert declined.value.error.decline_code == decline
        assert client.v1.charges.retrieve(declined.value.error.charge).status == "failed"
    assert client.v1.payment_intents.list().data == []


def test_a_payment_intent_is_changed_and_canceled_before_it_is_paid(client):
    intent = client.v1.payment_intents.create({"amount": 100, "currency": "usd"})
    changed = client.v1.payment_intents.update(intent.id, {"amount": 200, "metadata": {"a": "b"}})
    assert (changed.amount, changed.metadata["a"]) == (200, "b")
    assert client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"}).status == "canceled"


@pytest.mark.parametrize(
    ("amount", "currency", "code", "message"),
    [
        (49, "usd", "amount_too_small", r"at least \$0.50 usd"),
        (29, "gbp", "amount_too_small", r"at least £0.30 gbp"),
        (49, "jpy", "amount_too_small", r"at least ¥50 jpy"),
        (100_000_000, "usd", "amount_too_large", r"no more than \$999,999.99"),
        (1234, "kwd", None, "must end in 0"),
    ],
)
def test_what_cannot_be_charged_is_refused(client, amount, currency, code, message):
    with pytest.raises(stripe.InvalidRequestError, match=message) as refused:
        client.v1.payment_intents.create({"amount": amount, "currency": currency})
    assert (refused.value.code, refused.value.param) == (code, "amount")
    with pytest.raises(stripe.InvalidRequestError, match=message):
        client.v1.charges.create({"amount": amount, "currency": currency, "source": "tok_visa"})


def test_a_checkout_over_less_than_can_be_charged_is_refused(client):
    data = {"currency": "usd", "unit_amount": 20, "product_data": {"name": "Sweet"}}
    params = {"mode": "payment", "success_url": "https://shop.example"}
    with pytest.raises(stripe.InvalidRequestError, match=r"must add up to at least \$0.50 usd") as refused:
        client.v1.checkout.sessions.create({**params, "line_items": [{"price_data": data, "quantity": 2}]})
    assert refused.value.code == "amount_too_small"
    assert client.v1.checkout.sessions.create({**params, "line_items": [{"price_data": data, "quantity": 3}]}).url


def test_a_declined_card_that_was_to_be_saved_leaves_its_trace(client):
    customer = client.v1.customers.create({})
    intent = client.v1.payment_intents.create(
        {"amount": 2000, "currency": "usd", "customer": customer.id, "setup_future_usage": "off_session"}
    )
    with pytest.raises(stripe.CardError) as declined:
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_chargeDeclined"})
    assert declined.value.error.payment_intent.id == intent.id
    tried = client.v1.payment_intents.retrieve(intent.id)
    assert (tried.status, tried.last_payment_error.decline_code) == ("requires_payment_method", "generic_decline")
    assert client.v1.events.list({"type": "payment_intent.payment_failed"}).data
    paid = client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert client.v1.payment_methods.retrieve(paid.payment_method).customer == customer.id
