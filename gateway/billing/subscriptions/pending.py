"""A change that a subscription schedule plans, whoever planned it: the portal, the dashboard or the API."""

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


def pending_change(
    phases: Sequence[dict[str, Any]] | None, items: Sequence[SubscriptionItem], now: datetime
) -> PendingChange | None:
    """Return the next change that a schedule plans; None where what there is goes on. Pure.

    Args:
        phases: of the schedule, as the mirror keeps them; None without a schedule.
        items: what there is.
        now: the present moment.
    """
    present = [(item.price_id, item.quantity) for item in items]
    for phase in sorted(phases or (), key=lambda each: each["start"]):
        planned = [(price, quantity) for price, quantity in phase["items"]]
        if phase["start"] > now.timestamp() and planned != present:
            return PendingChange(tuple(planned), datetime.fromtimestamp(phase["start"], UTC))
    return None
