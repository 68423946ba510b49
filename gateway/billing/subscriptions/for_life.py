"""What a customer has bought for life, as something that gives features beside the subscriptions."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.billing.subscriptions.access import Access, Reason
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.models.mirrored import Subscription, SubscriptionItem

FOR_LIFE = "for_life"
"""The status of what stands in a subscription's place; Stripe has none of this name."""

_LONG_AGO = datetime.fromtimestamp(0, UTC)
_EMPTY: dict[str, Any] = {"id": "", "created": _LONG_AGO}
_ITEM = {**_EMPTY, "subscription_id": "", "price_id": "", "current_period_start": _LONG_AGO}


def for_life(owned: Mapping[str, int] | None) -> list[SubscriptionState]:
    """Return what stands for what was bought for life in the place of a subscription; nothing where nothing was.

    Args:
        owned: how many of each product (`customer.owned`).
    """
    if not owned:
        return []
    items = tuple(
        SubscriptionItem(**_ITEM, current_period_end=_LONG_AGO, product_id=product_id, quantity=quantity)
        for product_id, quantity in owned.items()
    )
    row = Subscription(**_EMPTY, as_of=0, customer_id="", status=FOR_LIFE, currency="", start_date=_LONG_AGO)
    return [SubscriptionState(row, items, Access(allowed=True, reason=Reason.PURCHASED), items)]


def is_for_life(state: SubscriptionState) -> bool:
    """Return whether it stands for what was bought for life."""
    return state.subscription.status == FOR_LIFE
