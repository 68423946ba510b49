"""Products, made by themselves or with their first price. https://docs.stripe.com/api/products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


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
