"""Credit notes: an invoice made smaller after it was finalized. https://docs.stripe.com/api/credit_notes.

On an open invoice a credit note lowers what remains to be paid; on a paid one the amount goes back to the buyer, as a
refund, as credit for later invoices, or outside of Stripe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page, page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import credit_notes
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("credit_note", "cn", "credit note")
kind("credit_note_line_item", "cnli", "credit note line item")


@route("POST", "/v1/credit_notes", params="CreditNoteCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Issue a credit note."""
    return credit_notes.issue(sandbox, request.params)


@route("GET", "/v1/credit_notes/preview", params="CreditNotePreviewParams")
def preview(sandbox: Sandbox, request: Request) -> Obj:
    """Show the credit note that these parameters would make; nothing is kept of it."""
    with sandbox.store.dry_run():
        return sandbox.create(credit_notes.compose(sandbox, request.params))


@route("GET", "/v1/credit_notes/preview/lines", params="CreditNotePreviewLinesListParams")
def preview_lines(sandbox: Sandbox, request: Request) -> Obj:
    """List the lines of a credit note that these parameters would make."""
    return page_of(request, credit_notes.compose(sandbox, request.params)["lines"]["data"])


@route("GET", "/v1/credit_notes/{id}/lines", params="CreditNoteLineItemListParams")
def lines_of(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List the lines of a credit note."""
    return page_of(request, sandbox.need("credit_note", id)["lines"]["data"])


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
    credit_notes.lower(sandbox, invoice, -note["amount"])
    return sandbox.update(note | {"status": "void", "voided_at": sandbox.now(note)}, "credit_note.voided")
