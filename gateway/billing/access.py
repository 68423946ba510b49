"""What a subscription gives right to, and until when. Pure: the rows, the time, nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from gateway.models import Subscription, SubscriptionItem

GRACE = timedelta(days=7)
"""How long access goes on when a renewal cannot be charged."""


class Reason(Enum):
    """Why access is given or refused; each value says what it means."""

    ACTIVE = "Paid, or nothing is due."
    TRIALING = "In its trial."
    GRACE_PERIOD = "The last payment failed; access goes on for a few days."
    PAST_DUE = "The last payment failed and the grace period is over."
    UNPAID = "The invoices are not paid and Stripe has stopped trying."
    INCOMPLETE = "The first payment has not succeeded."
    PAUSED = "Paused: the trial ended without a way to pay."
    CANCELED = "Ended."


@dataclass(frozen=True, slots=True)
class Access:
    """A decision.

    Attributes:
        allowed: whether there is access.
        reason: why.
        until: when it ends unless something happens; None when there is none, or no end is known.
    """

    allowed: bool
    reason: Reason
    until: datetime | None = None


_REFUSED = {
    "unpaid": Reason.UNPAID,
    "incomplete": Reason.INCOMPLETE,
    "incomplete_expired": Reason.INCOMPLETE,
    "paused": Reason.PAUSED,
    "canceled": Reason.CANCELED,
}


def access(
    subscription: Subscription, items: Sequence[SubscriptionItem], now: datetime, *, unpaid_since: datetime | None
) -> Access:
    """What a subscription gives right to.

    Args:
        subscription: its row.
        items: its items, which carry the paid period.
        now: the present moment.
        unpaid_since: when the invoice that could not be charged was made; only looked at when it is past due.
    """
    end = end_of(subscription, items)
    match subscription.status:
        case "active":
            return Access(allowed=True, reason=Reason.ACTIVE, until=end)
        case "trialing":
            return Access(allowed=True, reason=Reason.TRIALING, until=end)
        case "past_due":
            last = (unpaid_since or min((item.current_period_start for item in items), default=now)) + GRACE
            if now < last:
                return Access(allowed=True, reason=Reason.GRACE_PERIOD, until=last)
            return Access(allowed=False, reason=Reason.PAST_DUE)
        case "canceled" if end is not None and now < end:
            return Access(allowed=True, reason=Reason.CANCELED, until=end)
        case status:
            return Access(allowed=False, reason=_REFUSED.get(status, Reason.UNPAID))


def end_of(subscription: Subscription, items: Sequence[SubscriptionItem]) -> datetime | None:
    """When it ended or will end, else when its paid period does."""
    paid_until = min((item.current_period_end for item in items), default=None)
    return subscription.ended_at or subscription.cancel_at or paid_until


def will_cancel(subscription: Subscription) -> bool:
    """Whether it ends by itself. Flexible billing sets `cancel_at` and leaves `cancel_at_period_end` false."""
    return subscription.ended_at is None and (subscription.cancel_at_period_end or subscription.cancel_at is not None)
