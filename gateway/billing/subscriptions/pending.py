"""What a subscription schedule plans, whoever planned it: the gateway, the portal, the dashboard or the API.

What the gateway has planned for a customer is the customer's to undo, and is marked so in the schedule's metadata
(`customer_may_change`). Whatever else is planned is the seller's: a rise in price, a ramp, an end that was agreed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.models.mirrored import Subscription, SubscriptionItem, SubscriptionSchedule

SUBSCRIPTIONS, SCHEDULES = table_for(Subscription), table_for(SubscriptionSchedule)

_LIVE = SCHEDULES.c.status == "active", SCHEDULES.c.deleted.is_(False)

PHASES = (
    sa.select(SCHEDULES.c.phases)
    .where(SCHEDULES.c.subscription_id == SUBSCRIPTIONS.c.id, *_LIVE)
    .limit(1)
    .correlate(SUBSCRIPTIONS)
    .scalar_subquery()
    .label("phases")
)
"""What is planned of a subscription, for a query over subscriptions: Stripe has one active schedule of it at most."""

SCHEDULE_OF = sa.select(SCHEDULES.c.id).where(SCHEDULES.c.subscription_id == sa.bindparam("subscription"), *_LIVE)
"""The schedule that manages a `subscription`."""


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
        fixed: whether the seller has planned something that is still to come.
    """

    change: PendingChange | None = None
    end: datetime | None = None
    fixed: bool = False


NOTHING_PLANNED = Planned()


def plan_of(phases: Sequence[dict[str, Any]], items: Sequence[SubscriptionItem], now: datetime) -> Planned:
    """Return what a schedule plans. Pure.

    A phase that the mirror kept before it knew whose it is counts as the seller's.

    Args:
        phases: of the schedule, as the mirror keeps them.
        items: what there is.
        now: the present moment.
    """
    present = [(item.price_id, item.quantity) for item in items]
    later = sorted((each for each in phases if each["start"] > now.timestamp()), key=lambda each: each["start"])
    change = end = None
    for phase in later:
        at, then = datetime.fromtimestamp(phase["start"], UTC), [(price, n) for price, n in phase["items"]]
        if not then:
            end = at
        elif change is None and then != present:
            change = PendingChange(tuple(then), at)
    return Planned(change, end, any(each.get("fixed", True) for each in later))
