"""The inbox, for operators: what Stripe has sent, what became of it, and how it is tried again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from gateway.billing.pagination import Found, Order, Page, newest
from gateway.db.database import Database
from gateway.db.rows import all_rows, row_by_id
from gateway.errors import BadInput
from gateway.models.inbox import OPEN_EVENTS_PREDICATE, Event
from gateway.runtime import Runtime
from gateway.webhooks.event import StripeEvent
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.outcomes import EVENTS
from gateway.webhooks.worker import Worker

STATUSES = ("applied", "stale", "ignored", "pending", "failed", "dead")
FAILED = ("failed", "dead")
LISTED = [column for column in EVENTS.c if column.name != "payload"]
ORDER = Order(EVENTS.c.created, EVENTS.c.id)
MOST_AT_ONCE = 1000
"""So many events are replayed at most by one call, which waits for them."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are listed; what is None is not looked at.

    Attributes:
        status: one of `STATUSES`.
        type: such as `invoice.paid`.
        object_id: what the event is about.
    """

    status: str | None = None
    type: str | None = None
    object_id: str | None = None

    def conditions(self) -> list[sa.ColumnElement[bool] | sa.TextClause]:
        """Return the conditions of a query over events; what is not finished is found by the index over it."""
        wanted = {EVENTS.c.status: self.status, EVENTS.c.type: self.type, EVENTS.c.object_id: self.object_id}
        found: list[Any] = [column == value for column, value in wanted.items() if value is not None]
        return [*found, sa.text(OPEN_EVENTS_PREDICATE)] if self.status in {"pending", *FAILED} else found


async def list_events(database: Database, wanted: EventFilter, first: int, after: str | None) -> Page[Found]:
    """Return a page of the events without their payloads, those that happened last first.

    Raises:
        BadInput: `first` is out of range, or `after` is no cursor.
    """
    query = sa.select(*LISTED).where(*wanted.conditions())
    return await newest(database, query, ORDER, first, after, make=dict)


async def read_event(database: Database, id: str) -> Event | None:
    """Return one event, with its payload."""
    return await database.read(lambda connection: row_by_id(connection, Event, id))


def changes(event: StripeEvent) -> Iterator[tuple[str, Any, Any]]:
    """Yield what an event says has changed: path, value before and value now (Stripe's `previous_attributes`)."""
    before = event.previous_attributes
    return iter(()) if before is None else _compared("", before, event.object)


def _compared(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    names = before.keys() if isinstance(before, dict) else range(len(before)) if isinstance(before, list) else ()
    if not names or type(before) is not type(after):
        if before != after:
            yield path, before, after
        return
    for name in names:
        known = name in after if isinstance(after, dict) else name < len(after)
        yield from _compared(f"{path}.{name}".lstrip("."), before[name], after[name] if known else None)


async def failed_ids(database: Database, ids: Sequence[str] | None = None) -> Sequence[str]:
    """Return the events that failed or were given up, of these or of all."""
    query = select(Event.id).where(col(Event.status).in_(FAILED))
    chosen = query if ids is None else query.where(col(Event.id).in_(ids))
    return await database.read(lambda connection: connection.scalars(chosen).all())


async def ids_of_range(
    database: Database, since: datetime | None, until: datetime | None, *, most: int | None = None
) -> Sequence[str]:
    """Return the events that happened in a range, the oldest first.

    Args:
        database: the mirror.
        since: from this moment on; None is from the first.
        until: before this moment; None is to the last.
        most: so many at most.

    Raises:
        BadInput: there are more.
    """
    query = select(Event.id).order_by(col(Event.created), col(Event.id))
    query = query.where(Event.created >= since) if since else query
    query = query.where(Event.created < until) if until else query
    found = await database.read(lambda connection: connection.scalars(query.limit(most + 1 if most else None)).all())
    if most and len(found) > most:
        raise BadInput(f"there are more than {most} events in this range: take a shorter one")
    return found


async def process_again(runtime: Runtime, ids: Sequence[str]) -> list[Event]:
    """Put events back into the queue, process them here one after the other, and return them as they are then."""
    inbox = Inbox.of(runtime)
    worker = Worker.of(inbox, runtime)
    for event_id in ids:
        await inbox.reopen([event_id])
        await worker.retry([event_id])
    return await runtime.database.read(lambda connection: all_rows(connection, Event, col(Event.id).in_(ids)))
