"""Getting an open invoice paid: attempts, their outcome, and the other ends an invoice can come to.

What an outcome means for a subscription or a checkout session is told by `reactions.OUTCOMES`.

Source: docs.stripe.com/invoicing/overview#invoice-statuses
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import customer_balance, dunning, payments
from gateway.sandbox.core.errors import StripeError

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def now_of(sandbox: Sandbox, invoice: Obj) -> int:
    """Return the time on the clock that an invoice lives by."""
    return sandbox.now(invoice)


def default_payment_method(sandbox: Sandbox, invoice: Obj) -> Obj | None:
    """Return what an invoice is charged to, in Stripe's order: its own, the subscription's, the customer's default."""
    subscription = sandbox.store.get("subscription", invoice.get("_subscription") or "") or {}
    return invoice_default(sandbox, invoice, subscription)


def invoice_default(sandbox: Sandbox, invoice: Obj, subscription: Obj) -> Obj | None:
    """Return the payment method that an invoice of this subscription would be charged to, or None."""
    customer = sandbox.store.get("customer", invoice["customer"]) or {}
    candidates = (
        invoice.get("default_payment_method"),
        subscription.get("default_payment_method"),
        (customer.get("invoice_settings") or {}).get("default_payment_method"),
        customer.get("default_source"),
    )
    found = (sandbox.store.get("payment_method", each) for each in candidates if each)
    return next((each for each in found if each), None)


def payment_of(sandbox: Sandbox, invoice: Obj) -> Obj | None:
    """Return the invoice payment that is (to be) made for an invoice, besides those that were attached to it."""
    return sandbox.store.first("invoice_payment", invoice=invoice["id"], is_default=True)


def intent_of(sandbox: Sandbox, invoice: Obj) -> Obj | None:
    """Return the payment intent of an open or paid invoice; None for a draft and one over nothing."""
    payment = payment_of(sandbox, invoice)
    return sandbox.store.get("payment_intent", payment["_payment_intent"]) if payment else None


def collect(sandbox: Sandbox, invoice: Obj, payment_method: Obj | None = None, *, retry: bool = False) -> Obj:
    """Charge an open invoice once; its `status` and the payment intent tell the outcome.

    The first attempt and then the automatic retries are counted (docs.stripe.com/api/invoices, `attempt_count`); any
    other leaves the retries as they are planned.
    """
    intent = intent_of(sandbox, invoice)
    if intent is None or intent["status"] in ("processing", "succeeded"):
        return invoice
    payment_method = payment_method or default_payment_method(sandbox, invoice)
    if retry or not invoice["attempt_count"]:
        invoice["attempt_count"] += 1
    else:
        invoice["_planned"] = invoice["next_payment_attempt"]
    invoice |= {"attempted": True, "next_payment_attempt": None}
    sandbox.update(invoice)
    if payment_method is None:
        _fail(sandbox, invoice)
    else:
        intent = payments.confirm(sandbox, intent, payment_method)
        if intent["status"] == "processing":
            sandbox.follow("invoice.processing", invoice)
        elif intent["status"] == "requires_action":
            _ask_buyer(sandbox, invoice)
    return sandbox.need("invoice", invoice["id"])


def payment_settled(sandbox: Sandbox, intent: Obj) -> None:
    """Settle an invoice whose payment intent succeeded, or note that the attempt failed."""
    invoice = sandbox.need("invoice", intent["_owner"])
    if intent["status"] == "succeeded":
        settle(sandbox, invoice, intent["amount_received"])
    else:
        _fail(sandbox, invoice)


def _ask_buyer(sandbox: Sandbox, invoice: Obj) -> None:
    """Ask for the buyer, whom the bank wants; at a renewal he is away, and that counts as a failed attempt."""
    if invoice["billing_reason"] == "subscription_create":
        # The buyer is asked, not yet charged (recorded: pay, fails_when_subscribing_with_SCA_card).
        invoice = sandbox.update(invoice | {"attempt_count": 0})
    sandbox.emit("invoice.payment_action_required", invoice)
    if invoice["billing_reason"] != "subscription_create":
        _fail(sandbox, invoice)


def _fail(sandbox: Sandbox, invoice: Obj) -> None:
    """Plan the next attempt after one that failed, then tell of it."""
    invoice["next_payment_attempt"] = invoice.pop("_planned", None) or dunning.next_attempt(sandbox, invoice)
    if invoice["next_payment_attempt"]:
        sandbox.clock.schedule(invoice["next_payment_attempt"], "invoice.retry", invoice)
    sandbox.update(invoice, "invoice.updated")
    sandbox.emit("invoice.payment_failed", invoice)
    sandbox.follow("invoice.failed", invoice)


def retry(sandbox: Sandbox, id: str) -> None:
    """Try again to collect an invoice that is still open."""
    invoice = sandbox.need("invoice", id)
    if invoice["status"] == "open":
        collect(sandbox, invoice, retry=True)


def settle(sandbox: Sandbox, invoice: Obj, amount: int, *, out_of_band: bool = False) -> Obj:
    """Mark an invoice as paid: by its payment intent, by nothing being due, or elsewhere (`out_of_band`)."""
    now = now_of(sandbox, invoice)
    invoice |= {
        "amount_paid": invoice["amount_paid"] + amount,
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
    }
    invoice["status_transitions"]["paid_at"] = now
    if out_of_band:
        invoice["amount_paid_off_stripe"] = amount
    sandbox.update(invoice, "invoice.updated")
    sandbox.clock.cancel("invoice.retry", invoice)
    payment = None if out_of_band else payment_of(sandbox, invoice)
    if payment and payment["status"] == "canceled":
        payment = None  # others, that were attached, have paid
    if payment:
        payment |= {"amount_paid": amount, "status": "paid"}
        payment["status_transitions"]["paid_at"] = now
        sandbox.update(payment)
    sandbox.emit("invoice.paid", invoice)
    if payment:
        sandbox.emit("invoice_payment.paid", payment)
    sandbox.emit("invoice.payment_succeeded", invoice)
    sandbox.follow("invoice.paid", invoice)
    return sandbox.need("invoice", invoice["id"])


def send(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Send an open invoice to the customer (here: only the event)."""
    sandbox.emit("invoice.sent", invoice)
    if invoice["due_date"]:
        sandbox.clock.schedule(invoice["due_date"], "invoice.overdue", invoice)
    return invoice


def overdue(sandbox: Sandbox, id: str) -> None:
    """Tell that the due date of a sent invoice has passed without payment."""
    invoice = sandbox.need("invoice", id)
    if invoice["status"] == "open":
        sandbox.emit("invoice.overdue", invoice)
        sandbox.follow("invoice.overdue", invoice)


def pay_elsewhere(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Mark an invoice as paid outside of Stripe."""
    cancel_payment(sandbox, invoice, None)
    return settle(sandbox, invoice, invoice["amount_remaining"], out_of_band=True)


def void(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Take an open or uncollectible invoice back, as if it had never been.

    What it took from the customer's balance, or gave to it, is given back.
    Source: https://docs.stripe.com/changelog/2019-12-03/customer-balances-returned-voided-invoices
    """
    if invoice["status"] not in ("open", "uncollectible"):
        raise not_in(invoice, "voided", "open or uncollectible")
    cancel_payment(sandbox, invoice, "void_invoice")
    _end(sandbox, invoice, "void", "voided_at")
    sandbox.update(invoice, "invoice.voided")
    if back := invoice["starting_balance"] - (invoice["ending_balance"] or 0):
        customer = sandbox.need("customer", invoice["customer"])
        kind = "unapplied_from_invoice"
        customer_balance.adjust(sandbox, customer, back, invoice["currency"], kind, invoice=invoice["id"])
    sandbox.follow("invoice.forgiven", invoice)
    return invoice


def mark_uncollectible(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Give an open invoice up; it can still be paid."""
    if invoice["status"] != "open":
        raise not_in(invoice, "marked uncollectible", "open")
    _end(sandbox, invoice, "uncollectible", "marked_uncollectible_at")
    sandbox.update(invoice, "invoice.marked_uncollectible")
    sandbox.follow("invoice.forgiven", invoice)
    return invoice


def _end(sandbox: Sandbox, invoice: Obj, status: str, stamp: str) -> None:
    invoice |= {"auto_advance": False, "next_payment_attempt": None, "status": status}
    invoice["status_transitions"][stamp] = now_of(sandbox, invoice)
    sandbox.clock.cancel("invoice.retry", invoice)


def cancel_payment(sandbox: Sandbox, invoice: Obj, reason: str | None) -> None:
    """Cancel an invoice's own payment, if it is still open."""
    intent, payment = intent_of(sandbox, invoice), payment_of(sandbox, invoice)
    if intent and payment and intent["status"] in payments.OPEN:
        payments.cancel(sandbox, intent, reason)
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = now_of(sandbox, invoice)
        sandbox.update(payment)


def not_in(invoice: Obj, done: str, needed: str) -> StripeError:
    """Return the refusal of a change that an invoice's status forbids."""
    return StripeError(
        f"This invoice cannot be {done} because its status is {invoice['status']}; it must be {needed}.",
        code="invoice_not_editable",
    )
