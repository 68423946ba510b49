"""Payments that were made elsewhere and attached to an invoice.

Source: docs.stripe.com/api/invoices/attach_payment
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import collection
from gateway.sandbox.core.errors import invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def attach(sandbox: Sandbox, invoice: Obj, intent: Obj) -> Obj:
    """Add a payment intent to an open invoice's payments; what it took, or takes later, is credited.

    Raises:
        StripeError: The invoice is not open, or the intent is another customer's, in another currency or in use.
    """
    if invoice["status"] != "open":
        raise collection.not_in(invoice, "paid by another payment", "open")
    if intent["customer"] not in (None, invoice["customer"]):
        raise invalid("The PaymentIntent belongs to another customer than the invoice.", "payment_intent")
    if intent["currency"] != invoice["currency"]:
        raise invalid("The PaymentIntent's currency is not the invoice's.", "payment_intent")
    if sandbox.store.first("invoice_payment", _payment_intent=intent["id"]):
        raise invalid("The PaymentIntent is attached to an invoice already.", "payment_intent")
    sandbox.create(
        {
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": intent["amount"],
            "currency": intent["currency"],
            "customer": invoice["customer"],
            "invoice": invoice["id"],
            "is_default": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
            "_payment_intent": intent["id"],
        }
    )
    sandbox.update(intent | {"_owner": invoice["id"]})
    if intent["status"] == "succeeded":
        settled(sandbox, intent)
    return sandbox.need("invoice", invoice["id"])


def settled(sandbox: Sandbox, intent: Obj) -> None:
    """Credit an attached payment that succeeded to its invoice, or pass on what became of the invoice's own one."""
    payment = sandbox.store.first("invoice_payment", _payment_intent=intent["id"])
    if payment is None or payment["is_default"]:
        collection.payment_settled(sandbox, intent)
        return
    invoice = sandbox.need("invoice", payment["invoice"])
    if intent["status"] != "succeeded" or invoice["status"] != "open":
        return
    received = intent["amount_received"]
    payment |= {"amount_paid": received, "status": "paid"}
    payment["status_transitions"]["paid_at"] = sandbox.now(invoice)
    sandbox.update(payment)
    sandbox.emit("invoice_payment.paid", payment)
    paid, left = invoice["amount_paid"] + received, max(0, invoice["amount_remaining"] - received)
    if left:
        sandbox.update(invoice | {"amount_paid": paid, "amount_remaining": left}, "invoice.updated")
        own = collection.intent_of(sandbox, invoice)
        if own:
            sandbox.update(own | {"amount": left})
        return
    collection.cancel_payment(sandbox, invoice, None)
    collection.settle(sandbox, invoice, received)
