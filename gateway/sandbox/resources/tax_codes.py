"""Tax codes: the general ones of Stripe's list. https://docs.stripe.com/tax/tax-codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import resource_missing
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("tax_code", "txcd", "tax code")

_NAMES = {
    "txcd_00000000": "Nontaxable",
    "txcd_10000000": "General - Electronically Supplied Services",
    "txcd_10103000": "Software as a service (SaaS) - personal use",
    "txcd_10103001": "Software as a service (SaaS) - business use",
    "txcd_20030000": "General - Services",
    "txcd_99999999": "General - Tangible Goods",
}
_CODES: list[Obj] = [
    {"id": code, "object": "tax_code", "description": name, "name": name} for code, name in _NAMES.items()
]


@route("GET", "/v1/tax_codes", params="TaxCodeListParams")
def index(_: Sandbox, request: Request) -> Obj:
    """List the general tax codes."""
    return page_of(request, _CODES)


@route("GET", "/v1/tax_codes/{id}")
def retrieve(_: Sandbox, __: Request, id: str) -> Obj:
    """Retrieve a tax code."""
    found = next((code for code in _CODES if code["id"] == id), None)
    if found is None:
        raise resource_missing("tax code", id)
    return found
