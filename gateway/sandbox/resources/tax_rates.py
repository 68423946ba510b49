"""Tax rates. https://docs.stripe.com/api/tax_rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("tax_rate", "txr", "tax rate")


@route("POST", "/v1/tax_rates", params="TaxRateCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a tax rate."""
    rate = {"object": "tax_rate", "active": True, "metadata": {}, "rate_type": "percentage"}
    return sandbox.create(merge(rate, request.params), "tax_rate.created")


@route("GET", "/v1/tax_rates", params="TaxRateListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List tax rates."""
    return page(sandbox, request, "tax_rate")


@route("GET", "/v1/tax_rates/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a tax rate."""
    return sandbox.need("tax_rate", id)


@route("POST", "/v1/tax_rates/{id}", params="TaxRateUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change what does not change the tax."""
    return sandbox.update(merge(sandbox.need("tax_rate", id), request.params), "tax_rate.updated")
