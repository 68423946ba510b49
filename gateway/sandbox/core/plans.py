"""Plans: the older view of recurring prices. https://docs.stripe.com/api/plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj


def plan_of(price: Obj) -> Obj:
    """Return the plan that shows the same thing as a recurring price."""
    shared = [
        "id",
        "active",
        "billing_scheme",
        "created",
        "currency",
        "livemode",
        "metadata",
        "nickname",
        "product",
        "tiers_mode",
    ]
    return complete(
        {
            "object": "plan",
            **{name: price[name] for name in shared},
            **price["recurring"],
            **({"tiers": price["tiers"]} if "tiers" in price else {}),
            "amount": price["unit_amount"],
            "amount_decimal": price["unit_amount_decimal"],
            "transform_usage": price["transform_quantity"],
        }
    )
