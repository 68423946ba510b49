"""An invoice from draft to open: its lines, totals, number, balance and payment intent.

Source: docs.stripe.com/invoicing/overview, docs.stripe.com/billing/customer/balance
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import collection, credit, customer_balance, discounts, limits, payments, totals
from gateway.sandbox.billing.collection import now_of
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.periods import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

DRAFT_TIME = HOUR
"""Stripe leaves an automatic invoice in draft for about an hour, so that it can be changed."""


def draft(
    sandbox: Sandbox,
    customer: Obj,
    *,
    currency: str,
    lines: Sequence[Obj],
    reason: str,
    subscription: Obj | None = None,
    **fields: Any,
) -> Obj:
    """Make a draft of these lines; `fields` are further fields of the invoice (`discounts`, `auto_advance` …)."""
    return sandbox.create(
        compose(sandbox, customer, currency=currency, lines=lines, reason=reason, subscription=subscription, **fields),
        "invoice.created",
    )


def compose(
    sandbox: Sandbox,
    customer: Obj,
    *,
    currency: str,
    lines: Sequence[Obj],
    reason: str,
    subscription: Obj | None = None,
    **fields: Any,
) -> Obj:
    """Return an invoice that is reckoned but not stored: what `draft` stores and a preview shows."""
    now = sandbox.now(customer)
    new_id = sandbox.new_id("in")
    for line in lines:
        line["invoice"] = new_id
    invoice: Obj = {
        "id": new_id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Sandbox",
        "account_tax_ids": None,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None, "provider": None},
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": currency,
        "custom_fields": None,
        "default_tax_rates": [],
        "discounts": [],
        "due_date": None,
        "issuer": {"type": "self"},
        "lines": {"data": list(lines), "has_more": False, "object": "list", "url": f"/v1/invoices/{new_id}/lines"},
        "metadata": {},
        "payment_settings": {"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        "period_end": now,
        "period_start": now,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": {},
        **_of_customer(customer),
        **(_of_subscription(subscription, now) if subscription else {}),
        **fields,
    }
    if invoice["auto_advance"] and reason != "manual":
        invoice["automatically_finalizes_at"] = now + DRAFT_TIME
    return reckon(sandbox, invoice)


def _of_customer(customer: Obj) -> Obj:
    return {
        "customer": customer["id"],
        "customer_address": customer.get("address"),
        "customer_email": customer.get("email"),
        "customer_name": customer.get("name"),
        "customer_phone": customer.get("phone"),
        "customer_shipping": customer.get("shipping"),
        "customer_tax_exempt": customer.get("tax_exempt") or "none",
        "customer_tax_ids": [],
        "test_clock": customer.get("test_clock"),
    }


def _of_subscription(subscription: Obj, now: int) -> Obj:
    days = subscription["days_until_due"]
    settings = subscription["invoice_settings"]
    return {
        "collection_method": subscription["collection_method"],
        "custom_fields": settings.get("custom_fields") or None,
        "default_payment_method": None,
        "default_tax_rates": subscription.get("default_tax_rates") or [],
        "description": subscription["description"],
        "discounts": subscription["discounts"],
        "due_date": None if days is None else now + days * DAY,
        "footer": settings.get("footer"),
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "_subscription": subscription["id"],
    }


def reckon(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Reckon the totals of a draft from its lines, discounts, tax rates and the customer's balance."""
    at = invoice["created"]
    lines = invoice["lines"]["data"]
    on_lines = [each for line in lines for each in line["discounts"]]
    rules = totals.Rules(
        currency=invoice["currency"],
        discounts=discounts.active(sandbox, invoice["discounts"], at),
        line_discounts={each.id: each for each in discounts.active(sandbox, on_lines, at)},
        tax_rates=invoice["default_tax_rates"],
        tax_exempt=invoice["customer_tax_exempt"] or "none",
    )
    for line in lines:
        line["discounts"] = [each for each in line["discounts"] if each in rules.line_discounts]
    invoice |= totals.reckon(lines, rules)
    customer = sandbox.store.get("customer", invoice["customer"]) or {}
    in_currency = customer.get("currency") in (None, invoice["currency"])
    invoice["starting_balance"] = customer.get("balance", 0) if in_currency else 0
    due = max(0, invoice["total"] + invoice["starting_balance"])
    if limits.too_small(due, invoice["currency"]):
        due = 0  # the customer's balance takes it
    return invoice | {"amount_due": due, "amount_remaining": due}


def change(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Store a changed draft with its new totals."""
    return sandbox.update(reckon(sandbox, invoice), "invoice.updated")


# How the payment of an invoice is called (recorded).
_DESCRIPTIONS = {
    "manual": "Payment for Invoice",
    "subscription_create": "Subscription creation",
    "subscription_update": "Subscription update",
}


def finalize(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Open a draft: number, balance, payment intent. A draft over nothing is paid at once.

    Raises:
        StripeError: It is no draft.
    """
    if invoice["status"] != "draft":
        raise StripeError(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    sandbox.clock.cancel("invoice.finalize", invoice)
    sandbox.follow("invoice.finalizing", invoice)
    invoice = sandbox.need("invoice", invoice["id"])
    now = now_of(sandbox, invoice)
    invoice = reckon(sandbox, credit.apply(sandbox, reckon(sandbox, invoice)))
    customer = sandbox.need("customer", invoice["customer"])
    ending = invoice["total"] + invoice["starting_balance"] - invoice["amount_due"]
    invoice |= {
        "automatically_finalizes_at": None,
        "effective_at": invoice["effective_at"] or now,
        "rendering": _on_paper(invoice.get("rendering")),
        "ending_balance": ending,
        "hosted_invoice_url": f"{sandbox.base_url}/i/{invoice['id']}",
        "invoice_pdf": f"{sandbox.base_url}/i/{invoice['id']}?print=1",
        "number": invoice["number"] or _next_number(sandbox, customer),
        "status": "open",
    }
    invoice["status_transitions"]["finalized_at"] = now
    _move_balance(sandbox, customer, invoice, ending)
    sandbox.update(invoice, "invoice.finalized")
    if invoice["amount_due"] == 0:
        return collection.settle(sandbox, invoice, 0)
    _ask_for_payment(sandbox, invoice)
    return invoice


def advance_planned(sandbox: Sandbox, id: str) -> None:
    """Finalize and collect a draft whose hour is over."""
    invoice = sandbox.store.get("invoice", id)
    if invoice and invoice["status"] == "draft" and invoice["auto_advance"]:
        advance(sandbox, invoice)


def advance(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Finalize a draft and charge it, or send it, as its collection method says."""
    invoice = finalize(sandbox, invoice)
    if invoice["status"] != "open":
        return invoice
    if invoice["collection_method"] == "send_invoice":
        return collection.send(sandbox, invoice)
    return collection.collect(sandbox, invoice)


def advance_later(sandbox: Sandbox, invoice: Obj) -> None:
    """Leave an automatic draft its hour."""
    if invoice["auto_advance"]:
        at = invoice["automatically_finalizes_at"] or now_of(sandbox, invoice) + DRAFT_TIME
        sandbox.clock.schedule(at, "invoice.finalize", invoice)


def _next_number(sandbox: Sandbox, customer: Obj) -> str:
    sequence = customer.get("next_invoice_sequence") or 1
    customer["next_invoice_sequence"] = sequence + 1
    sandbox.update(customer)
    return f"{customer['invoice_prefix']}-{sequence:04d}"


def _move_balance(sandbox: Sandbox, customer: Obj, invoice: Obj, ending: int) -> None:
    """Let the customer's balance pay (a credit) or be paid (a debt) with an invoice; a negative total tops it up."""
    moved = ending - invoice["starting_balance"]
    if moved:
        kind = "invoice_too_small" if ending > 0 else "applied_to_invoice"
        customer_balance.adjust(sandbox, customer, moved, invoice["currency"], kind, invoice=invoice["id"])


def _ask_for_payment(sandbox: Sandbox, invoice: Obj) -> None:
    """Give an open invoice its payment intent, and an invoice payment that ties the two."""
    subscription = invoice.get("_subscription")
    payment_method = collection.default_payment_method(sandbox, invoice)
    intent = payments.intend(
        sandbox,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        description=_DESCRIPTIONS.get(invoice["billing_reason"]),
        payment_method=payment_method["id"] if payment_method else None,
        payment_method_types=(invoice["payment_settings"] or {}).get("payment_method_types"),
        setup_future_usage="off_session" if subscription else None,
        three_d_secure=payments.asked_for(_payment_settings(sandbox, invoice)),
        _owner=invoice["id"],
    )
    sandbox.create(
        {
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "invoice": invoice["id"],
            "is_default": True,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
            "_payment_intent": intent["id"],
        }
    )


def _payment_settings(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Return how an invoice is to be paid: its own settings, else its subscription's."""
    own: Obj = invoice["payment_settings"] or {}
    subscription = sandbox.store.get("subscription", invoice.get("_subscription") or "") or {}
    return own if own.get("payment_method_options") else subscription.get("payment_settings") or {}


def _on_paper(rendering: Obj | None) -> Obj | None:
    """Return how an invoice is rendered with its page size settled: `auto` is `letter` in the United States."""
    if not rendering or (rendering.get("pdf") or {}).get("page_size") != "auto":
        return rendering
    return {**rendering, "pdf": {"page_size": "letter"}}
