"""Prices: how much and how often. https://docs.stripe.com/api/prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import prices
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import hidden, kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("price", "price", path="price")
hidden("price", "tiers", "currency_options")


def _before_basil(raw: Obj) -> Obj:
    """Return parameters with `recurring[aggregate_usage]`, which meters have replaced, beside `recurring`."""
    recurring = raw.get("recurring")
    if not isinstance(recurring, dict) or "aggregate_usage" not in recurring:
        return raw
    rest = {name: value for name, value in recurring.items() if name != "aggregate_usage"}
    return {**raw, "recurring": rest, "aggregate_usage": recurring["aggregate_usage"]}


@route("POST", "/v1/prices", params="PriceCreateParams", legacy=("aggregate_usage",), older=_before_basil)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a price."""
    prices.check_meter(request.params.get("recurring") or {}, request.version, "recurring[meter]")
    return prices.make(sandbox, request.params)


@route("GET", "/v1/prices", params="PriceListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List prices."""
    return page(sandbox, request, "price")


@route("GET", "/v1/prices/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a price."""
    return sandbox.need("price", id)


@route("POST", "/v1/prices/{id}", params="PriceUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change what may be changed of a price: not its amount."""
    before = sandbox.need("price", id)
    price = merge(before, request.params, "active", "metadata", "nickname", "tax_behavior")
    if "lookup_key" in request.params:
        price["lookup_key"] = prices.lookup_key(sandbox, request.params, id)
    for currency, given in (request.params.get("currency_options") or {}).items():
        amounts = prices.amounts(given, f"currency_options[{currency}]")
        price["currency_options"][currency.lower()] = {"tax_behavior": "unspecified", **given, **amounts}
    sandbox.store.put(price)
    if price != before:
        prices.announce(sandbox, "updated", price, before)
    return price
