"""Charges without a payment intent: `POST /v1/charges`, the call that payment intents replaced.

Source: https://docs.stripe.com/api/charges/create (a charge names a payment intent only "if one exists").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import charges, payments
from gateway.sandbox.core import cards, declines
from gateway.sandbox.core.errors import StripeError, invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def charge(sandbox: Sandbox, order: Obj, method: Obj) -> Obj:
    """Charge a payment method at once; nobody is there to authenticate it.

    Args:
        sandbox: The account.
        order: What an intent would say: `amount`, `currency`, `customer`, `capture_method` and the like.
        method: What is charged.

    Raises:
        StripeError: It was declined; the failed charge is kept.
    """
    order = {"id": None, "receipt_email": None, "shipping": None, "statement_descriptor": None, **order}
    behaviour = cards.behaviour_of(method)
    unproved = payments.must_authenticate(behaviour, method, order)
    decline = "authentication_required" if unproved else behaviour.decline
    if decline and not behaviour.passes_unauthenticated:
        raise _declined(charges.make(sandbox, order, method, "failed", decline_code=decline), decline)
    made = charges.make(sandbox, order, method, "succeeded", captured=order["capture_method"] != "manual")
    if made["captured"]:
        payments.follow_up(sandbox, made)
    return sandbox.need("charge", made["id"])


def capture(sandbox: Sandbox, authorized: Obj, amount: int | None) -> Obj:
    """Take the money of an authorised charge, all or a part of it.

    Raises:
        StripeError: It is taken already, or less was authorised.
    """
    if authorized["captured"]:
        raise invalid(f"Charge {authorized['id']} has already been captured.", code="charge_already_captured")
    captured = charges.capture(sandbox, authorized, authorized["amount"] if amount is None else amount)
    payments.follow_up(sandbox, captured)
    return sandbox.need("charge", authorized["id"])


def _declined(failed: Obj, decline: str) -> StripeError:
    code, message = declines.declined(decline)
    refusal = declines.refusal(decline)
    codes = {"advice_code": refusal.advice, "network_decline_code": refusal.network_code}
    more = {name: value for name, value in codes.items() if value}
    return StripeError(
        message,
        status=402,
        type="card_error",
        code=code,
        param=refusal.param,
        keep=True,
        charge=failed["id"],
        decline_code=decline,
        **more,
    )
