"""Credit notes: an invoice made smaller after it was finalized. https://docs.stripe.com/api/credit_notes.

On an open invoice a credit note lowers what remains to be paid; on a paid one the amount goes back to the buyer, as a
refund, as credit for later invoices, or outside of Stripe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import charges, collection, customer_balance
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("credit_note", "cn", "credit note")
kind("credit_note_line_item", "cnli", "credit note line item")


@route("POST", "/v1/credit_notes", params="CreditNoteCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Issue a credit note."""
    params = request.params
    invoice = sandbox.need("invoice", params["invoice"], "invoice")
    if invoice["status"] not in ("open", "paid"):
        raise collection.not_in(invoice, "credited", "open or paid")
    lines = [_line(sandbox, invoice, entry) for entry in params.get("lines") or []]
    amount = params.get("amount") or sum(line["amount"] for line in lines)
    paid = invoice["status"] == "paid"
    most = invoice["amount_paid" if paid else "amount_remaining"] - invoice["post_payment_credit_notes_amount"]
    if not 0 < amount <= most:
        raise invalid(f"The amount of a credit note must be between 1 and {most} for this invoice.", "amount")
    note = _note(sandbox, invoice, params, amount, lines)
    if paid:
        _give_back(sandbox, invoice, note, params)
    else:
        _lower(sandbox, invoice, amount)
    return sandbox.create(note, "credit_note.created")


def _note(sandbox: Sandbox, invoice: Obj, params: Obj, amount: int, lines: list[Obj]) -> Obj:
    new_id = sandbox.new_id("cn")
    paid = invoice["status"] == "paid"
    return merge(
        {
            "id": new_id,
            "object": "credit_note",
            "amount": amount,
            "amount_shipping": 0,
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "discount_amounts": [],
            "invoice": invoice["id"],
            "lines": envelope(f"/v1/credit_notes/{new_id}/lines", lines),
            "metadata": {},
            "number": f"{invoice['number']}-CN-{len(sandbox.store.find('credit_note', invoice=invoice['id'])) + 1:02d}",
            "pdf": f"{sandbox.base_url}/i/{invoice['id']}?print=1",
            "post_payment_amount": amount if paid else 0,
            "pre_payment_amount": 0 if paid else amount,
            "pretax_credit_amounts": [],
            "refunds": [],
            "status": "issued",
            "subtotal": amount,
            "total": amount,
            "total_taxes": [],
            "type": "post_payment" if paid else "pre_payment",
        },
        params,
        "memo",
        "metadata",
        "out_of_band_amount",
        "reason",
    )


def _line(sandbox: Sandbox, invoice: Obj, entry: Obj) -> Obj:
    of_invoice = {line["id"]: line for line in invoice["lines"]["data"]}.get(entry.get("invoice_line_item", ""))
    quantity = entry.get("quantity", 1)
    unit = entry.get("unit_amount")
    amount = entry.get("amount", quantity * unit if unit is not None else (of_invoice or {}).get("amount", 0))
    return {
        "id": sandbox.new_id("cnli"),
        "object": "credit_note_line_item",
        "amount": amount,
        "description": entry.get("description") or (of_invoice or {}).get("description"),
        "discount_amount": 0,
        "discount_amounts": [],
        "invoice_line_item": entry.get("invoice_line_item"),
        "livemode": False,
        "pretax_credit_amounts": [],
        "quantity": quantity,
        "tax_rates": [],
        "taxes": [],
        "type": entry["type"],
        "unit_amount": unit,
        "unit_amount_decimal": None if unit is None else str(unit),
    }


def _lower(sandbox: Sandbox, invoice: Obj, amount: int) -> None:
    """Lower what an open invoice asks for; one that asks for nothing any more is paid."""
    invoice["pre_payment_credit_notes_amount"] += amount
    invoice["amount_remaining"] -= amount
    sandbox.update(invoice, "invoice.updated")
    intent = collection.intent_of(sandbox, invoice)
    if intent and invoice["amount_remaining"]:
        sandbox.update(intent | {"amount": invoice["amount_remaining"]})
    elif not invoice["amount_remaining"]:
        collection.settle(sandbox, invoice, 0)


def _give_back(sandbox: Sandbox, invoice: Obj, note: Obj, params: Obj) -> None:
    """Check that refund, credit balance and out-of-band amounts make up the credit note of a paid invoice."""
    parts = {name: params.get(f"{name}_amount", 0) for name in ("refund", "credit", "out_of_band")}
    if sum(parts.values()) != note["amount"]:
        raise invalid(
            "The sum of credit_amount, refund_amount and out_of_band_amount must equal the credit note amount "
            f"({note['amount']}).",
            "amount",
        )
    intent = collection.intent_of(sandbox, invoice)
    if parts["refund"] and intent:
        charge = sandbox.need("charge", intent["latest_charge"])
        refund = charges.refund(sandbox, charge, parts["refund"])
        note["refunds"] = [{"amount_refunded": parts["refund"], "refund": refund["id"], "type": "refund"}]
    if parts["credit"]:
        customer = sandbox.need("customer", invoice["customer"])
        entry = customer_balance.adjust(
            sandbox, customer, -parts["credit"], invoice["currency"], "credit_note", credit_note=note["id"]
        )
        note["customer_balance_transaction"] = entry["id"]
    invoice["post_payment_credit_notes_amount"] += note["amount"]
    sandbox.update(invoice, "invoice.updated")


@route("GET", "/v1/credit_notes", params="CreditNoteListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List credit notes."""
    return page(sandbox, request, "credit_note")


@route("GET", "/v1/credit_notes/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a credit note."""
    return sandbox.need("credit_note", id)


@route("POST", "/v1/credit_notes/{id}", params="CreditNoteUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change memo or metadata."""
    return sandbox.update(merge(sandbox.need("credit_note", id), request.params), "credit_note.updated")


@route("POST", "/v1/credit_notes/{id}/void")
def void(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Take back a credit note of an invoice that is still open."""
    note = sandbox.need("credit_note", id)
    invoice = sandbox.need("invoice", note["invoice"])
    if note["status"] == "void" or note["type"] != "pre_payment" or invoice["status"] != "open":
        raise invalid("Only a credit note of an open invoice can be voided.", code="invoice_not_editable")
    _lower(sandbox, invoice, -note["amount"])
    return sandbox.update(note | {"status": "void", "voided_at": sandbox.now(note)}, "credit_note.voided")
