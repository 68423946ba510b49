"""Which features a customer may use, by Stripe's entitlements and by what the plans' products name. Pure over rows.

Stripe's own entitlements (https://docs.stripe.com/billing/entitlements) say that a customer has a feature, and a
product's features at Stripe say which of his subscriptions gives it. So one rule decides both, those and what a
product's metadata name: a feature needs a subscription that gives access by an item whose product has it. What was
bought for life stands beside the subscriptions (`for_life.py`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NamedTuple

from gateway.billing.catalog.product_features import MAX_LIMIT, ProductFeatures
from gateway.billing.subscriptions.access import Access, Reason, Step, described
from gateway.billing.subscriptions.counted import Counted, counted
from gateway.billing.subscriptions.for_life import is_for_life
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.models.mirrored import SubscriptionItem
from gateway.models.statuses import ENTITLED

Offers = Mapping[str, ProductFeatures]
"""What each product says about features, by its id: `Snapshot.features`."""

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
        counted: how its use is counted; None where it is not, and where there is no access.
        memo: what was made of it, by whoever made it, for as long as it is kept.
    """

    feature: str
    access: Access
    limit: int | None = None
    state: SubscriptionState | None = None
    source: Source | None = None
    counted: Counted | None = None
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


def decide(
    feature: str,
    subscriptions: Sequence[SubscriptionState],
    active: Collection[str],
    offers: Offers,
    steps: list[Step] | None = None,
) -> Grant:
    """Return whether a customer may use a feature.

    Args:
        feature: its key.
        subscriptions: those of the customer that count.
        active: what Stripe's entitlements give.
        offers: what the plans give.
        steps: where to tell each step of the decision; None tells nobody.
    """
    grant = _decided(feature, subscriptions, active, offers, steps)
    if steps is not None:
        limit = "" if grant.limit is None else f" At most {grant.limit} of it."
        steps.append(Step(feature, "The decision", described(grant.access) + limit, grant.access.allowed))
    return grant


def _decided(
    feature: str,
    subscriptions: Sequence[SubscriptionState],
    active: Collection[str],
    offers: Offers,
    steps: list[Step] | None,
) -> Grant:
    its = [(each, (*each.items, *each.giving)) for each in subscriptions]  # what is given may be another plan
    having = [state for state, items in its if any(_has(feature, state, item, active, offers) for item in items)]
    if steps is not None:
        steps += [_step_having(feature, each, each in having, active, offers) for each in subscriptions]
    live = [
        _Giving(state, items)
        for state in having
        if state.access.allowed and (items := [i for i in state.giving if _has(feature, state, i, active, offers)])
    ]
    if live:
        return _grant(feature, live, active, offers)
    if not having:
        reason = Reason.NOT_INCLUDED if subscriptions else Reason.NO_SUBSCRIPTION
        return Grant(feature, Access(allowed=False, reason=reason))
    best = max(having, key=lambda state: (state.access.allowed, _lasting(state)))
    # where access is given, another of its items gives it, not one with the feature
    refused = Access(allowed=False, reason=Reason.NOT_INCLUDED) if best.access.allowed else best.access
    return Grant(feature, refused, None, best, _source(feature, best, active, offers))


def _step_having(feature: str, state: SubscriptionState, has: bool, active: Collection[str], offers: Offers) -> Step:
    """Return whether a subscription includes a feature, for operators."""
    finding = "None of its products has the feature." if not has else _source(feature, state, active, offers).value
    if has and not state.access.allowed:
        finding += " It gives no access."
    return Step(state.subscription.id, "It includes the feature", finding, has)


def entitlements(subscriptions: Iterable[SubscriptionState], active: Collection[str], offers: Offers) -> list[Grant]:
    """Return everything that a customer may use now, by name, in one pass over what gives it.

    Args:
        subscriptions: those of the customer that count.
        active: what Stripe's entitlements give.
        offers: what the plans give.
    """
    live: dict[str, dict[str, _Giving]] = {}
    for state in subscriptions:
        for item in state.giving if state.access.allowed else ():
            for name in _features(state, offers[item.product_id], active):
                giving = live.setdefault(name, {}).setdefault(state.subscription.id, _Giving(state, []))
                giving.items.append(item)
    return [_grant(name, list(live[name].values()), active, offers) for name in sorted(live)]


class _Giving(NamedTuple):
    """A subscription that gives a feature, and its items that do."""

    state: SubscriptionState
    items: list[SubscriptionItem]


def _features(state: SubscriptionState, offer: ProductFeatures, active: Collection[str]) -> Collection[str]:
    """Return the features that an item of a product gives.

    Stripe's word about the customer counts as well, while it has one: it takes an entitlement away at the end of a
    subscription, whose paid rest counts here. Until the product's features are read it is all there is.
    """
    return offer.named.union(_at_stripe(state, offer, active))


def _at_stripe(state: SubscriptionState, offer: ProductFeatures, active: Collection[str]) -> Collection[str]:
    if offer.at_stripe is None:
        return () if is_for_life(state) else active
    return offer.at_stripe.intersection(active) if state.subscription.status in ENTITLED else offer.at_stripe


def _has(
    feature: str, state: SubscriptionState, item: SubscriptionItem, active: Collection[str], offers: Offers
) -> bool:
    offer = offers[item.product_id]
    return feature in offer.named or feature in _at_stripe(state, offer, active)


def _grant(feature: str, live: Sequence[_Giving], active: Collection[str], offers: Offers) -> Grant:
    """Return the decision where some subscriptions give a feature."""

    def worth(giving: _Giving) -> tuple[float, tuple[datetime, datetime]]:
        limit = _limit(feature, giving.items, offers)
        return float("inf") if limit is None else limit, _lasting(giving.state)

    best = live[0].state if len(live) == 1 else max(live, key=worth).state
    limit = _limit(feature, [item for giving in live for item in giving.items], offers)
    return Grant(
        *(feature, best.access, limit, None if is_for_life(best) else best),
        *(_source(feature, best, active, offers), counted(feature, live, offers)),
    )


def _lasting(state: SubscriptionState) -> tuple[datetime, datetime]:
    """Return until when it lasts; of equals the newest comes last."""
    return state.access.until or _EVER, state.subscription.created


def _source(feature: str, state: SubscriptionState, active: Collection[str], offers: Offers) -> Source:
    """Return who says that a subscription has the feature."""
    has = any(feature in _at_stripe(state, offers[item.product_id], active) for item in state.items)
    return Source.STRIPE if has else Source.PLAN


def _limit(feature: str, giving: Iterable[SubscriptionItem], offers: Offers) -> int | None:
    """Return how much of a feature the items that give it give together; None for no limit.

    Items whose product says so add up, times their quantity; of the others the highest counts. One that gives the
    feature without a limit makes it unlimited, unless it is not known yet whether it does.
    """
    offered = [(item, offers[item.product_id]) for item in giving]
    surely = [each for each in offered if feature in each[1].named or each[1].at_stripe is not None]
    stated = [(item, limit) for item, offer in surely or offered if (limit := offer.limits.get(feature))]
    if not stated or (surely and len(stated) < len(surely)):
        return None
    flat = max((limit.amount for _, limit in stated if not limit.per_unit), default=0)
    units = ((1 if item.quantity is None else item.quantity, limit.amount) for item, limit in stated if limit.per_unit)
    return min(MAX_LIMIT, flat + sum(quantity * amount for quantity, amount in units))
