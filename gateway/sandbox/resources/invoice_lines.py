"""The lines of an invoice: listed always, changed while it is a draft. https://docs.stripe.com/api/invoice-line-item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import collection, invoices, pending
from gateway.sandbox.core.errors import parameter_missing, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("line_item", "il", "line item")


@route("GET", "/v1/invoices/{id}/lines", params="InvoiceLineItemListParams")
def index(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """List an invoice's lines."""
    return page_of(request, sandbox.need("invoice", id)["lines"]["data"])


@route("POST", "/v1/invoices/{id}/lines/{line}", params="InvoiceLineItemUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str, line: str) -> Obj:
    """Change a line of a draft."""
    invoice = _draft(sandbox, id)
    _change(invoice, {**request.params, "id": line})
    invoices.change(sandbox, invoice)
    return _find(invoice, line)


@route("POST", "/v1/invoices/{id}/add_lines", params="InvoiceAddLinesParams")
def add(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Add lines to a draft, each from a pending invoice item or as described."""
    invoice = _draft(sandbox, id)
    customer = sandbox.need("customer", invoice["customer"])
    added = []
    for number, entry in enumerate(request.params["lines"]):
        if "invoice_item" in entry:
            item = sandbox.need("invoiceitem", entry["invoice_item"], f"lines[{number}][invoice_item]")
        else:
            fields = pending.from_params(sandbox, customer, entry, invoice["currency"], f"lines[{number}]")
            item = pending.add(sandbox, customer, **fields)
        added.append(item)
    return put_items(sandbox, invoice, added)


@route("POST", "/v1/invoices/{id}/update_lines", params="InvoiceUpdateLinesParams")
def update_many(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change several lines of a draft."""
    invoice = _draft(sandbox, id)
    for entry in request.params["lines"]:
        _change(invoice, entry)
    return invoices.change(sandbox, invoice)


@route("POST", "/v1/invoices/{id}/remove_lines", params="InvoiceRemoveLinesParams")
def remove(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Take lines off a draft; their invoice items are deleted, or wait again (`unassign`)."""
    invoice = _draft(sandbox, id)
    for entry in request.params["lines"]:
        line = _find(invoice, entry["id"])
        invoice["lines"]["data"].remove(line)
        item = sandbox.store.get("invoiceitem", item_of(line) or "")
        if item and entry["behavior"] == "unassign":
            sandbox.update(item | {"invoice": None})
        elif item:
            sandbox.remove(item, "invoiceitem.deleted")
    return invoices.change(sandbox, invoice)


def put_items(sandbox: Sandbox, invoice: Obj, added: Sequence[Obj]) -> Obj:
    """Put invoice items onto a draft."""
    for line in pending.as_lines(sandbox, added):
        invoice["lines"]["data"].append(line | {"invoice": invoice["id"]})
    pending.attach(sandbox, added, invoice)
    return invoices.change(sandbox, invoice)


def item_of(line: Obj) -> str | None:
    """Return the invoice item that a line was made of."""
    parent: Obj = line["parent"] or {}
    details: Obj = parent.get(parent.get("type", "")) or {}
    return details.get("invoice_item")


def _draft(sandbox: Sandbox, id: str) -> Obj:
    invoice = sandbox.need("invoice", id)
    if invoice["status"] != "draft":
        raise collection.not_in(invoice, "changed", "draft")
    return invoice


def _find(invoice: Obj, id: str) -> Obj:
    for line in invoice["lines"]["data"]:
        if line["id"] == id:
            return dict(line)
    raise resource_missing("line item", id)


def _change(invoice: Obj, entry: Obj) -> None:
    if "id" not in entry:
        raise parameter_missing("lines[0][id]")
    data = invoice["lines"]["data"]
    line = _find(invoice, entry["id"])
    changed = merge(line, entry, "amount", "description", "discountable", "metadata", "period", "quantity")
    data[data.index(line)] = changed
