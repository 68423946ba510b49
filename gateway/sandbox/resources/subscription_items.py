"""Subscription items. https://docs.stripe.com/api/subscription_items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import changes
from gateway.sandbox.core.errors import parameter_missing
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("subscription_item", "si", "subscription item")
# What concerns the subscription rather than the item.
_SHARED = ("payment_behavior", "proration_behavior", "proration_date")


@route("POST", "/v1/subscription_items", params="SubscriptionItemCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Add an item to a subscription."""
    if "subscription" not in request.params:
        raise parameter_missing("subscription")
    subscription = sandbox.need("subscription", request.params["subscription"], "subscription")
    before = {item["id"] for item in subscription["items"]["data"]}
    entry = {name: value for name, value in request.params.items() if name != "subscription"}
    changed = _change(sandbox, subscription, entry)
    waiting = (changed["pending_update"] or {}).get("subscription_items") or []
    return next(item for item in (*changed["items"]["data"], *waiting) if item["id"] not in before)


@route("GET", "/v1/subscription_items", params="SubscriptionItemListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List a subscription's items."""
    if "subscription" not in request.params:
        raise parameter_missing("subscription")
    return page(sandbox, request, "subscription_item")


@route("GET", "/v1/subscription_items/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an item."""
    return sandbox.need("subscription_item", id)


@route("POST", "/v1/subscription_items/{id}", params="SubscriptionItemUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change an item."""
    item = sandbox.need("subscription_item", id)
    _change(sandbox, sandbox.need("subscription", item["subscription"]), {**request.params, "id": id})
    return sandbox.need("subscription_item", id)


@route("DELETE", "/v1/subscription_items/{id}", params="SubscriptionItemDeleteParams")
def delete(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Take an item off its subscription."""
    item = sandbox.need("subscription_item", id)
    entry = {**request.params, "id": id, "deleted": True}
    _change(sandbox, sandbox.need("subscription", item["subscription"]), entry)
    return {"id": id, "object": "subscription_item", "deleted": True}


def _change(sandbox: Sandbox, subscription: Obj, entry: Obj) -> Obj:
    shared = {name: entry.pop(name) for name in _SHARED if name in entry}
    return changes.update(sandbox, subscription, {**shared, "items": [entry]})
