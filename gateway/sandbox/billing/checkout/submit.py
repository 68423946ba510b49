"""The buyer submits a checkout session, or answers its 3-D Secure step: what the hosted page calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.sandbox.billing import payment_methods, payments, setups
from gateway.sandbox.billing.checkout import modes as checkout_modes
from gateway.sandbox.billing.checkout.completion import intent_of
from gateway.sandbox.core.errors import StripeError

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

PAID, PROCESSING, ACTION, DECLINED = "paid", "processing", "requires_action", "declined"
COMPLETE, EXPIRED = "complete", "expired"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a buyer's attempt.

    Attributes:
        status: "paid" (also when nothing was due), "processing" (complete, money later), "requires_action" (3-D
            Secure: call `authenticate`), "declined", or "complete" / "expired" for a session that was not open.
        session: The session as it is now.
        message: For the buyer, after a decline.
    """

    status: str
    session: Obj
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """What the buyer typed in; empty fields were not asked for."""

    email: str | None = None
    name: str | None = None
    phone: str | None = None
    address: Obj | None = None


def complete(
    sandbox: Sandbox,
    session_id: str,
    payment_method: Obj | str | None = None,
    *,
    email: str | None = None,
    name: str | None = None,
    phone: str | None = None,
    address: Obj | None = None,
) -> Outcome:
    """Submit a session, as the buyer does by pressing the button.

    Args:
        sandbox: The account.
        session_id: A checkout session.
        payment_method: The parameters of `POST /v1/payment_methods` (`{"type": "card", "card": {…}}`), an id or a
            test token; None where the session needs none.
        email: The buyer's address, unless the session or its customer has one.
        name: The name on the card.
        phone: A telephone number.
        address: The billing address, as Stripe's `address` hash.

    Returns:
        The outcome; declines are no exceptions.
    """
    with sandbox.store.transaction():
        session = sandbox.need("checkout.session", session_id)
        if session["status"] != "open":
            return Outcome(str(session["status"]), session)
        buyer = Buyer(email or session["customer_email"], name, phone, address)
        try:
            method = _payment_method(sandbox, payment_method, buyer)
            if method is None and needs_payment_method(session):
                return Outcome(DECLINED, session, "Enter a payment method.")
            session["_buyer"] = {"email": buyer.email, "name": name, "phone": phone, "address": address}
            sandbox.update(session)
            checkout_modes.MODES[session["mode"]](sandbox, session, method)
        except StripeError as error:
            if error.type != "card_error":
                raise
            return Outcome(DECLINED, sandbox.need("checkout.session", session_id), error.message)
        return outcome_of(sandbox, session_id)


def authenticate(sandbox: Sandbox, session_id: str, *, succeeded: bool) -> Outcome:
    """Answer the 3-D Secure step that `complete` asked the buyer for."""
    with sandbox.store.transaction():
        session = sandbox.need("checkout.session", session_id)
        intent = intent_of(sandbox, session)
        if session["status"] != "open" or intent is None:
            return Outcome(str(session["status"]), session)
        if intent["object"] == "setup_intent":
            setups.authenticate(sandbox, intent, succeeded=succeeded)
            checkout_modes.after_setup(sandbox, session)
        else:
            payments.authenticate(sandbox, intent, succeeded=succeeded)
        return outcome_of(sandbox, session_id)


def outcome_of(sandbox: Sandbox, session_id: str) -> Outcome:
    """Return where a session stands after an attempt."""
    session = sandbox.need("checkout.session", session_id)
    if session["status"] == "complete":
        return Outcome(PROCESSING if session["payment_status"] == "unpaid" else PAID, session)
    if session["status"] == "expired":
        return Outcome(EXPIRED, session)
    intent = intent_of(sandbox, session) or {}
    if intent.get("status") == "requires_action":
        return Outcome(ACTION, session)
    error = intent.get("last_payment_error") or intent.get("last_setup_error") or {}
    return Outcome(DECLINED, session, error.get("message", "Your card was declined."))


def needs_payment_method(session: Obj) -> bool:
    """Return whether the page must ask for a payment method."""
    if session["mode"] == "setup" or session["amount_total"]:
        return True
    return bool(session["mode"] == "subscription" and session["payment_method_collection"] != "if_required")


def _payment_method(sandbox: Sandbox, given: Obj | str | None, buyer: Buyer) -> Obj | None:
    if given is None:
        return None
    if isinstance(given, str):
        return payment_methods.resolve(sandbox, given)
    details = {"email": buyer.email, "name": buyer.name, "phone": buyer.phone, "address": buyer.address}
    billing = {key: value for key, value in details.items() if value}
    params = {**given, "billing_details": {**billing, **given.get("billing_details", {})}}
    return payment_methods.create(sandbox, params)
