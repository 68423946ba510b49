"""What a subscription schedule plans, whoever planned it: the gateway, the portal, the dashboard or the API.

What the gateway has planned for a customer is the customer's to undo, and is marked so in the schedule's metadata
(`customer_may_change`). Whatever else is planned was not planned here: in the portal by the customer, or by the seller.
Its customer may get out of it where that gives no more than anybody can buy (`Planned.binds`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gateway.billing.catalog.product_prices import is_active, is_offered
from gateway.billing.catalog.quantities import quantity_range
from gateway.billing.catalog.snapshot import Snapshot
from gateway.db.tables import table_for
from gateway.models.mirrored import Subscription, SubscriptionItem, SubscriptionSchedule

SUBSCRIPTIONS, SCHEDULES = table_for(Subscription), table_for(SubscriptionSchedule)

_ACTIVE = SCHEDULES.c.status == "active", SCHEDULES.c.deleted.is_(False)
_NEWEST = SCHEDULES.c.as_of.desc(), SCHEDULES.c.id

PHASES = (
    sa.select(SCHEDULES.c.phases)
    .where(SCHEDULES.c.subscription_id == SUBSCRIPTIONS.c.id, *_ACTIVE)
    .order_by(*_NEWEST)
    .limit(1)
    .correlate(SUBSCRIPTIONS)
    .scalar_subquery()
    .label("phases")
)
"""What is planned of a subscription, for a query over subscriptions: Stripe has one active schedule of it at most.

The copy may have two while it was not told that one was released: the one counts of which
Stripe has told last.
"""

SCHEDULE_OF = (
    sa.select(SCHEDULES.c.id)
    .where(SCHEDULES.c.subscription_id == sa.bindparam("subscription"), *_ACTIVE)
    .order_by(*_NEWEST)
)
"""The schedules that manage a `subscription` as far as the copy knows, the one first of which Stripe has told last."""


@dataclass(frozen=True, slots=True)
class PendingChange:
    """What a subscription becomes at a moment.

    Attributes:
        items: each price with its quantity (None: metered), in Stripe's order.
        at: when.
    """

    items: tuple[tuple[str, int | None], ...]
    at: datetime


def renews_with(change: PendingChange, items: Sequence[SubscriptionItem]) -> bool:
    """Return whether a renewal is billed when a change happens: not where only what ends then goes. Pure.

    Args:
        change: what is planned.
        items: what there is.
    """
    if change.at != min(item.current_period_end for item in items):
        return False
    going_on = {(item.price_id, item.quantity) for item in items if item.current_period_end > change.at}
    return any(item not in going_on for item in change.items)


@dataclass(frozen=True, slots=True)
class Planned:
    """What is planned of a subscription.

    Attributes:
        change: the next change of its items; None where what there is goes on.
        end: when it ends by what is planned.
        sellers: whether some of what is still to come was not planned by the customer here.
        fixed: whether some of that binds the customer in any case.
        left: whether the end is the customer's own, in the place of what was planned before.
        last: each price, with its quantity, with which it ends; none without an end.
    """

    change: PendingChange | None = None
    end: datetime | None = None
    sellers: bool = False
    fixed: bool = False
    left: bool = False
    last: tuple[tuple[str, int | None], ...] = ()

    def binds(self, items: Sequence[SubscriptionItem], currency: str, snapshot: Snapshot, *, always: bool) -> bool:
        """Return whether the customer cannot get out of what is planned.

        Where that was not planned here, who gets out of it must keep only what anybody can buy today: the price that a
        rise was to replace, or at which a term was to end, is often sold no more.

        Args:
            items: what there is.
            currency: of the subscription.
            snapshot: the catalogue.
            always: whether all that the seller plans binds, by the setting.
        """
        if not self.sellers or self.fixed or always:
            return self.sellers
        planned = {(item.price_id, item.quantity) for item in items}.union(self.last)
        return not all(_is_sold(price, quantity, currency, snapshot) for price, quantity in planned)


NOTHING_PLANNED = Planned()


def _is_sold(price_id: str, quantity: int | None, currency: str, snapshot: Snapshot) -> bool:
    price = snapshot.prices.get(price_id)
    product = snapshot.products.get(price.product_id) if price else None
    if price is None or product is None or not (is_active(price) and is_active(product)):
        return False
    return is_offered(price, currency) and (quantity is None or quantity >= quantity_range(price, product)[0])


def has_begun(phase: Mapping[str, Any], now: datetime) -> bool:
    """Return whether a phase has begun: by Stripe's word, and by the time where the mirror kept it without that.

    By the time alone a change would count as made some moments before Stripe makes it, and nobody would be bound by it.

    Args:
        phase: as the mirror keeps it.
        now: the present moment.
    """
    begun: bool = phase.get("begun", phase["start"] <= now.timestamp())
    return begun


def plan_of(phases: Sequence[dict[str, Any]], items: Sequence[SubscriptionItem], now: datetime) -> Planned:
    """Return what a schedule plans. Pure.

    A phase that the mirror kept before it knew whose it is binds, until the schedule is read again.

    Args:
        phases: of the schedule, as the mirror keeps them.
        items: what there is.
        now: the present moment.
    """
    present = [(item.price_id, item.quantity) for item in items]
    last = tuple(present)
    later = sorted((each for each in phases if not has_begun(each, now)), key=lambda each: each["start"])
    change = end = None
    for phase in later:
        at, then = datetime.fromtimestamp(phase["start"], UTC), [(price, n) for price, n in phase["items"]]
        if not then:
            end = at
            continue
        last = tuple(then)
        if change is None and then != present:
            change = PendingChange(tuple(then), at)
    fixed = any(each.get("fixed", True) for each in later)
    return Planned(
        change,
        end,
        sellers=fixed or any(each.get("sellers") for each in later),
        fixed=fixed,
        left=any(each.get("left") for each in later),
        last=last if end else (),
    )
