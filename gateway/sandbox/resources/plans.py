"""Plans: the older view of recurring prices. https://docs.stripe.com/api/plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import prices, products
from gateway.sandbox.core.errors import invalid, parameter_missing, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.plans import plan_of
from gateway.sandbox.core.registry import hidden, kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("plan", "plan", path="plan")
hidden("plan", "tiers")


@route("POST", "/v1/plans", params="PlanCreateParams", legacy=("aggregate_usage",))
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a plan, which is a recurring price, and its product if that is described."""
    params = request.params
    prices.check_meter(params, request.version, "meter")
    product = params.get("product")
    if product is None:
        raise parameter_missing("product")
    if "id" in params and sandbox.store.get("price", params["id"]):
        raise invalid("Plan already exists.", "id", "resource_already_exists")
    if isinstance(product, dict):
        product = products.make(sandbox, product)["id"]
    timing = ("interval", "interval_count", "meter", "trial_period_days", "usage_type")
    price = {
        "id": params.get("id") or sandbox.new_id("plan"),
        "currency": params["currency"],
        "product": product,
        "recurring": {name: params[name] for name in timing if name in params},
        **_renamed(params, amount="unit_amount", amount_decimal="unit_amount_decimal"),
        **_renamed(params, transform_usage="transform_quantity"),
        **{name: params[name] for name in _SAME if name in params},
    }
    return plan_of(prices.make(sandbox, price))


@route("GET", "/v1/plans", params="PlanListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List plans."""
    found = page(sandbox, request, "price", lambda price: price["type"] == "recurring")
    return {**found, "data": [plan_of(price) for price in found["data"]]}


@route("GET", "/v1/plans/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a plan."""
    return plan_of(_price(sandbox, id))


@route("POST", "/v1/plans/{id}", params="PlanUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a plan."""
    before = _price(sandbox, id)
    price = merge(before, request.params, "active", "metadata", "nickname")
    if "product" in request.params:
        price["product"] = sandbox.need("product", request.params["product"], "product")["id"]
    if "trial_period_days" in request.params:
        price["recurring"] = {**price["recurring"], "trial_period_days": request.params["trial_period_days"] or None}
    sandbox.store.put(price)
    if price != before:
        prices.announce(sandbox, "updated", price, before)
    return plan_of(price)


@route("DELETE", "/v1/plans/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a plan; subscriptions that have it go on."""
    price = _price(sandbox, id)
    sandbox.store.delete("price", id)
    prices.announce(sandbox, "deleted", price)
    return {"id": id, "object": "plan", "deleted": True}


_SAME = ("active", "aggregate_usage", "billing_scheme", "metadata", "nickname", "tiers", "tiers_mode")


def _price(sandbox: Sandbox, id: str) -> Obj:
    price = sandbox.store.get("price", id)
    if price is None or not price["recurring"]:
        raise resource_missing("plan", id)
    return price


def _renamed(params: Obj, **names: str) -> Obj:
    return {new: params[old] for old, new in names.items() if old in params}
