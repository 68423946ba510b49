"""Entitlements: features, which products have them, which customers may use them.

Source: https://docs.stripe.com/billing/entitlements. What a customer may use follows from the subscriptions, so it is
worked out anew whenever one of them changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import envelope, page
from gateway.sandbox.api.routing import Request, kind, route
from gateway.sandbox.core.errors import invalid, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.templates import complete
from gateway.sandbox.events.log import on

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj
    from gateway.sandbox.instance import Sandbox

kind("entitlements.feature", "feat", "feature")
kind("entitlements.active_entitlement", "ent", "active entitlement")
kind("product_feature", "prodft", "product feature")

_GRANTING = ("active", "trialing", "past_due")
_SHOWN = 10  # Stripe's summary carries no more; the rest is in the list of active entitlements


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


@on("customer.subscription.")
def refresh(sandbox: Sandbox, subscription: Obj) -> None:
    """Work out a customer's entitlements anew; emit the summary if they changed."""
    customer = subscription["customer"]
    customer_id = customer["id"] if isinstance(customer, dict) else customer
    wanted = _features(sandbox, customer_id)
    held = {each["feature"]: each for each in _held(sandbox, customer_id)}
    if wanted.keys() == held.keys():
        return
    before = _summary(sandbox, customer_id)
    for feature_id in held.keys() - wanted.keys():
        sandbox.store.delete("entitlements.active_entitlement", held[feature_id]["id"])
    for feature_id in sorted(wanted.keys() - held.keys()):
        entitlement = {
            "object": "entitlements.active_entitlement",
            "feature": feature_id,
            "lookup_key": wanted[feature_id],
            "_customer": customer_id,
        }
        sandbox.create(entitlement)
    sandbox.emit("entitlements.active_entitlement_summary.updated", _summary(sandbox, customer_id), before)


def _features(sandbox: Sandbox, customer_id: str) -> dict[str, str]:
    """Feature id -> lookup key of all that the customer's subscriptions grant."""
    products = {
        item["price"]["product"]
        for subscription in sandbox.store.scan("subscription", customer=customer_id)
        if subscription["status"] in _GRANTING
        for item in subscription["items"]["data"]
    }
    features: dict[str, str] = {}
    for product in products:
        for bond in sandbox.store.find("product_feature", _product=product):
            feature = sandbox.store.get("entitlements.feature", bond["_feature"])
            if feature:
                features[feature["id"]] = feature["lookup_key"]
    return features


def _held(sandbox: Sandbox, customer_id: str) -> list[Obj]:
    return sandbox.store.find("entitlements.active_entitlement", _customer=customer_id)


def _summary(sandbox: Sandbox, customer_id: str) -> Obj:
    url = f"/v1/customer/{customer_id}/entitlements"
    held = _held(sandbox, customer_id)
    summary = {
        "object": "entitlements.active_entitlement_summary",
        "customer": customer_id,
        "entitlements": envelope(url, held[:_SHOWN], len(held) > _SHOWN),
    }
    return complete(summary)


def _bond(sandbox: Sandbox, product: str, id: str) -> Obj:
    bond = sandbox.need("product_feature", id)
    if bond["_product"] != product:
        raise resource_missing("product feature", id)
    return bond


def _shown(sandbox: Sandbox, bond: Obj) -> Obj:
    """A product feature always shows its feature in full."""
    return {**bond, "entitlement_feature": sandbox.need("entitlements.feature", bond["_feature"])}
