"""What a subscription gives right to, and until when. Pure: the rows, the time, nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from gateway.models.mirrored import Subscription, SubscriptionItem


class Reason(Enum):
    """Why access is given or refused; each value says what it means."""

    ACTIVE = "Paid, or nothing is due."
    TRIALING = "In its trial."
    GRACE_PERIOD = "The last payment failed; access goes on for a few days."
    PAST_DUE = "The last payment failed and the grace period is over."
    UNPAID = "The invoices are not paid and Stripe has stopped trying."
    INCOMPLETE = "The first payment has not succeeded."
    PAUSED = "Paused: the trial ended without a way to pay."
    CANCELED = "Ended; what was paid for is still given to its end."
    NOT_INCLUDED = "No subscription of this customer includes the feature."
    NO_SUBSCRIPTION = "The customer has never had a subscription."


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


@dataclass(frozen=True, slots=True)
class Payments:
    """What the invoices of a subscription tell about it.

    Attributes:
        unpaid_since: the first failed charge of the invoice that is open longest; looked at when it is past due.
        paid_until: the end of what was paid for; looked at when it is canceled.
    """

    unpaid_since: datetime | None = None
    paid_until: datetime | None = None


_REFUSED = {
    "unpaid": Reason.UNPAID,
    "incomplete": Reason.INCOMPLETE,
    "incomplete_expired": Reason.INCOMPLETE,
    "paused": Reason.PAUSED,
    "canceled": Reason.CANCELED,
}


def access(
    subscription: Subscription,
    items: Sequence[SubscriptionItem],
    now: datetime,
    *,
    grace: timedelta,
    payments: Payments,
) -> Access:
    """Return what a subscription gives right to.

    Args:
        subscription: its row.
        items: its items, which carry the present period.
        now: the present moment.
        grace: how long access goes on after the first failed charge.
        payments: what its invoices tell.
    """
    end = end_of(subscription, items)
    match subscription.status:
        case "active":
            return Access(allowed=True, reason=Reason.ACTIVE, until=end)
        case "trialing":
            return Access(allowed=True, reason=Reason.TRIALING, until=end)
        case "past_due":
            # without an unpaid invoice in the mirror (yet): Stripe began the period that it could not charge for
            since = payments.unpaid_since or min((item.current_period_start for item in items), default=now)
            if now < since + grace:
                return Access(allowed=True, reason=Reason.GRACE_PERIOD, until=since + grace)
            return Access(allowed=False, reason=Reason.PAST_DUE)
        case "canceled" if payments.paid_until is not None and now < payments.paid_until:
            return Access(allowed=True, reason=Reason.CANCELED, until=payments.paid_until)
        case status:
            return Access(allowed=False, reason=_REFUSED.get(status, Reason.UNPAID))


def end_of(subscription: Subscription, items: Sequence[SubscriptionItem]) -> datetime | None:
    """Return when it ended or will end, else when its paid period does."""
    paid_until = min((item.current_period_end for item in items), default=None)
    return subscription.ended_at or subscription.cancel_at or paid_until


def will_cancel(subscription: Subscription) -> bool:
    """Return whether it ends by itself. Flexible billing sets `cancel_at` and leaves `cancel_at_period_end` false."""
    return subscription.ended_at is None and (subscription.cancel_at_period_end or subscription.cancel_at is not None)
