"""Which features a customer may use, by Stripe's entitlements and by what the plans' products name. Pure over rows.

A product names its features in its metadata: `features` is a comma-separated list of keys, `limit_<feature>` a whole
number. Stripe's own entitlements (https://docs.stripe.com/billing/entitlements) say that a customer has a feature, not
which subscription gives it: there any subscription with access will do.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.models.mirrored import Product

Products = Mapping[str, Product]
"""The products of the catalogue by id, also those that are no longer sold."""

_EVER = datetime.max.replace(tzinfo=UTC)


class Source(Enum):
    """Who says that a customer has a feature; each value says what it means."""

    STRIPE = "An active entitlement at Stripe."
    PLAN = "The metadata of the plan's product."


@dataclass(frozen=True, slots=True)
class Grant:
    """The decision on one feature.

    Attributes:
        feature: its key (Stripe's lookup key).
        access: whether it may be used, why, and until when.
        limit: how much of it; None when there is no limit, or no access.
        state: the subscription that decides, if one does.
        source: who says that the customer has it; None when nobody does.
    """

    feature: str
    access: Access
    limit: int | None = None
    state: SubscriptionState | None = None
    source: Source | None = None


def decide(
    feature: str, subscriptions: Sequence[SubscriptionState], active: Collection[str], products: Products
) -> Grant:
    """Return whether a customer may use a feature.

    Args:
        feature: its key.
        subscriptions: all subscriptions of the customer.
        active: what Stripe's entitlements give.
        products: for what the plans give.
    """
    by_plan = [each for each in subscriptions if feature in _named(each, products)]
    by_stripe = subscriptions if feature in active else ()
    candidates = by_plan if any(each.access.allowed for each in by_plan) else [*by_plan, *by_stripe]
    if not candidates:
        reason = Reason.NOT_INCLUDED if subscriptions else Reason.NO_SUBSCRIPTION
        return Grant(feature, Access(allowed=False, reason=reason))

    def worth(each: SubscriptionState) -> tuple[bool, float, datetime, datetime]:
        limit = _limit(each, feature, products)
        most = float("inf") if limit is None else limit
        return each.access.allowed, most, each.access.until or _EVER, each.subscription.created

    best = max(candidates, key=worth)
    limit = _limit(best, feature, products) if best.access.allowed else None
    source = Source.STRIPE if feature in active else Source.PLAN
    return Grant(feature, best.access, limit, best, source)


def entitlements(
    subscriptions: Sequence[SubscriptionState], active: Collection[str], products: Products
) -> list[Grant]:
    """Return everything that a customer may use now, by name."""
    names = set(active).union(*(_named(each, products) for each in subscriptions))
    grants = (decide(name, subscriptions, active, products) for name in sorted(names))
    return [grant for grant in grants if grant.access.allowed]


def _named(state: SubscriptionState, products: Products) -> set[str]:
    """Return the features that the products of a subscription name."""
    metas = (products[item.product_id].meta for item in state.items if item.product_id in products)
    return {name.strip() for meta in metas for name in meta.get("features", "").split(",") if name.strip()}


def _limit(state: SubscriptionState, feature: str, products: Products) -> int | None:
    """Return the highest limit that a product of the subscription states.

    One that is no number is 0: a slip in the metadata must not give away without bound.
    """
    texts = [
        text
        for item in state.items
        if item.product_id in products and (text := products[item.product_id].meta.get(f"limit_{feature}")) is not None
    ]
    return max((int(text) if text.strip().isdecimal() else 0 for text in texts), default=None)
