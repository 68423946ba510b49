"""Invoice items. https://docs.stripe.com/api/invoiceitems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import matches, page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import invoices, pending
from gateway.sandbox.core.errors import StripeError, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind
from gateway.sandbox.resources import invoice_lines

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("invoiceitem", "ii", "invoice item")


@route("POST", "/v1/invoiceitems", params="InvoiceItemCreateParams", legacy=("price", "unit_amount"))
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Make an invoice item, which waits for the next invoice or goes onto a named draft."""
    params = request.params
    if "customer" not in params:
        raise parameter_missing("customer")
    customer = sandbox.need("customer", params["customer"], "customer")
    draft = sandbox.need("invoice", params["invoice"], "invoice") if "invoice" in params else None
    if draft and draft["status"] != "draft":
        raise StripeError("This invoice is no longer editable", code="invoice_not_editable", param="invoice")
    currency = params.get("currency") or (draft or {}).get("currency")
    fields = pending.from_params(sandbox, customer, params, currency and currency.lower())
    if "subscription" in params:
        subscription = sandbox.need("subscription", params["subscription"], "subscription")
        fields["parent"] = pending.belongs_to(subscription["id"])
    item = pending.add(sandbox, customer, **fields)
    if draft:
        invoice_lines.put_items(sandbox, draft, [item])
    return sandbox.need("invoiceitem", item["id"])


@route("GET", "/v1/invoiceitems", params="InvoiceItemListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List invoice items; `created` asks for their `date`, since they have no other time."""
    waits, created = request.params.get("pending"), request.params.get("created")

    def fits(item: Obj) -> bool:
        timely = created is None or matches(item, "date", created)
        return timely and (waits is None or waits == (item["invoice"] is None))

    return page(sandbox, request, "invoiceitem", fits, pending=None, created=None)


@route("GET", "/v1/invoiceitems/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an invoice item."""
    return sandbox.need("invoiceitem", id)


@route("POST", "/v1/invoiceitems/{id}", params="InvoiceItemUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change an invoice item that is not on a finalized invoice."""
    item = _editable(sandbox, id)
    changed = merge(item, request.params, "amount", "description", "discountable", "metadata", "period")
    changed["net_amount"] = changed["amount"]
    _replace(sandbox, item, changed)
    return sandbox.update(changed)


@route("DELETE", "/v1/invoiceitems/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete an invoice item that is not on a finalized invoice."""
    item = _editable(sandbox, id)
    _replace(sandbox, item, None)
    return sandbox.remove(item, "invoiceitem.deleted")


def _editable(sandbox: Sandbox, id: str) -> Obj:
    item = sandbox.need("invoiceitem", id)
    invoice = sandbox.store.get("invoice", item["invoice"] or "")
    if invoice and invoice["status"] != "draft":
        raise StripeError(
            "This invoice item is attached to an invoice that is no longer editable.", code="invoice_not_editable"
        )
    return item


def _replace(sandbox: Sandbox, item: Obj, changed: Obj | None) -> None:
    """Bring the draft that an item is on up to date."""
    draft = sandbox.store.get("invoice", item["invoice"] or "")
    if not draft:
        return
    data = draft["lines"]["data"]
    at = next(number for number, line in enumerate(data) if invoice_lines.item_of(line) == item["id"])
    line = data.pop(at)
    if changed:
        [new] = pending.as_lines(sandbox, [changed])
        data.insert(at, new | {"id": line["id"]})
    invoices.change(sandbox, draft)
