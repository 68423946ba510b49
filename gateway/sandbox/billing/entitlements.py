"""Entitlements: what a customer may use, worked out from the subscriptions.

Source: https://docs.stripe.com/billing/entitlements
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.templates import complete, envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


_GRANTING = ("active", "trialing", "past_due")

_SHOWN = 10  # Stripe's summary carries no more; the rest is in the list of active entitlements


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
    """Return feature id -> lookup key of all that the customer's subscriptions grant."""
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
