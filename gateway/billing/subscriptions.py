"""Subscriptions as they stand in the mirror, many customers' at once."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.billing.access import Access, Payments, access
from gateway.billing.invoices import paid_until, unpaid_since
from gateway.database import Database
from gateway.models import Subscription, SubscriptionItem

OVER = ("canceled", "incomplete_expired")
"""The statuses that nothing follows."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription, its items (the oldest first), and what it gives right to now."""

    subscription: Subscription
    items: tuple[SubscriptionItem, ...]
    access: Access


async def standing(database: Database, id: str, grace: timedelta) -> Standing | None:
    """How a subscription stands; None when it is not in the mirror (yet).

    Args:
        database: the mirror.
        id: the subscription's id.
        grace: how long access goes on after a failed charge.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    async with database.read() as session:
        return next(iter(await _standings(session, col(Subscription.id) == id, grace)), None)


async def of_customers(
    database: Database, customer_ids: Collection[str], grace: timedelta
) -> dict[str, list[Standing]]:
    """How the subscriptions of many customers stand, each customer's newest first, in at most four queries.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    async with database.read() as session:
        return await read(session, customer_ids, grace)


async def read(session: AsyncSession, customer_ids: Collection[str], grace: timedelta) -> dict[str, list[Standing]]:
    """The same as `of_customers`, within a session."""
    found: dict[str, list[Standing]] = {}
    for each in await _standings(session, col(Subscription.customer_id).in_(customer_ids), grace):
        found.setdefault(each.subscription.customer_id, []).append(each)
    return found


def current(standings: Iterable[Standing]) -> Standing | None:
    """The subscription that counts: one with access before one without, then the newest; None when all are over."""
    alive = [each for each in standings if each.access.allowed or each.subscription.status not in OVER]
    return max(alive, key=lambda each: (each.access.allowed, each.subscription.created), default=None)


async def _standings(session: AsyncSession, which: Any, grace: timedelta) -> list[Standing]:
    """The subscriptions that fit, the newest first. What only some statuses need is only read when one has it."""
    newest_first = (col(Subscription.created).desc(), col(Subscription.id).desc())
    query = select(Subscription).where(which, col(Subscription.deleted).is_(False)).order_by(*newest_first)
    rows = (await session.exec(query)).all()
    items = (
        await session.exec(
            select(SubscriptionItem)
            .where(col(SubscriptionItem.subscription_id).in_([row.id for row in rows]))
            .order_by(col(SubscriptionItem.created), col(SubscriptionItem.id))
        )
        if rows
        else ()
    )
    unpaid = await unpaid_since(session, _ids(rows, "past_due"))
    paid = await paid_until(session, _ids(rows, "canceled"))
    its: dict[str, list[SubscriptionItem]] = {row.id: [] for row in rows}
    for item in items:
        its[item.subscription_id].append(item)
    return [
        Standing(
            row,
            tuple(its[row.id]),
            access(row, its[row.id], _now(row), grace=grace, payments=Payments(unpaid.get(row.id), paid.get(row.id))),
        )
        for row in rows
    ]


def _ids(rows: Sequence[Subscription], status: str) -> list[str]:
    return [row.id for row in rows if row.status == status]


def _now(row: Subscription) -> datetime:
    """The present, which is never before what Stripe has told: its test clocks run ahead of ours."""
    return max(datetime.now(UTC), datetime.fromtimestamp(row.as_of, UTC))
