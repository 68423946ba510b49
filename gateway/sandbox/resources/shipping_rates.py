"""Shipping rates. https://docs.stripe.com/api/shipping_rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("shipping_rate", "shr", "shipping rate")


@route("POST", "/v1/shipping_rates", params="ShippingRateCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a shipping rate."""
    blank = {
        "object": "shipping_rate",
        "active": True,
        "metadata": {},
        "tax_behavior": "unspecified",
        "type": "fixed_amount",
    }
    return sandbox.create(merge(blank, request.params))


@route("GET", "/v1/shipping_rates", params="ShippingRateListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List shipping rates."""
    currency = request.params.get("currency")

    def fits(rate: Obj) -> bool:
        return currency is None or rate["fixed_amount"]["currency"] == currency

    return page(sandbox, request, "shipping_rate", fits, currency=None)


@route("GET", "/v1/shipping_rates/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a shipping rate."""
    return sandbox.need("shipping_rate", id)


@route("POST", "/v1/shipping_rates/{id}", params="ShippingRateUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a shipping rate."""
    return sandbox.update(merge(sandbox.need("shipping_rate", id), request.params))
