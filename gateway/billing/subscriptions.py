"""Subscriptions as they stand in the mirror."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel import select

from gateway.billing.access import Access, access
from gateway.database import Database
from gateway.models import Invoice, Subscription, SubscriptionItem


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription, its items (the oldest first), and what it gives right to now."""

    subscription: Subscription
    items: tuple[SubscriptionItem, ...]
    access: Access


async def standing(database: Database, id: str) -> Standing | None:
    """How a subscription stands; None when it is not in the mirror (yet).

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    async with database.read() as session:
        subscription = await session.get(Subscription, id)
        if subscription is None:
            return None
        its = select(SubscriptionItem).where(SubscriptionItem.subscription_id == id)
        items = sorted((await session.exec(its)).all(), key=lambda item: (item.created, item.id))
        unpaid = None
        if subscription.status == "past_due" and subscription.latest_invoice_id:
            unpaid = await session.get(Invoice, subscription.latest_invoice_id)
    since = unpaid.created if unpaid else None
    return Standing(subscription, tuple(items), access(subscription, items, datetime.now(UTC), unpaid_since=since))
