"""Products: what is sold. https://docs.stripe.com/api/products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import Request, kind, route
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.resources import prices

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj
    from gateway.sandbox.instance import Sandbox

kind("product", "prod")


def make(sandbox: Sandbox, params: Obj) -> Obj:
    """Create a product from the parameters of a product or of a price's or plan's `product_data`."""
    if "id" in params and sandbox.store.get("product", params["id"]):
        raise invalid("Product already exists.", "id", "resource_already_exists")
    fields = {key: value for key, value in params.items() if key != "default_price_data"}
    defaults = {
        "object": "product",
        "active": True,
        "default_price": None,
        "images": [],
        "marketing_features": [],
        "metadata": {},
        "type": "service",
        "updated": sandbox.now(),
    }
    return sandbox.create(merge(defaults, fields), "product.created")


@route("POST", "/v1/products", params="ProductCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a product, with its default price if asked for."""
    product = make(sandbox, request.params)
    data = request.params.get("default_price_data")
    if data:
        price = prices.make(sandbox, {**data, "product": product["id"]})
        product = sandbox.update({**product, "default_price": price["id"]}, "product.updated")
    return product


@route("GET", "/v1/products", params="ProductListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List products."""
    return page(sandbox, request, "product")


@route("GET", "/v1/products/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a product."""
    return sandbox.need("product", id)


@route("POST", "/v1/products/{id}", params="ProductUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a product."""
    product = merge(sandbox.need("product", id), request.params)
    if request.params.get("default_price"):
        price = sandbox.need("price", request.params["default_price"], "default_price")
        if price["product"] != id:
            raise invalid(f"The price specified is for product '{price['product']}', not '{id}'.", "default_price")
    return sandbox.update({**product, "updated": sandbox.now()}, "product.updated")


@route("DELETE", "/v1/products/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a product that has no prices."""
    product = sandbox.need("product", id)
    if sandbox.store.first("price", product=id):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.", "id")
    return sandbox.remove(product, "product.deleted")
