"""Refunds of charges: made, settled or failed later, cancelled. Source: docs.stripe.com/refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import ledger
from gateway.sandbox.core import cards
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.core.money import in_words

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

# How long a refund that a test card delays stays pending, in seconds.
_DELAY = 60


def make(sandbox: Sandbox, charge: Obj, amount: int | None = None, **fields: Any) -> Obj:
    """Pay a charge back, wholly (`amount` None) or partly.

    Raises:
        StripeError: The charge did not succeed, is refunded or disputed already, or has less left.
    """
    left = charge["amount_captured"] - charge["amount_refunded"]
    wanted = left if amount is None else amount
    _check(charge, wanted, left)
    payment_method = sandbox.need("payment_method", charge["payment_method"])
    outcome = cards.behaviour_of(payment_method).refund
    made = sandbox.create(
        {
            "object": "refund",
            "amount": wanted,
            "charge": charge["id"],
            "currency": charge["currency"],
            "customer": charge["customer"],
            "destination_details": _destination(payment_method),
            "metadata": fields.get("metadata") or {},
            "payment_intent": charge["payment_intent"],
            "payment_method": charge["payment_method"],
            "reason": fields.get("reason"),
            "status": "pending" if outcome == "pending" else "succeeded",
        }
        | ({"pending_reason": "processing"} if outcome == "pending" else {})
    )
    ledger.refunded(sandbox, made, charge)
    charge = sandbox.need("charge", charge["id"])  # with its own booking
    charge["amount_refunded"] += wanted
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    sandbox.update(made)
    sandbox.emit("refund.created", made)
    sandbox.update(charge, "charge.refunded")
    if outcome != "succeeded":
        sandbox.clock.schedule(sandbox.now(charge) + _DELAY, f"refund.{outcome}", made)
    return made


def settle(sandbox: Sandbox, id: str) -> None:
    """Let a pending refund succeed."""
    refund = sandbox.need("refund", id)
    if refund["status"] == "pending":
        refund.pop("pending_reason", None)
        save(sandbox, refund | {"status": "succeeded"}, "refund.updated")


def fail(sandbox: Sandbox, id: str) -> None:
    """Let a refund fail, as to an account that was closed."""
    refund = sandbox.need("refund", id)
    give_back(sandbox, refund)
    failed = refund | {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    save(sandbox, failed, "refund.failed")


def save(sandbox: Sandbox, refund: Obj, event: str) -> Obj:
    """Store a changed refund and tell of it under both of its events' names."""
    sandbox.update(refund, event)
    sandbox.emit("charge.refund.updated", refund)
    return refund


def give_back(sandbox: Sandbox, refund: Obj) -> None:
    """Give a charge its money back after a refund failed or was cancelled, and note that in the refund in place."""
    charge = sandbox.need("charge", refund["charge"])
    charge |= {"amount_refunded": charge["amount_refunded"] - refund["amount"], "refunded": False}
    sandbox.update(charge, "charge.updated")
    ledger.refund_failed(sandbox, refund)


def _check(charge: Obj, wanted: int, left: int) -> None:
    if charge["refunded"] or left == 0:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if charge["status"] != "succeeded":
        raise invalid(f"Charge {charge['id']} has no money to refund: its status is {charge['status']}.", "charge")
    if charge["disputed"]:
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if wanted > left:
        less = "charge amount" if left == charge["amount"] else "unrefunded amount on charge"
        amounts = [in_words(amount, charge["currency"]) for amount in (wanted, left)]
        raise invalid(f"Refund amount ({amounts[0]}) is greater than {less} ({amounts[1]})", "amount")
    if wanted <= 0:
        raise invalid("Invalid positive integer", "amount")


def _destination(payment_method: Obj) -> Obj:
    if payment_method["type"] != "card":
        return {"type": payment_method["type"]}
    # Recorded: the bank's reference number is not there yet when the refund is made.
    reference = {"reference_status": "pending", "reference_type": "acquirer_reference_number"}
    return {"type": "card", "card": {**reference, "type": "refund"}}
