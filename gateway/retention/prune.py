"""Delete what is finished and old: events, messages to the application, usage that Stripe has, intents to check out.

What waits or has failed for good stays, whatever its age: it is an operator's to decide. Rows are deleted a few at a
time, each batch in a transaction of its own, so that SQLite's one writer is soon free for an event.

Nothing is counted twice because of it. Stripe delivers an event again by itself for three days, and its list of events
goes back 30 (https://docs.stripe.com/webhooks/process-undelivered-events); one that came all the same would meet the
mirror's guards and a ledger that is keyed by what was paid.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.models.checkout import CheckoutIntent
from gateway.models.inbox import Event
from gateway.models.infra import Lease
from gateway.models.metering import UsageHold, UsageRecord, UsageTotal
from gateway.models.mirrored import Subscription, SubscriptionItem
from gateway.models.outbound import OutboxDelivery, OutboxMessage
from gateway.settings import Settings

EVENTS, INTENTS, LEASES, USAGE = (table_for(each) for each in (Event, CheckoutIntent, Lease, UsageRecord))
TOTALS, HOLDS = table_for(UsageTotal), table_for(UsageHold)
MESSAGES, DELIVERIES = table_for(OutboxMessage), table_for(OutboxDelivery)
SUBSCRIPTIONS, ITEMS = table_for(Subscription), table_for(SubscriptionItem)

BATCH = 200
PAUSE_SECONDS = 0.05
"""After each batch, for whoever waits to write."""
LEASE_DAYS = 1
"""After which a lease is deleted that has run out: whoever held it was killed."""

_UNDELIVERED = sa.exists().where(DELIVERIES.c.id == MESSAGES.c.id, DELIVERIES.c.status != "delivered")
_COUNTED_NOW = (
    sa.exists()
    .where(ITEMS.c.subscription_id == SUBSCRIPTIONS.c.id, ITEMS.c.current_period_start <= USAGE.c.timestamp)
    .where(SUBSCRIPTIONS.c.customer_id == USAGE.c.customer_id, SUBSCRIPTIONS.c.ended_at.is_(None))
)


@dataclass(frozen=True, slots=True)
class Retained:
    """What is kept for some days.

    Attributes:
        name: for people.
        table: whose rows have an `id` and a moment `created`, by which they are found.
        days: how many, by the settings.
        finished: the condition under which a row may go.
        parts: the tables with rows of the same `id` that go with it.
    """

    name: str
    table: sa.Table
    days: Callable[[Settings], int]
    finished: sa.ColumnElement[bool]
    parts: tuple[sa.Table, ...] = ()


RETAINED = (
    Retained(
        "events",
        EVENTS,
        lambda settings: settings.event_retention_days,
        EVENTS.c.status.in_(("applied", "stale", "ignored")),
    ),
    Retained("messages", MESSAGES, lambda settings: settings.outbox_retention_days, ~_UNDELIVERED, (DELIVERIES,)),
    Retained(
        "usage",
        USAGE,
        lambda settings: settings.usage_retention_days,
        sa.and_(USAGE.c.status.in_(("sent", "counted")), ~_COUNTED_NOW),  # what a running period has used is asked for
    ),
    Retained("holds", HOLDS, lambda settings: settings.usage_retention_days, sa.true()),  # none lasts longer than a day
    Retained("intents", INTENTS, lambda settings: settings.intent_retention_days, sa.true()),
)


async def prune(database: Database, settings: Settings, *, pause_seconds: float = PAUSE_SECONDS) -> dict[str, int]:
    """Delete what is finished and older than the settings say; how many there were of each.

    Args:
        database: where they are.
        settings: for how many days each is kept.
        pause_seconds: after each batch.

    Raises:
        DatabaseUnavailable: the database cannot be reached; what was deleted until then stays deleted.
    """
    counts = {each.name: await _prune(database, each, each.days(settings), pause_seconds) for each in RETAINED}
    over = database.clock.now() - timedelta(days=settings.usage_retention_days)
    await database.transaction(partial(_delete_what_is_over, over))
    return counts


async def count_old(database: Database, settings: Settings) -> dict[str, int]:
    """Count what `prune` would delete."""

    def count(connection: sa.Connection) -> dict[str, int]:
        found = {each.name: _old(each, now(connection) - timedelta(days=each.days(settings))) for each in RETAINED}
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(old.subquery())).scalar_one()
            for name, old in found.items()
        }

    return await database.read(count)


def _old(kind: Retained, before: datetime) -> sa.Select[Any]:
    """Return the statement that finds what is finished and was created before a moment, the oldest first."""
    table = kind.table
    return (
        sa.select(table.c.id, table.c.created).where(table.c.created < before, kind.finished).order_by(table.c.created)
    )


async def _prune(database: Database, kind: Retained, days: int, pause_seconds: float) -> int:
    before, count = database.clock.now() - timedelta(days=days), 0
    since: datetime | None = None  # what stays at the front is not looked at again for each batch
    while True:
        batch = _old(kind, before).limit(BATCH)
        if since is not None:
            batch = batch.where(kind.table.c.created >= since)
        rows = await database.read(partial(_rows, batch))
        if rows:
            count += await database.transaction(partial(_delete, kind, [row.id for row in rows]))
            since = rows[-1].created
        if len(rows) < BATCH:
            return count
        await asyncio.sleep(pause_seconds)


def _rows(query: sa.Select[Any], connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    return connection.execute(query).all()


def _delete(kind: Retained, ids: list[Any], connection: sa.Connection) -> int:
    """Delete rows that are still finished: an operator may have put one of them back into its queue."""
    chosen = sa.select(kind.table.c.id).where(kind.table.c.id.in_(ids), kind.finished)
    found = connection.execute(chosen.with_for_update(of=kind.table)).scalars().all()
    for table in (*kind.parts, kind.table):
        connection.execute(sa.delete(table).where(table.c.id.in_(found)))
    return len(found)


def _delete_what_is_over(before: datetime, connection: sa.Connection) -> None:
    """Delete the sums of periods that ended before a moment, and leases that ran out long ago: both are few."""
    connection.execute(sa.delete(TOTALS).where(TOTALS.c.period_end < before))
    long_ago = datetime.now(UTC) - timedelta(days=LEASE_DAYS)
    connection.execute(sa.delete(LEASES).where(LEASES.c.until < long_ago))
