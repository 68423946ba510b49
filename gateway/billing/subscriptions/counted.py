"""By what the use of a feature is counted, and in which period. Pure over rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.billing.catalog.product_features import ProductFeatures, Use
from gateway.billing.subscriptions.for_life import is_for_life
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.models.mirrored import SubscriptionItem


@dataclass(frozen=True, slots=True)
class Counted:
    """How the use of a feature that a customer has is counted.

    Attributes:
        use: by what.
        overage: whether it may go beyond the limit.
        subscription_id: the subscription whose periods count; empty where nothing but what was bought for life does.
        period: the present one of its item, from a moment to another, which does not belong to it; None is the calendar
            month.
        after_trial: whether that period began as a trial ended.
    """

    use: Use
    overage: bool = False
    subscription_id: str = ""
    period: tuple[datetime, datetime] | None = None
    after_trial: bool = False


def counted(
    feature: str,
    giving: Iterable[tuple[SubscriptionState, Sequence[SubscriptionItem]]],
    offers: Mapping[str, ProductFeatures],
) -> Counted | None:
    """Return how a feature is counted; None where no product that gives it says so.

    Of several subscriptions the oldest counts as long as it gives the feature: another one that begins, ends or is
    renewed beside it begins no new period.

    Args:
        feature: its key.
        giving: the subscriptions that give it, each with its items that do.
        offers: what the plans give.
    """
    oldest = sorted(
        giving, key=lambda each: (is_for_life(each[0]), each[0].subscription.created, each[0].subscription.id)
    )
    its = [(state, item, offers[item.product_id]) for state, items in oldest for item in items]
    for state, item, offer in its:
        if use := offer.uses.get(feature):
            overage = any(feature in each.overage for _, _, each in its)
            if is_for_life(state):
                return Counted(use, overage)
            period = item.current_period_start, item.current_period_end
            row = state.subscription
            return Counted(use, overage, row.id, period, after_trial=row.trial_end == item.current_period_start)
    return None
