"""Which features a customer may use, by Stripe's entitlements and by what the plans' products name. Pure over rows.

A product names its features in its metadata: `features` is a comma-separated list of keys, `limit_<feature>` a whole
number. Stripe's own entitlements (https://docs.stripe.com/billing/entitlements) say that a customer has a feature, and
a product's features at Stripe say which of his subscriptions gives it. So one rule decides both: a feature needs a
subscription that gives access by an item whose product has it.
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

_STRIPES = frozenset({"active", "trialing"})
"""Statuses in which Stripe gives a subscription's entitlements (https://docs.stripe.com/billing/entitlements)."""
_EVER = datetime.max.replace(tzinfo=UTC)


class Source(Enum):
    """Who says that a customer has a feature; each value says what it means."""

    STRIPE = "Stripe's entitlements: the product has the feature at Stripe."
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
    rule = _Rule(feature, active, products)
    having = [each for each in subscriptions if rule.among(each, each.items)]
    live = [each for each in having if each.access.allowed and rule.among(each, each.giving)]
    candidates = live or having
    if not candidates:
        reason = Reason.NOT_INCLUDED if subscriptions else Reason.NO_SUBSCRIPTION
        return Grant(feature, Access(allowed=False, reason=reason))

    def worth(state: SubscriptionState) -> tuple[bool, float, datetime, datetime]:
        limit = rule.limit([state])
        most = float("inf") if limit is None else limit
        return state.access.allowed, most, state.access.until or _EVER, state.subscription.created

    best = max(candidates, key=worth)
    source = Source.STRIPE if any(rule.at_stripe(best, item) for item in best.items) else Source.PLAN
    if best.access.allowed and not live:  # another of its items gives access, not one with the feature
        return Grant(feature, Access(allowed=False, reason=Reason.NOT_INCLUDED), None, best, source)
    return Grant(feature, best.access, rule.limit(live) if live else None, best, source)


def entitlements(
    subscriptions: Sequence[SubscriptionState], active: Collection[str], products: Products
) -> list[Grant]:
    """Return everything that a customer may use now, by name."""
    bought = [products.get(each) for each in {item.product_id for each in subscriptions for item in each.items}]
    names = {*active, *(name for product in bought for name in (*_named(product), *(_at_stripe(product) or ())))}
    grants = (decide(name, subscriptions, active, products) for name in sorted(names))
    return [grant for grant in grants if grant.access.allowed]


def _named(product: Product | None) -> set[str]:
    """Return the features that a product names in its metadata."""
    text = product.meta.get("features", "") if product else ""
    return {name.strip() for name in text.split(",") if name.strip()}


def _at_stripe(product: Product | None) -> Collection[str] | None:
    """Return the features that a product has at Stripe; None where they were not read yet."""
    return product.entitlements if product else None


@dataclass(frozen=True, slots=True)
class _Rule:
    """Which items give a feature, and how much of it.

    Attributes:
        feature: its key.
        active: what Stripe's entitlements give the customer.
        products: the catalogue.
    """

    feature: str
    active: Collection[str]
    products: Products

    def among(self, state: SubscriptionState, items: Iterable[SubscriptionItem]) -> list[SubscriptionItem]:
        """Return the items of a subscription whose product has the feature."""
        return [item for item in items if self._is_named(item) or self.at_stripe(state, item)]

    def at_stripe(self, state: SubscriptionState, item: SubscriptionItem) -> bool:
        """Return whether an item's product has the feature at Stripe.

        Stripe's word about the customer counts as well, while it has one: it takes an entitlement away at the end of a
        subscription, whose paid rest counts here. Until the product's features are read it is all there is.
        """
        known = _at_stripe(self.products.get(item.product_id))
        if known is None:
            return self.feature in self.active
        return self.feature in known and (self.feature in self.active or state.subscription.status not in _STRIPES)

    def limit(self, states: Iterable[SubscriptionState]) -> int | None:
        """Return how much of the feature the items of some subscriptions give together; None for no limit.

        Items whose product says `limit_<feature>_per_unit: true` add up, times their quantity; of the others the
        highest counts. One that gives the feature without a limit makes it unlimited, unless it is not known yet
        whether it does. A limit that is no number is 0: a slip in the metadata must not give away without bound.
        """
        giving = [item for each in states if each.access.allowed for item in self.among(each, each.giving)]
        surely = [item for item in giving if self._is_named(item) or self._is_known(item)]
        stated = [(item, product.meta) for item in surely or giving if (product := self.products.get(item.product_id))]
        texts = [(item, meta[self._key], meta) for item, meta in stated if self._key in meta]
        if not texts or (surely and len(texts) < len(surely)):
            return None
        flat, added = 0, 0
        for item, text, meta in texts:
            limit = int(text) if text.strip().isdecimal() else 0
            if meta.get(f"{self._key}_per_unit", "").lower() == "true":
                added += limit * (1 if item.quantity is None else item.quantity)
            else:
                flat = max(flat, limit)
        return flat + added

    @property
    def _key(self) -> str:
        return f"limit_{self.feature}"

    def _is_named(self, item: SubscriptionItem) -> bool:
        return self.feature in _named(self.products.get(item.product_id))

    def _is_known(self, item: SubscriptionItem) -> bool:
        return _at_stripe(self.products.get(item.product_id)) is not None
