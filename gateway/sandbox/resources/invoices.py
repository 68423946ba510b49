"""Invoices. https://docs.stripe.com/api/invoices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import (
    attached_payments,
    collection,
    discounts,
    invoices,
    items,
    payment_methods,
    pending,
    previews,
)
from gateway.sandbox.core.errors import StripeError, invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.periods import DAY
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("invoice", "in", path="invoice")
kind("discount", "di")

_PLAIN = (
    "auto_advance",
    "automatically_finalizes_at",
    "collection_method",
    "custom_fields",
    "default_payment_method",
    "description",
    "due_date",
    "effective_at",
    "footer",
    "metadata",
    "number",
    "payment_settings",
    "rendering",
    "statement_descriptor",
)


@route("POST", "/v1/invoices", params="InvoiceCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Draft an invoice; pending invoice items go onto it unless they are excluded (which is the default)."""
    params = request.params
    if "customer" not in params:
        raise parameter_missing("customer")
    customer = sandbox.need("customer", params["customer"], "customer")
    blank = {"auto_advance": False, "rendering": {"pdf": {"page_size": "auto"}}}
    fields = _fields(sandbox, merge(blank, params, *_PLAIN), params, customer)
    currency = params.get("currency") or customer.get("currency") or "usd"
    subscription = None
    if "subscription" in params:
        subscription = sandbox.need("subscription", params["subscription"], "subscription")
        waiting = pending.of(sandbox, subscription)
    else:
        waiting = pending.of_customer(sandbox, customer["id"], currency)
        waiting = waiting if params.get("pending_invoice_items_behavior") == "include" else []
    reason = "subscription_update" if waiting and subscription else "manual"
    invoice = invoices.draft(
        sandbox,
        customer,
        currency=currency,
        lines=pending.as_lines(sandbox, waiting),
        reason=reason,
        subscription=subscription,
        **fields,
    )
    pending.attach(sandbox, waiting, invoice)
    invoices.advance_later(sandbox, invoice)
    return invoice


def _fields(sandbox: Sandbox, fields: Obj, params: Obj, customer: Obj) -> Obj:
    """Return the fields that are not simply what the parameter says."""
    now = sandbox.now(customer)
    if "days_until_due" in params:
        fields["due_date"] = now + params["days_until_due"] * DAY
    if fields.get("collection_method") == "send_invoice" and not fields.get("due_date"):
        raise invalid(
            "You must specify either `days_until_due` or `due_date` when `collection_method` is `send_invoice`.",
            "days_until_due",
        )
    if "default_tax_rates" in params:
        fields["default_tax_rates"] = items.tax_rates(sandbox, params["default_tax_rates"], "default_tax_rates")
    if "discounts" in params:
        fields["discounts"] = discounts.redeem(sandbox, params["discounts"], customer)
    return fields


@route("GET", "/v1/invoices", params="InvoiceListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List invoices."""
    return page(sandbox, request, "invoice", subscription=None, _subscription=request.params.get("subscription"))


@route("GET", "/v1/invoices/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an invoice."""
    return sandbox.need("invoice", id)


@route("POST", "/v1/invoices/{id}", params="InvoiceUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a draft; of an open invoice only what no total depends on."""
    invoice = sandbox.need("invoice", id)
    customer = sandbox.need("customer", invoice["customer"])
    changed = _fields(sandbox, merge(invoice, request.params, *_PLAIN), request.params, customer)
    if invoice["status"] != "draft":
        if request.params.keys() - {"metadata", "description", "default_payment_method", "auto_advance", "footer"}:
            raise collection.not_in(invoice, "changed in this way", "draft")
        return sandbox.update(changed, "invoice.updated")
    changed = invoices.change(sandbox, changed)
    if changed["auto_advance"]:
        invoices.advance_later(sandbox, changed)
    return changed


@route("DELETE", "/v1/invoices/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a draft that no subscription made; its invoice items wait again."""
    invoice = sandbox.need("invoice", id)
    if invoice["status"] != "draft":
        raise StripeError("You can only delete draft invoices.", code="invoice_not_editable")
    if invoice["parent"]:
        raise StripeError("You cannot delete invoices created by subscriptions.", code="invoice_not_editable")
    for item in sandbox.store.find("invoiceitem", invoice=id):
        sandbox.remove(item, "invoiceitem.deleted")
    return sandbox.remove(invoice, "invoice.deleted")


@route("POST", "/v1/invoices/{id}/finalize", params="InvoiceFinalizeInvoiceParams")
def finalize(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Open a draft now; with automatic collection it is charged an hour later, as at Stripe."""
    invoice = sandbox.need("invoice", id)
    invoice["auto_advance"] = request.params.get("auto_advance", invoice["auto_advance"])
    invoice = invoices.finalize(sandbox, invoice)
    if invoice["status"] == "open" and invoice["auto_advance"]:
        sandbox.clock.schedule(sandbox.now(invoice) + invoices.DRAFT_TIME, "invoice.retry", invoice)
    return invoice


@route("POST", "/v1/invoices/{id}/pay", params="InvoicePayParams")
def pay(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Pay an invoice now, finalizing it first if need be."""
    params = request.params
    invoice = sandbox.need("invoice", id)
    if invoice["status"] == "draft":
        invoice = invoices.finalize(sandbox, invoice)
        if invoice["status"] == "paid":
            return invoice
    if invoice["status"] not in ("open", "uncollectible"):
        raise StripeError(f"Invoice is already {invoice['status']}", code="invoice_already_paid")
    if params.get("paid_out_of_band"):
        return collection.pay_elsewhere(sandbox, invoice)
    given = params.get("payment_method") or params.get("source")
    method = payment_methods.resolve(sandbox, given) if given else None
    if method and method["customer"] is None:
        method = payment_methods.attach(sandbox, method, invoice["customer"])
    if method is None and collection.default_payment_method(sandbox, invoice) is None:
        raise StripeError(
            "There is no `default_payment_method` set on this Customer or Invoice. Please attach a payment method or "
            "default payment method.",
            code="resource_missing",
        )
    invoice = collection.collect(sandbox, invoice, method)
    intent = collection.intent_of(sandbox, invoice) or {}
    if invoice["status"] == "paid" or intent.get("status") == "processing":
        return invoice
    raise _refusal(intent)


def _refusal(intent: Obj) -> StripeError:
    error = intent.get("last_payment_error") or {}
    return StripeError(
        error.get("message", "This payment requires additional user action before it can be completed successfully."),
        status=402,
        type="card_error",
        code=error.get("code", "invoice_payment_intent_requires_action"),
        keep=True,
        **({"decline_code": error["decline_code"]} if error.get("decline_code") else {}),
    )


@route("POST", "/v1/invoices/{id}/attach_payment", params="InvoiceAttachPaymentParams")
def attach_payment(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Let a payment that was made elsewhere pay an open invoice, or a part of it."""
    invoice = sandbox.need("invoice", id)
    if "payment_intent" not in request.params:
        raise parameter_missing("payment_intent")
    intent = sandbox.need("payment_intent", request.params["payment_intent"], "payment_intent")
    return attached_payments.attach(sandbox, invoice, intent)


@route("POST", "/v1/invoices/{id}/send", params="InvoiceSendInvoiceParams")
def send(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Send an invoice, finalizing it first if need be."""
    invoice = sandbox.need("invoice", id)
    if invoice["collection_method"] != "send_invoice":
        raise invalid("You can only manually send an invoice if its collection method is 'send_invoice'.")
    if invoice["status"] == "draft":
        invoice = invoices.finalize(sandbox, invoice)
    return collection.send(sandbox, invoice)


@route("POST", "/v1/invoices/{id}/void", params="InvoiceVoidInvoiceParams")
def void(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Take an invoice back."""
    return collection.void(sandbox, sandbox.need("invoice", id))


@route("POST", "/v1/invoices/{id}/mark_uncollectible", params="InvoiceMarkUncollectibleParams")
def mark_uncollectible(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Give an invoice up."""
    return collection.mark_uncollectible(sandbox, sandbox.need("invoice", id))


@expandable("invoice", "payments")
def _payments(sandbox: Sandbox, invoice: Obj) -> Obj:
    found = sandbox.store.find("invoice_payment", invoice=invoice["id"])
    return envelope(f"/v1/invoice_payments?invoice={invoice['id']}", found)


@expandable("invoice", "confirmation_secret")
def _confirmation_secret(sandbox: Sandbox, invoice: Obj) -> Obj | None:
    intent = collection.intent_of(sandbox, invoice)
    return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else None


@route("POST", "/v1/invoices/create_preview", params="InvoiceCreatePreviewParams")
def create_preview(sandbox: Sandbox, request: Request) -> Obj:
    """Show the next invoice, or what a change would cost."""
    return previews.preview(sandbox, request.params)
