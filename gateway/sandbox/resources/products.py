"""Products: what is sold. https://docs.stripe.com/api/products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import prices, products
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("product", "prod")


@route("POST", "/v1/products", params="ProductCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a product, with its default price if asked for."""
    product = products.make(sandbox, request.params)
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
    product |= {name: product[name] or [] for name in ("images", "marketing_features")}  # unset: an empty list
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
