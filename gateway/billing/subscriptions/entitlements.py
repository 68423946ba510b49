"""Which features a customer may use, by Stripe's entitlements and by what the plans' products name. Pure over rows.

A product names its features in its metadata: `features` is a comma-separated list of keys, `limit_<feature>` a whole
number. Stripe's own entitlements (https://docs.stripe.com/billing/entitlements) say that a customer has a feature, not
which subscription gives it: there any subscription with access will do.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.models.mirrored import Product, SubscriptionItem

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
    by_plan = [each for each in subscriptions if _giving(each.items, feature, products)]
    live = [each for each in by_plan if each.access.allowed and _giving(each.giving, feature, products)]
    by_stripe = subscriptions if feature in active else ()
    candidates = live or [*by_plan, *by_stripe]
    if not candidates:
        reason = Reason.NOT_INCLUDED if subscriptions else Reason.NO_SUBSCRIPTION
        return Grant(feature, Access(allowed=False, reason=reason))

    def worth(state: SubscriptionState) -> tuple[bool, float, datetime, datetime]:
        limit = _limit([state], feature, products)
        most = float("inf") if limit is None else limit
        return state.access.allowed, most, state.access.until or _EVER, state.subscription.created

    best = max(candidates, key=worth)
    source = Source.STRIPE if feature in active else Source.PLAN
    if best in by_plan and not live and best.access.allowed:  # another of its items gives access, not one with it
        return Grant(feature, Access(allowed=False, reason=Reason.NOT_INCLUDED), None, best, source)
    limit = _limit(candidates, feature, products) if best.access.allowed else None
    return Grant(feature, best.access, limit, best, source)


def entitlements(
    subscriptions: Sequence[SubscriptionState], active: Collection[str], products: Products
) -> list[Grant]:
    """Return everything that a customer may use now, by name."""
    names = set(active).union(*(_named(item, products) for each in subscriptions for item in each.items))
    grants = (decide(name, subscriptions, active, products) for name in sorted(names))
    return [grant for grant in grants if grant.access.allowed]


def _named(item: SubscriptionItem, products: Products) -> set[str]:
    """Return the features that the product of an item names."""
    product = products.get(item.product_id)
    text = product.meta.get("features", "") if product else ""
    return {name.strip() for name in text.split(",") if name.strip()}


def _giving(items: Iterable[SubscriptionItem], feature: str, products: Products) -> list[SubscriptionItem]:
    """Return the items whose product names a feature."""
    return [item for item in items if feature in _named(item, products)]


def _limit(states: Iterable[SubscriptionState], feature: str, products: Products) -> int | None:
    """Return how much of a feature the items of some subscriptions give together; None for no limit.

    Items whose product says `limit_<feature>_per_unit: true` add up, times their quantity; of the others the highest
    counts. One that gives the feature without a limit makes it unlimited. A limit that is no number is 0: a slip in the
    metadata must not give away without bound.
    """
    items = [item for state in states if state.access.allowed for item in state.giving if item.product_id in products]
    giving = _giving(items, feature, products)
    stated = [(item, products[item.product_id].meta) for item in giving or items]
    texts = [(item, meta[f"limit_{feature}"], meta) for item, meta in stated if f"limit_{feature}" in meta]
    if not texts or (giving and len(texts) < len(giving)):
        return None
    flat, added = 0, 0
    for item, text, meta in texts:
        limit = int(text) if text.strip().isdecimal() else 0
        if meta.get(f"limit_{feature}_per_unit", "").lower() == "true":
            added += limit * (1 if item.quantity is None else item.quantity)
        else:
            flat = max(flat, limit)
    return flat + added
