"""The inbox: every event is written down once before it is answered, and then applied exactly once.

Deliveries that arrive together share one transaction: recorded, applied each within a savepoint, marked, committed, and
only then answered. What fails, or needs a fetch from Stripe, stays in the table, which is the queue of `run_worker`:
no transaction ever waits for the network.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway import metrics
from gateway.database import Database, insert, table_of
from gateway.errors import DatabaseUnavailable, GatewayError, SettingsError, StripeMissing
from gateway.mirror.sync import refresh
from gateway.models import Event
from gateway.stripe_client import Delivery, Stripe
from gateway.webhooks.handlers import Effect, apply

log = structlog.get_logger()

GROUP_LIMIT = 100
QUEUE_LIMIT = 2_000
LEASE = timedelta(seconds=60)
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 4 * 3600
MOST_ATTEMPTS = 17  # 5 s, doubled up to 4 h: the last try is about a day after the first
IDLE_POLL_SECONDS = 1.0
EVENTS = table_of(Event)


@dataclass(slots=True)
class _Waiting:
    """A delivery whose sender waits for the commit."""

    delivery: Delivery
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Inbox:
    """Receives, applies and retries events.

    Args:
        database: where they are kept.
        stripe: for what must be fetched; None where no key is configured, and fetches then fail and are retried.
        on_change: called after a commit with the kinds of the objects whose rows changed.
    """

    def __init__(
        self, database: Database, stripe: Stripe | None, on_change: Callable[[frozenset[str]], None] = lambda _: None
    ) -> None:
        self._database = database
        self._stripe = stripe
        self._on_change = on_change
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_LIMIT)
        self._wake = asyncio.Event()

    async def receive(self, delivery: Delivery) -> bool:
        """Record an event and apply it, together with whatever else arrives at this moment.

        Returns:
            whether it was new; a duplicate changes nothing.

        Raises:
            DatabaseUnavailable: it could not be recorded, and Stripe must deliver it again.
        """
        waiting = _Waiting(delivery)
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise DatabaseUnavailable("more events wait than can be recorded in time") from None
        return await waiting.done

    async def run_receiver(self) -> None:
        """Serve `receive`, group by group, until cancelled."""
        while True:
            group = [await self._queue.get()]
            while len(group) < GROUP_LIMIT and not self._queue.empty():
                group.append(self._queue.get_nowait())
            await self._answer(group)

    async def _answer(self, group: Sequence[_Waiting]) -> None:
        """Record a group, and tell each sender what became of its delivery."""
        try:
            new = await self._record([waiting.delivery for waiting in group], source="webhook")
        except BaseException as error:
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_exception(
                        error if isinstance(error, GatewayError) else DatabaseUnavailable("the event was not recorded")
                    )
            if not isinstance(error, Exception):
                raise
            log.warning("events_not_recorded", count=len(group), error=type(error).__name__)
            return
        for waiting in group:
            if not waiting.done.done():  # its sender may have hung up
                event_id = waiting.delivery.event["id"]
                metrics.EVENTS.labels("received" if event_id in new else "duplicate").inc()
                waiting.done.set_result(event_id in new)
                new.discard(event_id)  # its copy in the same group is the duplicate

    async def _record(self, deliveries: Sequence[Delivery], *, source: str) -> set[str]:
        """Record and apply in one transaction; the ids that were new."""
        # one order for all processes, so that two of them with the same events wait for, and never block, each other
        events = {delivery.event["id"]: delivery for delivery in sorted(deliveries, key=lambda d: str(d.event["id"]))}
        changed: set[str] = set()
        async with self._database.write() as connection:
            rows = [_row(delivery, source) for delivery in events.values()]
            statement = insert(connection, EVENTS).values(rows).on_conflict_do_nothing().returning(EVENTS.c.id)
            new = set((await connection.execute(statement)).scalars())
            for event_id in (known for known in events if known in new):
                changed |= await self._apply(connection, event_id, events[event_id].event)
        self._committed(frozenset(changed))
        return new

    async def _apply(self, connection: AsyncConnection, event_id: str, event: dict[str, Any]) -> frozenset[str]:
        """Apply within a savepoint and mark: one bad event takes neither its neighbours nor its own record along."""
        try:
            async with connection.begin_nested():
                effect = await apply(connection, event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the event is kept and tried again
            await _fail(connection, event_id, 0, error)
            return frozenset()
        await _mark(connection, event_id, effect)
        metrics.EVENTS.labels(effect.status).inc()
        metrics.EVENT_LAG.observe(max(0.0, time.time() - event["created"]))
        log.info("event_handled", id=event_id, type=event["type"], status=effect.status, outcome=str(effect.outcome))
        return effect.changed

    def _committed(self, changed: frozenset[str]) -> None:
        """Tell the others what the commit has changed, and the worker that there may be work."""
        self._wake.set()
        if changed:
            self._on_change(changed)

    async def run_worker(self) -> None:
        """Finish what is pending and retry what failed, until cancelled."""
        while True:
            self._wake.clear()
            try:
                busy = await self.work()
            except GatewayError as error:
                log.warning("worker_waits", error=str(error))
                busy = 0
            except Exception:  # the worker must outlive whatever happens to one round
                log.exception("worker_failed")
                busy = 0
            if not busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), IDLE_POLL_SECONDS)

    async def work(self, limit: int = 20) -> int:
        """Process events that are due, at most `limit`; how many there were."""
        claimed = await self._claim(limit)
        for event_id in claimed:
            await self.process(event_id)
        return len(claimed)

    async def _claim(self, limit: int) -> list[str]:
        """Take events that are due, for as long as a lease; other processes pass over them."""
        now = datetime.now(UTC)
        due = (
            sa.select(EVENTS.c.id)
            .where(EVENTS.c.status.in_(("pending", "failed")), EVENTS.c.next_attempt_at <= now)
            .order_by(EVENTS.c.next_attempt_at)
            .limit(limit)
        )
        async with self._database.read() as session:  # without the writer's lock: mostly there is nothing to do
            if (await (await session.connection()).execute(due)).first() is None:
                return []
        async with self._database.write() as connection:
            ids = list((await connection.execute(due.with_for_update(skip_locked=True))).scalars())
            await connection.execute(sa.update(EVENTS).where(EVENTS.c.id.in_(ids)).values(next_attempt_at=now + LEASE))
        return ids

    async def process(self, event_id: str) -> None:
        """Apply a recorded event and fetch what it needs; a failure is written down and tried again later."""
        async with self._database.read() as session:
            row = await session.get(Event, event_id)
        if row is None:
            return
        try:
            changed = await (self._fetch(row) if row.needs else self._apply_again(row))
        except Exception as error:  # noqa: BLE001 - whatever it is, the event is kept and tried again
            async with self._database.write() as connection:
                await _fail(connection, event_id, row.attempts, error)
            return
        self._committed(changed)

    async def _apply_again(self, row: Event) -> frozenset[str]:
        event = orjson.loads(row.payload)
        async with self._database.write() as connection:
            effect = await apply(connection, event)
            await _mark(connection, row.id, effect)
        return effect.changed

    async def _fetch(self, row: Event) -> frozenset[str]:
        """Fetch what the event could not say itself, then mark it."""
        if self._stripe is None:
            raise SettingsError("STRIPE_SECRET_KEY is not set, so that nothing can be fetched")
        changed = set()
        for need in row.needs:
            kind, _, object_id = need.partition(":")
            with contextlib.suppress(StripeMissing):  # gone meanwhile, which `refresh` has written down
                await refresh(self._database, self._stripe, kind, object_id)
            changed.add(kind)
        async with self._database.write() as connection:
            await _mark(connection, row.id, Effect("applied", row.outcome or "fetched"))
        return frozenset(changed)

    async def reopen(self, event_ids: Sequence[str]) -> int:
        """Put recorded events back into the queue, due now, with a fresh count of attempts; how many were found."""
        async with self._database.write() as connection:
            result = await connection.execute(
                sa.update(EVENTS)
                .where(EVENTS.c.id.in_(event_ids))
                .values(status="pending", needs=[], attempts=0, next_attempt_at=datetime.now(UTC), last_error=None)
            )
        self._wake.set()
        return result.rowcount


def _row(delivery: Delivery, source: str) -> dict[str, Any]:
    """The event as it is recorded, before anything is applied."""
    event = delivery.event
    obj = event["data"]["object"]
    now = datetime.now(UTC)
    return {
        "id": event["id"],
        "type": event["type"],
        "api_version": _text(event.get("api_version")),
        "account": _text(event.get("account")),
        "livemode": bool(event.get("livemode")),
        "created": datetime.fromtimestamp(event["created"], UTC),
        "object_id": _text(obj.get("id")),
        "payload": delivery.payload,
        "source": source,
        "status": "pending",
        "needs": [],
        "attempts": 0,
        "next_attempt_at": now,
        "received_at": now,
    }


def _text(value: Any) -> str | None:
    """A string that any database can hold, or nothing: an odd field must not cost the record of its event."""
    return value[:255].replace("\0", "") if isinstance(value, str) else None


async def _mark(connection: AsyncConnection, event_id: str, effect: Effect) -> None:
    """Write down what became of an event; with needs it stays pending, due at once."""
    now = datetime.now(UTC)
    await connection.execute(
        sa.update(EVENTS)
        .where(EVENTS.c.id == event_id)
        .values(
            status="pending" if effect.needs else effect.status,
            outcome=str(effect.outcome),
            needs=list(effect.needs),
            next_attempt_at=now if effect.needs else None,
            processed_at=None if effect.needs else now,
            last_error=None,
        )
    )


async def _fail(connection: AsyncConnection, event_id: str, attempts: int, error: Exception) -> None:
    """Keep the event with its error; after the last try it is a dead letter, which waits for an operator."""
    attempts += 1
    dead = attempts >= MOST_ATTEMPTS
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (attempts - 1), LONGEST_PAUSE_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311
    await connection.execute(
        sa.update(EVENTS)
        .where(EVENTS.c.id == event_id)
        .values(
            status="dead" if dead else "failed",
            attempts=attempts,
            next_attempt_at=None if dead else datetime.now(UTC) + timedelta(seconds=pause),
            last_error=f"{type(error).__name__}: {error}"[:2000],
        )
    )
    metrics.EVENTS.labels("dead" if dead else "failed").inc()
    log.warning("event_failed", id=event_id, attempts=attempts, dead=dead, error=type(error).__name__)
