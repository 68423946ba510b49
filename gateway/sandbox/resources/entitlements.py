"""Entitlements: features, which products have them, which customers may use them.

Source: https://docs.stripe.com/billing/entitlements. What a customer may use follows from the subscriptions, so it is
worked out anew whenever one of them changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("entitlements.feature", "feat", "feature")
kind("entitlements.active_entitlement", "ent", "active entitlement")
kind("product_feature", "prodft", "product feature")


@route("POST", "/v1/entitlements/features", params="entitlements.FeatureCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a feature."""
    if sandbox.store.first("entitlements.feature", lookup_key=request.params["lookup_key"]):
        raise invalid("A feature with this lookup_key already exists.", "lookup_key", "resource_already_exists")
    return sandbox.create(merge({"object": "entitlements.feature", "active": True, "metadata": {}}, request.params))


@route("GET", "/v1/entitlements/features", params="entitlements.FeatureListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List features; archived ones on demand."""
    active = not request.params.get("archived", False)
    return page(sandbox, request, "entitlements.feature", lambda feature: feature["active"] == active, archived=None)


@route("GET", "/v1/entitlements/features/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a feature."""
    return sandbox.need("entitlements.feature", id)


@route("POST", "/v1/entitlements/features/{id}", params="entitlements.FeatureUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Rename or archive a feature."""
    return sandbox.update(merge(sandbox.need("entitlements.feature", id), request.params))


@route("POST", "/v1/products/{product}/features", params="ProductFeatureCreateParams")
def attach(sandbox: Sandbox, request: Request, product: str) -> Obj:
    """Give a product a feature."""
    sandbox.need("product", product)
    feature = sandbox.need("entitlements.feature", request.params["entitlement_feature"], "entitlement_feature")
    for other in sandbox.store.find("product_feature", _product=product):
        if other["_feature"] == feature["id"]:
            raise invalid("This feature is already attached to the product.", "entitlement_feature")
    made = {"object": "product_feature", "_product": product, "_feature": feature["id"]}
    return _shown(sandbox, sandbox.create(made))


@route("GET", "/v1/products/{product}/features", params="ProductFeatureListParams")
def of_product(sandbox: Sandbox, request: Request, product: str) -> Obj:
    """List a product's features."""
    sandbox.need("product", product)
    found = page(sandbox, request, "product_feature", _product=product)
    return {**found, "data": [_shown(sandbox, each) for each in found["data"]]}


@route("GET", "/v1/products/{product}/features/{id}")
def one_of_product(sandbox: Sandbox, _: Request, product: str, id: str) -> Obj:
    """Retrieve the bond between a product and a feature."""
    return _shown(sandbox, _bond(sandbox, product, id))


@route("DELETE", "/v1/products/{product}/features/{id}")
def detach(sandbox: Sandbox, _: Request, product: str, id: str) -> Obj:
    """Take a feature off a product."""
    return sandbox.remove(_bond(sandbox, product, id))


@route("GET", "/v1/entitlements/active_entitlements", params="entitlements.ActiveEntitlementListParams")
def active(sandbox: Sandbox, request: Request) -> Obj:
    """List what a customer may use."""
    customer = sandbox.need("customer", request.params["customer"], "customer")
    return page(sandbox, request, "entitlements.active_entitlement", customer=None, _customer=customer["id"])


@route("GET", "/v1/entitlements/active_entitlements/{id}")
def one_active(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an active entitlement."""
    return sandbox.need("entitlements.active_entitlement", id)


def _bond(sandbox: Sandbox, product: str, id: str) -> Obj:
    bond = sandbox.need("product_feature", id)
    if bond["_product"] != product:
        raise resource_missing("product feature", id)
    return bond


def _shown(sandbox: Sandbox, bond: Obj) -> Obj:
    """Return a product feature with its feature in full, as Stripe always shows it."""
    return {**bond, "entitlement_feature": sandbox.need("entitlements.feature", bond["_feature"])}
