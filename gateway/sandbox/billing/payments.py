"""Charging a payment method: the life of a payment intent and of its charges.

A payment intent belongs to whoever asked for it (an invoice, a checkout session): its private `_owner`. When the
payment succeeds or fails, at once or days later, `reactions.OUTCOMES` says what that means for the owner.

Source: docs.stripe.com/payments/paymentintents/lifecycle
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import charges, disputes, fraud_warnings, payment_methods
from gateway.sandbox.core import cards, declines
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.expand import public
from gateway.sandbox.core.registry import kind_of_id
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action", "processing", "requires_capture")


def intend(sandbox: Sandbox, *, amount: int, currency: str, **fields: Any) -> Obj:
    """Make a payment intent over `amount`; `fields` are further fields of it, `_owner` who is told of its outcome.

    `three_d_secure` is how 3-D Secure is asked for (`any`, `challenge`); None is `automatic`.
    """
    new_id = sandbox.new_id("pi")
    types = fields.pop("payment_method_types", None) or ["card"]
    card = {**_CARD_OPTIONS, "request_three_d_secure": fields.pop("three_d_secure", None) or "automatic"}
    return sandbox.create(
        {
            "id": new_id,
            "object": "payment_intent",
            "allowed_payment_method_types": types,
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "capture_method": "automatic",
            "client_secret": f"{new_id}_secret_{sandbox.new_id('x').removeprefix('x_')}",
            "confirmation_method": "automatic",
            "currency": currency,
            "excluded_payment_method_types": [],
            "payment_method_options": {"card": card} if "card" in types else {},
            "payment_method_types": types,
            "status": "requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
            **fields,
        },
        "payment_intent.created",
    )


_CARD_OPTIONS: Obj = {
    "installments": None,
    "mandate_options": None,
    "network": None,
}


def asked_for(holder: Obj) -> str | None:
    """Return how the `payment_method_options` of an object ask for 3-D Secure."""
    card: Obj = (holder.get("payment_method_options") or {}).get("card") or {}
    return card.get("request_three_d_secure")


def confirm(sandbox: Sandbox, intent: Obj, payment_method: Obj, *, off_session: bool = False) -> Obj:
    """Try to take the money with a payment method; the intent's `status` and `last_payment_error` tell the outcome.

    Args:
        sandbox: The account.
        intent: A payment intent that is not final.
        payment_method: What is charged.
        off_session: The buyer is away, so that a demand for authentication is a decline.
    """
    behaviour = cards.behaviour_of(payment_method)
    intent |= {"payment_method": payment_method["id"], "next_action": None, "last_payment_error": None}
    intent["_off_session"] = off_session
    if must_authenticate(behaviour, payment_method, intent):
        if off_session:
            return _decline(sandbox, intent, payment_method, "authentication_required")
        intent |= {"status": "requires_action", "next_action": next_step(sandbox, intent)}
        return sandbox.update(intent, "payment_intent.requires_action")
    return _take(sandbox, intent, payment_method)


def authenticate(sandbox: Sandbox, intent: Obj, *, succeeded: bool) -> Obj:
    """Answer the 3-D Secure step of an intent that requires action, for the buyer."""
    if intent["status"] != "requires_action":
        raise StripeError(f"This PaymentIntent's status is {intent['status']}: it does not wait for authentication.")
    payment_method = sandbox.need("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if not succeeded:
        return _refuse_authentication(sandbox, intent, payment_method)
    payment_method["_authenticated"] = True
    sandbox.update(payment_method)
    return _take(sandbox, intent, payment_method)


def capture(sandbox: Sandbox, intent: Obj, amount: int | None = None) -> Obj:
    """Take the authorised money of an intent with manual capture; what is not captured is released."""
    if intent["status"] != "requires_capture":
        raise _unexpected(intent, "captured", "requires_capture")
    charge = sandbox.need("charge", intent["latest_charge"])
    charges.capture(sandbox, charge, intent["amount_capturable"] if amount is None else amount)
    return _succeed(sandbox, intent, charge["amount_captured"])


def cancel(sandbox: Sandbox, intent: Obj, reason: str | None = None) -> Obj:
    """Cancel an intent that has not succeeded."""
    if intent["status"] not in OPEN:
        raise _unexpected(intent, "canceled", ", ".join(OPEN))
    if intent["status"] == "requires_capture":
        charges.release(sandbox, sandbox.need("charge", intent["latest_charge"]))
    sandbox.clock.cancel("payment.settle", intent)
    intent |= {"status": "canceled", "canceled_at": sandbox.now(intent), "cancellation_reason": reason}
    intent |= {"next_action": None, "amount_capturable": 0}
    return sandbox.update(intent, "payment_intent.canceled")


def error_of(sandbox: Sandbox, intent: Obj) -> StripeError:
    """Return the answer to a request whose payment was declined; what the attempt left behind is kept."""
    error = {key: value for key, value in intent["last_payment_error"].items() if value is not None}
    shown = sandbox.present(intent)
    message, kind, code = error.pop("message"), error.pop("type"), error.pop("code")
    error.pop("doc_url", None)
    return StripeError(message, status=402, type=kind, code=code, keep=True, **error, payment_intent=shown)


def must_authenticate(behaviour: cards.Behaviour, payment_method: Obj, intent: Obj) -> bool:
    """Return whether the bank asks for 3-D Secure, or the client does of a card that has it."""
    known = payment_method.get("_authenticated", False)
    if behaviour.authentication == "requested":
        return not known and asked_for(intent) in ("any", "challenge")
    return behaviour.authentication == "always" or (behaviour.authentication == "once" and not known)


def next_step(sandbox: Sandbox, intent: Obj) -> Obj:
    """Return the `next_action` of an intent whose bank asks for the buyer.

    It is a redirect where the client said where to return to, else it is for Stripe's own script (recorded: pay,
    raises_action_required_error_when_SCA_required #3). Both lead to the same page here.
    """
    url = f"{sandbox.base_url}/3ds/{intent['id']}"
    if intent.get("_return_url"):
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": intent["_return_url"], "url": url}}
    script = {"type": "three_d_secure_redirect", "stripe_js": url, "source": sandbox.new_id("src")}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": script}


def _take(sandbox: Sandbox, intent: Obj, payment_method: Obj) -> Obj:
    """Settle an authenticated payment now, or later for a bank debit."""
    behaviour = cards.behaviour_of(payment_method)
    if behaviour.delay is None:
        return _settle(sandbox, intent, payment_method)
    charge = charges.make(sandbox, intent, payment_method, "pending")
    intent |= {"status": "processing", "latest_charge": charge["id"]}
    sandbox.update(intent, "payment_intent.processing")
    sandbox.clock.schedule(sandbox.now(intent) + behaviour.delay, "payment.settle", intent)
    return intent


def settle_planned(sandbox: Sandbox, id: str) -> None:
    """Settle a bank debit, now that the bank answers."""
    intent = sandbox.need("payment_intent", id)
    payment_method = sandbox.need("payment_method", intent["payment_method"])
    _settle(sandbox, intent, payment_method)


def _settle(sandbox: Sandbox, intent: Obj, payment_method: Obj) -> Obj:
    behaviour = cards.behaviour_of(payment_method)
    if behaviour.decline and (payment_method.get("_authenticated") or not behaviour.passes_unauthenticated):
        return _decline(sandbox, intent, payment_method, behaviour.decline)
    known = sandbox.need("payment_method", payment_method["id"])
    if intent["customer"] and intent.get("setup_future_usage") and known["customer"] is None:
        # What will be used again is saved to the customer, on success only (recorded: openfoodnetwork).
        payment_methods.attach(sandbox, known, intent["customer"])
    manual = intent["capture_method"] == "manual"
    charge = _pending(sandbox, intent)
    if charge:
        charges.succeed(sandbox, charge)
    else:
        charge = charges.make(sandbox, intent, payment_method, "succeeded", captured=not manual)
    intent["latest_charge"] = charge["id"]
    if manual:
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        return sandbox.update(intent, "payment_intent.amount_capturable_updated")
    return _succeed(sandbox, intent, intent["amount"])


def _succeed(sandbox: Sandbox, intent: Obj, received: int) -> Obj:
    intent |= {"status": "succeeded", "amount_received": received, "amount_capturable": 0}
    sandbox.update(intent, "payment_intent.succeeded")
    _notify_owner(sandbox, intent)
    follow_up(sandbox, sandbox.need("charge", intent["latest_charge"]))
    return intent


def follow_up(sandbox: Sandbox, charge: Obj) -> None:
    """Have the bank of a test card warn of a succeeded charge, or dispute it."""
    fraud_warnings.warn_if_suspected(sandbox, charge)
    disputes.open_if_disputed(sandbox, charge)


def _decline(sandbox: Sandbox, intent: Obj, payment_method: Obj, decline_code: str) -> Obj:
    charge = _pending(sandbox, intent)
    if charge:
        charges.fail(sandbox, charge, decline_code)
    else:
        charge = charges.make(sandbox, intent, payment_method, "failed", decline_code=decline_code)
    code, message = declines.declined(decline_code)
    error = _error(payment_method, code, message)
    refusal = declines.refusal(decline_code)
    error |= {"charge": charge["id"], "decline_code": decline_code}
    if payment_method["type"] == "card":
        codes = {"advice_code": refusal.advice, "network_decline_code": refusal.network_code, "param": refusal.param}
        error |= {name: value for name, value in codes.items() if value}
    return _fail(sandbox, intent | {"latest_charge": charge["id"]}, error)


def _refuse_authentication(sandbox: Sandbox, intent: Obj, payment_method: Obj) -> Obj:
    message = (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    )
    error = _error(payment_method, "payment_intent_authentication_failure", message)
    return _fail(sandbox, intent, error | {"type": "invalid_request_error"})


def _error(payment_method: Obj, code: str, message: str) -> Obj:
    return {
        "type": "card_error",
        "code": code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": message,
        "payment_method": complete({k: v for k, v in payment_method.items() if k[:1] != "_"}),
    }


def _fail(sandbox: Sandbox, intent: Obj, error: Obj) -> Obj:
    # Stripe gives the payment method back: the next attempt may bring another one.
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
    sandbox.update(intent, "payment_intent.payment_failed")
    return _notify_owner(sandbox, intent)


def _pending(sandbox: Sandbox, intent: Obj) -> Obj | None:
    charge = sandbox.store.get("charge", intent["latest_charge"] or "")
    return charge if charge and charge["status"] == "pending" else None


def _notify_owner(sandbox: Sandbox, intent: Obj) -> Obj:
    owner = intent.get("_owner")
    if owner:
        sandbox.follow(f"{kind_of_id(owner)}.payment_settled", intent)
    return intent


def _unexpected(intent: Obj, done: str, needed: str) -> StripeError:
    return StripeError(
        f"This PaymentIntent could not be {done} because it has a status of {intent['status']}. Only a PaymentIntent "
        f"with one of the following statuses may be {done}: {needed}.",
        code="payment_intent_unexpected_state",
        payment_intent=public(intent),
    )
