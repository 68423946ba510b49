"""Usage records: how usage was reported before meters, by clients of versions before basil (2025-03-31).

Source: https://docs.stripe.com/api/usage_records?api-version=2024-06-20 and .../usage-record-summaries
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import items, usage
from gateway.sandbox.core.errors import invalid, parameter_missing, parameter_unknown, unrecognized_url
from gateway.sandbox.core.registry import kind
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("usage_record", "mbur", "usage record")
kind("usage_record_summary", "sis", "usage record summary")

_BASIL = "2025-03-31"
_ACTIONS = ("increment", "set")


@route("POST", "/v1/subscription_items/{id}/usage_records", params="*")
def create(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Add to an item's usage at a time, or set it."""
    item = _metered_item(sandbox, request, id)
    params = request.params
    unknown = sorted(params.keys() - {"action", "expand", "quantity", "timestamp"})
    if unknown:
        raise parameter_unknown(unknown[0])
    if "quantity" not in params:
        raise parameter_missing("quantity")
    now = sandbox.now(sandbox.need("subscription", item["subscription"]))
    at = _number(params, "timestamp") if params.get("timestamp", "now") != "now" else now
    if not item["current_period_start"] <= at <= min(now, item["current_period_end"]):
        raise invalid("Cannot create the usage record with this timestamp: it lies outside the period.", "timestamp")
    action = params.get("action", _ACTIONS[0])
    if action not in _ACTIONS:
        raise invalid("Invalid action: must be one of increment or set", "action")
    quantity = _number(params, "quantity")
    known = sandbox.store.first("usage_record", subscription_item=id, timestamp=at)
    if known:
        quantity += known["quantity"] if action == "increment" else 0
        return sandbox.update(known | {"quantity": quantity})
    return sandbox.create(
        {"object": "usage_record", "livemode": False, "quantity": quantity, "subscription_item": id, "timestamp": at}
    )


# The SDK has no type for these parameters any more; the lines of an invoice are paged in the same way.
@route("GET", "/v1/subscription_items/{id}/usage_record_summaries", params="InvoiceLineItemListParams")
def summaries(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Sum an item's usage by period, the present one first."""
    item = _metered_item(sandbox, request, id)
    billed = [
        _summary(sandbox, item, line["period"], invoice["id"])
        for invoice in sandbox.store.find("invoice", _subscription=item["subscription"])
        for line in invoice["lines"]["data"]
        if _item_of(line) == id and line["period"]["end"] <= item["current_period_start"]
    ]
    present = {"start": item["current_period_start"], "end": item["current_period_end"]}
    return page_of(request, [_summary(sandbox, item, present, None), *billed])


def _metered_item(sandbox: Sandbox, request: Request, id: str) -> Obj:
    if (request.version or API_VERSION)[:10] >= _BASIL:
        raise unrecognized_url(request.method, request.path)
    item = sandbox.need("subscription_item", id)
    if not items.metered(item):
        raise invalid("Usage records can only be created for subscription items with metered prices.")
    return item


def _number(params: Obj, name: str) -> int:
    value: Any = str(params[name])
    if not value.isdecimal():
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def _item_of(line: Obj) -> str | None:
    details: Obj = (line["parent"] or {}).get("subscription_item_details") or {}
    return None if details.get("invoice_item") else details.get("subscription_item")


def _summary(sandbox: Sandbox, item: Obj, period: Obj, invoice: str | None) -> Obj:
    total = usage.recorded(sandbox, item["id"], item["price"], (period["start"], period["end"]))
    return {
        "id": f"sis_{item['id'].removeprefix('si_')}{period['start']}",
        "object": "usage_record_summary",
        "invoice": invoice,
        "livemode": False,
        "period": {"end": period["end"], "start": period["start"]},
        "subscription_item": item["id"],
        "total_usage": int(total),
    }
