"""Setup intents: saving a payment method for later, with the same authentication and declines as a payment.

Source: docs.stripe.com/payments/setupintents/lifecycle
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import mandates, payment_methods, payments
from gateway.sandbox.core import cards, declines
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_OF_CARD = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def intend(sandbox: Sandbox, customer: str | None, **fields: Any) -> Obj:
    """Make a setup intent; `fields` are further fields of it, and `three_d_secure` as for a payment."""
    new_id = sandbox.new_id("seti")
    types = fields.pop("payment_method_types", None) or ["card"]
    asked = fields.pop("three_d_secure", None) or "automatic"
    return sandbox.create(
        {
            "id": new_id,
            "object": "setup_intent",
            "allowed_payment_method_types": types,
            "client_secret": f"{new_id}_secret_{sandbox.new_id('x').removeprefix('x_')}",
            "customer": customer,
            "excluded_payment_method_types": [],
            "metadata": {},
            "payment_method_options": {
                "card": {"mandate_options": None, "network": None, "request_three_d_secure": asked}
            }
            if "card" in types
            else {},
            "payment_method_types": types,
            "status": "requires_confirmation" if fields.get("payment_method") else "requires_payment_method",
            "usage": "off_session",
            **fields,
        },
        "setup_intent.created",
    )


def confirm(sandbox: Sandbox, intent: Obj, payment_method: Obj) -> Obj:
    """Try to save a payment method; `status` and `last_setup_error` tell the outcome."""
    behaviour = cards.behaviour_of(payment_method)
    intent["latest_attempt"] = _attempt(sandbox, intent, payment_method)
    intent |= {"payment_method": payment_method["id"], "next_action": None, "last_setup_error": None}
    if behaviour.decline and behaviour.refused:
        code, message = declines.declined(behaviour.decline)
        return _fail(sandbox, intent, payment_method, code, message, decline_code=behaviour.decline)
    if payments.must_authenticate(behaviour, payment_method, intent) and not payment_method.get("_authenticated"):
        intent |= {"status": "requires_action", "next_action": payments.next_step(sandbox, intent)}
        _end_attempt(sandbox, intent)
        return sandbox.update(intent, "setup_intent.requires_action")
    return _succeed(sandbox, intent, payment_method)


def authenticate(sandbox: Sandbox, intent: Obj, *, succeeded: bool) -> Obj:
    """Answer the 3-D Secure step, for the buyer."""
    if intent["status"] != "requires_action":
        raise StripeError(f"This SetupIntent's status is {intent['status']}: it does not wait for authentication.")
    payment_method = sandbox.need("payment_method", intent["payment_method"])
    intent["next_action"] = None
    if not succeeded:
        message = (
            "The latest attempt to set up the payment method has failed because authentication failed. Please choose "
            "a different payment method and try again."
        )
        return _fail(sandbox, intent, payment_method, "setup_intent_authentication_failure", message)
    payment_method["_authenticated"] = True
    sandbox.update(payment_method)
    return _succeed(sandbox, intent, payment_method)


def cancel(sandbox: Sandbox, intent: Obj, reason: str | None) -> Obj:
    """Cancel a setup intent that has not succeeded."""
    if intent["status"] not in OPEN:
        raise StripeError(
            f"You cannot cancel this SetupIntent because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
        )
    intent |= {"status": "canceled", "cancellation_reason": reason, "next_action": None}
    return sandbox.update(intent, "setup_intent.canceled")


def error_of(sandbox: Sandbox, intent: Obj) -> StripeError:
    """Return the answer to a request whose setup was declined; the attempt is kept."""
    error = {key: value for key, value in intent["last_setup_error"].items() if value is not None}
    message, kind, code = error.pop("message"), error.pop("type"), error.pop("code")
    shown = sandbox.present(intent)
    return StripeError(message, status=402, type=kind, code=code, keep=True, **error, setup_intent=shown)


def _attempt(sandbox: Sandbox, intent: Obj, payment_method: Obj) -> str:
    """Begin an attempt to save a payment method, and return its id (docs.stripe.com/api/setup_attempts)."""
    kind = payment_method["type"]
    known: Obj = payment_method.get(kind) or {}
    card = {name: known.get(name) for name in _OF_CARD} | {"network": known.get("brand"), "three_d_secure": None}
    made = sandbox.create(
        {
            "object": "setup_attempt",
            "customer": intent["customer"],
            "payment_method": payment_method["id"],
            "payment_method_details": {"type": kind, kind: card if kind == "card" else {}},
            "setup_intent": intent["id"],
            "status": "requires_confirmation",
            "usage": intent["usage"],
        }
    )
    return str(made["id"])


def _end_attempt(sandbox: Sandbox, intent: Obj) -> None:
    """Have the latest attempt say what has become of it."""
    error = intent["last_setup_error"]
    attempt = sandbox.need("setup_attempt", intent["latest_attempt"])
    sandbox.update(attempt | {"status": "failed" if error else intent["status"], "setup_error": error})


def _succeed(sandbox: Sandbox, intent: Obj, payment_method: Obj) -> Obj:
    if intent["customer"] and payment_method["customer"] is None:
        payment_methods.attach(sandbox, payment_method, intent["customer"])
    intent |= {"status": "succeeded", "mandate": mandates.of(sandbox, payment_method)}
    _end_attempt(sandbox, intent)
    return sandbox.update(intent, "setup_intent.succeeded")


def _fail(sandbox: Sandbox, intent: Obj, payment_method: Obj, code: str, message: str, **more: str) -> Obj:
    error: Obj = {
        "type": "card_error" if more else "invalid_request_error",
        "code": code,
        "message": message,
        "payment_method": complete({k: v for k, v in payment_method.items() if k[:1] != "_"}),
        **more,
    }
    intent |= {"status": "requires_payment_method", "payment_method": None, "last_setup_error": error}
    _end_attempt(sandbox, intent)
    return sandbox.update(intent, "setup_intent.setup_failed")
