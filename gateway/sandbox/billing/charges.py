"""Charges: each one attempt of a payment intent. Source: docs.stripe.com/api/charges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import ledger, mandates, payment_methods
from gateway.sandbox.core import cards, declines
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.periods import DAY

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

AUTHORIZATION_DAYS = 7
"""For how long authorised money can be captured."""
_EVENTS = {"succeeded": "charge.succeeded", "pending": "charge.pending", "failed": "charge.failed"}


def make(
    sandbox: Sandbox,
    intent: Obj,
    payment_method: Obj,
    status: str,
    *,
    captured: bool = True,
    decline_code: str | None = None,
) -> Obj:
    """Make one attempt of a payment intent: a charge that succeeded, failed or is pending."""
    amount = intent["amount"]
    taken = amount if captured and status == "succeeded" else 0
    charge: Obj = {
        "object": "charge",
        "id": sandbox.new_id("py" if payment_method["type"] != "card" else "ch"),
        "amount": amount,
        "amount_captured": taken,
        "amount_refunded": 0,
        "billing_details": {"tax_id": None, **payment_method["billing_details"]},
        "calculated_statement_descriptor": "SANDBOX",
        "captured": captured and status == "succeeded",
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "metadata": intent["metadata"],
        "outcome": _outcome(payment_method, status, decline_code),
        "paid": status == "succeeded",
        "payment_intent": intent["id"],
        "payment_method": payment_method["id"],
        "payment_method_details": _details(
            payment_method, amount, sandbox.now(intent) if not captured else None, mandates.of(sandbox, payment_method)
        ),
        "receipt_email": intent["receipt_email"],
        "refunded": False,
        "shipping": intent["shipping"],
        "statement_descriptor": intent["statement_descriptor"],
        "status": status,
    }
    if decline_code:
        charge |= _failure(decline_code)
    if status == "succeeded":
        charge["receipt_url"] = f"{sandbox.base_url}/receipts/{charge['id']}"
    later = intent["capture_method"] == "automatic_async"
    if charge["captured"]:
        ledger.charged(sandbox, charge, later=later)
    return sandbox.create(charge, _EVENTS[status])


def succeed(sandbox: Sandbox, charge: Obj) -> Obj:
    """Let a pending charge go through."""
    payment_method = sandbox.need("payment_method", charge["payment_method"])
    charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
    charge["outcome"] = _outcome(payment_method, "succeeded", None)
    charge["receipt_url"] = f"{sandbox.base_url}/receipts/{charge['id']}"
    ledger.charged(sandbox, charge)
    return sandbox.update(charge, "charge.succeeded")


def fail(sandbox: Sandbox, charge: Obj, decline_code: str) -> Obj:
    """Let a pending charge fail, as a bank returns it."""
    payment_method = sandbox.need("payment_method", charge["payment_method"])
    charge |= {"status": "failed", "paid": False, **_failure(decline_code)}
    charge["outcome"] = _outcome(payment_method, "failed", decline_code)
    return sandbox.update(charge, "charge.failed")


def capture(sandbox: Sandbox, charge: Obj, amount: int) -> Obj:
    """Take up to the authorised amount; the rest counts as refunded."""
    if not 0 < amount <= charge["amount"]:
        raise invalid(
            f"The amount to capture must be between 1 and the authorized {charge['amount']}.", "amount_to_capture"
        )
    charge |= {"captured": True, "amount_captured": amount, "amount_refunded": charge["amount"] - amount}
    ledger.charged(sandbox, charge)
    return sandbox.update(charge, "charge.captured")


def release(sandbox: Sandbox, charge: Obj) -> Obj:
    """Give up an authorisation."""
    charge |= {"amount_refunded": charge["amount"], "refunded": True}
    return sandbox.update(charge, "charge.refunded")


# --- The faces of a charge ----------------------------------------------------------------------------------


def _failure(decline_code: str) -> Obj:
    code, message = declines.declined(decline_code)
    return {"failure_code": code, "failure_message": message}


def _outcome(payment_method: Obj, status: str, decline_code: str | None) -> Obj | None:
    if status == "pending":
        return None
    risk = cards.behaviour_of(payment_method).risk
    blocked = status == "failed" and risk == "highest"
    refusal = declines.refusal(decline_code) if decline_code else None
    outcome: Obj = {
        "advice_code": refusal.advice if refusal and not blocked else None,
        "network_advice_code": None,
        "network_decline_code": refusal.network_code if refusal and not blocked else None,
        "network_status": "not_sent_to_network" if blocked else _network_status(status),
        "reason": "highest_risk_level" if blocked else decline_code,
        "seller_message": "Payment complete."
        if status == "succeeded"
        else f"The bank returned the decline code `{decline_code}`.",
        "type": "blocked" if blocked else "authorized" if status == "succeeded" else "issuer_declined",
    }
    if payment_method["type"] == "card":
        outcome |= {"risk_level": risk, "risk_score": {"normal": 21, "elevated": 68, "highest": 90}[risk]}
    return outcome


def _network_status(status: str) -> str:
    return "approved_by_network" if status == "succeeded" else "declined_by_network"


_NETWORK_TRANSACTION = "123456789012345"
_BANK_FIELDS = {
    "us_bank_account": (
        "account_holder_type",
        "account_type",
        "bank_name",
        "fingerprint",
        "last4",
        "mandate",
        "payment_reference",
        "routing_number",
    ),
    "sepa_debit": ("bank_code", "branch_code", "country", "fingerprint", "last4", "mandate"),
}


def _details(payment_method: Obj, amount: int, authorized_at: int | None, mandate: str | None) -> Obj:
    kind = payment_method["type"]
    known: Obj = {
        **(payment_methods.verified(payment_method).get(kind) or {}),
        **({"mandate": mandate} if mandate else {}),
    }
    if kind != "card":
        fields = _BANK_FIELDS.get(kind, tuple(known))
        return {"type": kind, kind: {name: known.get(name) for name in fields}}
    names = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "wallet")
    waits = {} if authorized_at is None else {"capture_before": authorized_at + AUTHORIZATION_DAYS * DAY}
    return {
        "type": "card",
        "card": {
            **waits,
            **{name: known.get(name) for name in names},
            "amount_authorized": amount,
            "authorization_code": "123456",
            "electronic_commerce_indicator": None,
            "extended_authorization": {"status": "disabled"},
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": known.get("brand"),
            "network_token": {"used": False},
            "network_transaction_id": _NETWORK_TRANSACTION,
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": _three_d_secure(payment_method),
            "transaction_link_id": None,
        },
    }


def _three_d_secure(payment_method: Obj) -> Obj | None:
    if not payment_method.get("_authenticated"):
        return None
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": payment_method["id"].removeprefix("pm_"),
        "version": "2.2.0",
    }
