"""Usage on its way to Stripe's meters, for operators: what Stripe refused, and how it is sent again."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from gateway.billing.metering.forwarder import USAGE, UsageForwarder
from gateway.billing.pagination import Found, Order, Page, newest
from gateway.db.database import Database
from gateway.models.columns import OPEN_PREDICATE
from gateway.runtime import Runtime

STATUSES = ("sent", "counted", "pending", "dead")
COLUMNS = [
    *(USAGE.c.id, USAGE.c.created, USAGE.c.timestamp, USAGE.c.status, USAGE.c.attempts, USAGE.c.event_name),
    *(USAGE.c.value, USAGE.c.customer_id, USAGE.c.adjusts, USAGE.c.next_attempt_at, USAGE.c.last_error),
]
ORDER = Order(USAGE.c.created, USAGE.c.id)
TOGETHER = 500
"""So many records are tried again at a time, which any database takes as the parameters of one statement."""


async def list_usage(
    database: Database, status: str | None, customer_id: str | None, first: int, after: str | None
) -> Page[Found]:
    """Return a page of the usage, what was reported last first.

    Raises:
        BadInput: `first` is out of range, or `after` is no cursor.
    """
    wanted = {USAGE.c.status: status, USAGE.c.customer_id: customer_id}
    query = sa.select(*COLUMNS).where(*(column == value for column, value in wanted.items() if value is not None))
    open_ones = query.where(sa.text(OPEN_PREDICATE)) if status in {"pending", "dead"} else query
    return await newest(database, open_ones, ORDER, first, after, make=dict)


async def send_again(runtime: Runtime, ids: Sequence[str] | None = None) -> AsyncIterator[list[Found]]:
    """Send usage again that Stripe refused, all of it without `ids`; a running gateway sends what it comes upon first.

    Yields:
        the records as they are then, some at a time.
    """
    database, forwarder = runtime.database, UsageForwarder(runtime.database, runtime.require_stripe())
    refused = sa.select(USAGE.c.id).where(USAGE.c.status == "dead").order_by(USAGE.c.created)
    chosen = await _read(database, refused if ids is None else refused.where(USAGE.c.id.in_(ids)))
    for start in range(0, len(chosen), TOGETHER):
        some = [row["id"] for row in chosen[start : start + TOGETHER]]
        await reopen(database, some)
        await forwarder.queue.drain(some)
        yield await _read(database, sa.select(*COLUMNS).where(USAGE.c.id.in_(some)).order_by(USAGE.c.created))


async def reopen(database: Database, ids: Sequence[str] | None) -> int:
    """Make refused usage due, all of it without `ids`; how much there was.

    The count of attempts stays: it is part of the key under which Stripe answers anew.
    """
    due = {"status": "pending", "next_attempt_at": datetime.now(UTC)}
    update = sa.update(USAGE).where(sa.text(OPEN_PREDICATE), USAGE.c.status == "dead").values(**due)
    chosen = update if ids is None else update.where(USAGE.c.id.in_(ids))
    return await database.transaction(lambda connection: connection.execute(chosen).rowcount)


async def _read(database: Database, query: sa.Select[tuple[object, ...]]) -> list[Found]:
    return await database.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])
