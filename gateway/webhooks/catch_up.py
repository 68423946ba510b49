"""Catch up on events that no delivery brought: the gateway was down for too long, or the endpoint was disabled.

Stripe's own list of events is read from the moment that the last run reached, with overlap, oldest first, a page at a
time, and every event takes the way of a delivery; known ones change nothing. Stripe keeps events for 30 days
(https://docs.stripe.com/api/events/list).
"""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import sqlalchemy as sa
import structlog
from sqlmodel import col, select

from gateway.db.database import Database
from gateway.db.locks import leader
from gateway.db.rows import row_by_id
from gateway.db.statements import execute
from gateway.db.tables import insert, table_for
from gateway.mirror.mapping import Json
from gateway.mirror.own_account import require_same_account
from gateway.mirror.reader import PAGE, Reader
from gateway.models.infra import SyncState
from gateway.observability import metrics
from gateway.stripe_api.client import Stripe
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.handlers import HANDLERS
from gateway.webhooks.inbox import Inbox

log = structlog.get_logger()

NAME = "event"
"""The row of `sync_state` that keeps how far the list has been read (`cursor`: Unix seconds on Stripe's clock)."""
DAY, HOUR, MINUTE = 86_400, 3_600, 60
RETENTION_SECONDS = 30 * DAY
WARN_AFTER_SECONDS = 20 * DAY
OVERLAP_SECONDS = 10 * MINUTE
MISSED_AFTER_SECONDS = 5 * MINUTE
"""An event older than this was missed; a younger one may be on its way."""
FIRST_SPAN_SECONDS, LONGEST_SPAN_SECONDS = HOUR, DAY


@dataclass(frozen=True, slots=True)
class CatchUp:
    """What a run has found.

    Args:
        since: from when on the list was read, in Unix seconds.
        read: how many events there were that the gateway handles.
        recorded: the ids of those that were not in the inbox.
        missed: the ids of those among them that are so old that no delivery is on its way.
        lost: how many seconds of events are too old to be read any more.
    """

    since: int
    read: int
    recorded: tuple[str, ...]
    missed: tuple[str, ...]
    lost: int


async def catch_up(inbox: Inbox, reader: Reader) -> CatchUp:
    """Read Stripe's list from where the last run stopped, and record what is new.

    Raises:
        SettingsError: the database is the copy of another account, whose events these are not.
        StripeUnavailable: Stripe stays out of reach; what was read is kept, and the next run continues from there.
        DatabaseUnavailable: nothing can be recorded.
    """
    await require_same_account(inbox.database, reader)
    now = (await reader.get("/v1/events", limit=1)).as_of
    since, lost = await inbox.database.read(partial(_unread, now))
    if lost:
        log.error("events_lost", days=lost // DAY, action="run `gateway reconcile --repair`")
    read, recorded, missed = 0, [], []
    async for events, end in _pages(reader, since, now):
        new = await inbox.record([Delivery(StripeEvent.of(event)) for event in events], source="list")
        read += len(events)
        recorded += [event["id"] for event in events if event["id"] in new]
        missed += [
            event["id"] for event in events if event["id"] in new and event["created"] < now - MISSED_AFTER_SECONDS
        ]
        await _remember(inbox.database, min(end, now), read, done=end > now)
    metrics.EVENTS_MISSED.inc(len(missed))
    metrics.RECONCILED.set_to_current_time()
    log.info("events_read", seconds=now - since, read=read, missed=len(missed))
    return CatchUp(since, read, tuple(recorded), tuple(missed), lost)


async def _pages(reader: Reader, since: int, now: int) -> AsyncIterator[tuple[list[Json], int]]:
    """Yield the events that the gateway handles, oldest first, each page with the moment up to which all was read.

    The list runs from the newest event to the oldest: a span that holds more than one page is shortened until it
    fits. A second that holds more is read from its end; among events of one second the order proves nothing anyway.
    """
    start, span = since, FIRST_SPAN_SECONDS
    while start <= now:
        answer = await reader.get("/v1/events", limit=PAGE, created={"gte": start, "lt": start + span})
        events, more = answer.object["data"], answer.object["has_more"]
        if more and span > 1:
            span //= 2
            continue
        while more:
            yield _handled(events), start
            answer = await reader.get(
                "/v1/events", limit=PAGE, created={"gte": start, "lt": start + span}, starting_after=events[-1]["id"]
            )
            events, more = answer.object["data"], answer.object["has_more"]
        start += span
        yield _handled(events), start
        if len(events) < PAGE // 2:
            span = min(span * 2, LONGEST_SPAN_SECONDS)


def _handled(events: list[Json]) -> list[Json]:
    return [event for event in reversed(events) if event["type"] in HANDLERS]


async def run_catch_up(inbox: Inbox, stripe: Stripe, every: float) -> None:
    """Catch up every so many seconds (0: never), until cancelled; of several processes one does it."""
    while every:
        await asyncio.sleep(random.uniform(0.5, 1) * min(MINUTE, every))  # noqa: S311 - not all at once
        async with leader(inbox.database, NAME) as leading:
            if leading and await _due(inbox.database, every):
                await catch_up(inbox, Reader(stripe))


async def seconds_since_last_run(database: Database) -> float | None:
    """Return how many seconds ago the list was last read to its end; None when never."""
    state = await database.read(lambda connection: row_by_id(connection, SyncState, NAME))
    if state is None or state.completed_at is None:
        return None
    return (datetime.now(UTC) - state.completed_at).total_seconds()


def _unread(now: int, connection: sa.Connection) -> tuple[int, int]:
    """Return from when on events are to be read, and how many seconds of them are too old for that.

    For how long nobody read is this machine's to say: an offline Stripe whose time is moved forgets nothing by that.

    Args:
        now: the present moment on Stripe's clock, in Unix seconds.
        connection: where the state is kept.
    """
    reached, read_at = _reached(connection)
    if reached is None:
        return now - RETENTION_SECONDS, 0
    reached = min(reached, now)
    forgets = datetime.now(UTC) - read_at > timedelta(seconds=RETENTION_SECONDS)
    since = max(reached - OVERLAP_SECONDS, now - RETENTION_SECONDS if forgets else 0)
    return since, max(0, since - reached)


def _reached(connection: sa.Connection) -> tuple[int | None, datetime]:
    """Return where the last run stopped, on Stripe's clock, and when that was, on this machine's.

    Before the first run it is when the mirror was first filled: it holds what was before.
    """
    state = row_by_id(connection, SyncState, NAME)
    if state and state.cursor:
        return int(state.cursor), state.completed_at or state.started_at
    first = connection.scalar(select(SyncState.started_at).order_by(col(SyncState.started_at)))
    return (None, datetime.now(UTC)) if first is None else (int(first.timestamp()), first)


async def _remember(database: Database, reached: int, count: int, *, done: bool) -> None:
    now = datetime.now(UTC)
    values = {"resource": NAME, "cursor": str(reached), "count": count, "started_at": now}
    values |= {"completed_at": now} if done else {}

    def write(connection: sa.Connection) -> None:
        execute(connection, _reading(connection.dialect.name, done=done), values)

    await database.transaction(write)


@lru_cache
def _reading(dialect: str, *, done: bool) -> Any:
    """INSERT how far the list was read, or UPDATE it."""
    states = table_for(SyncState)
    names = ("resource", "cursor", "count", *(("completed_at",) if done else ()))
    new = insert(dialect, states)
    new = new.values({name: sa.bindparam(name, type_=states.c[name].type) for name in (*names, "started_at")})
    return new.on_conflict_do_update(index_elements=["resource"], set_={name: new.excluded[name] for name in names})


async def _due(database: Database, every: float) -> bool:
    last = await seconds_since_last_run(database)
    if last is not None and last > WARN_AFTER_SECONDS:
        log.error("events_soon_lost", days_unread=last // DAY, days_kept=RETENTION_SECONDS // DAY)
    return last is None or last >= every
