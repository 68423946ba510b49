"""Finish what could not be finished within a delivery: fetch what events need, and retry those that failed.

The inbox table is the queue. A worker takes events that are due for as long as a lease; those of other processes pass
over them (FOR UPDATE SKIP LOCKED). What one takes is processed side by side, so that a slow or poisoned event delays
none of the others.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlmodel import col, select

from gateway.db.rows import all_rows
from gateway.errors import DatabaseUnavailable, SettingsError, StripeMissing
from gateway.mirror.mapping import Json
from gateway.mirror.resources import RESOURCES
from gateway.models.inbox import UNFINISHED, Event
from gateway.observability import tracing
from gateway.stripe_api.client import Stripe
from gateway.webhooks.event import StripeEvent
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.outcomes import EVENTS

log = structlog.get_logger()

CLAIM = 50
SIDE_BY_SIDE = 5  # calls to Stripe at a time: well below its limit, which the rest of the gateway needs too
LEASE = timedelta(seconds=20)  # how long an event waits when its process was killed
MOST_SECONDS = 15.0  # for one event: less than the lease, so that nobody else takes it meanwhile
IDLE_SECONDS = 1.0


class Worker:
    """Processes what is due.

    Args:
        inbox: where the events are.
        stripe: for what must be fetched; None where no key is configured: fetches then fail and are retried.
    """

    def __init__(self, inbox: Inbox, stripe: Stripe | None) -> None:
        self._inbox = inbox
        self._mirror = inbox.mirror
        self._database = inbox.database
        self._stripe = stripe

    async def run(self) -> None:
        """Process what is due, until cancelled."""
        while True:
            self._inbox.due.clear()
            if not await self.work():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._inbox.due.wait(), IDLE_SECONDS)

    async def work(self, limit: int = CLAIM) -> int:
        """Process events that are due, at most `limit`; how many there were."""
        claimed = await self._claim(limit)
        try:
            complete = await self.process(claimed)
        except asyncio.CancelledError:  # at shutdown: whoever comes next need not wait for the lease to end
            await self._release(claimed)
            raise
        if not complete:
            await self._release(claimed)
        return len(claimed)

    async def process(self, rows: Sequence[Event]) -> bool:
        """Process recorded events side by side. Those that need the same object share its reading.

        Returns:
            whether each had its turn. What has waited until its lease might end on the way is left: whoever takes it
            next has the time for it.
        """
        complete = True
        latest = time.monotonic() + LEASE.total_seconds() - MOST_SECONDS
        alike: defaultdict[tuple[str, ...], list[Event]] = defaultdict(list)
        for row in rows:
            alike[(row.account or "", *row.needs) if row.needs else (row.id,)].append(row)
        slots = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(group: Sequence[Event]) -> None:
            nonlocal complete
            async with slots:
                if time.monotonic() > latest:
                    complete = False
                    return
                with tracing.span("events again", count=len(group), needs=", ".join(group[0].needs)):
                    await self._process(group)

        async with asyncio.TaskGroup() as tasks:
            for group in alike.values():
                tasks.create_task(one(group))
        return complete

    async def _claim(self, limit: int) -> Sequence[Event]:
        """Take events that are due, for as long as a lease; other processes pass over them."""
        now = datetime.now(UTC)
        due = (
            sa.select(EVENTS.c.id)
            .where(sa.text(UNFINISHED), EVENTS.c.next_attempt_at <= now)  # a dead one has none
            .order_by(EVENTS.c.next_attempt_at)
            .limit(limit)
        )
        # without the writer's lock: mostly there is nothing to do
        if not await self._database.read(lambda connection: connection.execute(due.limit(1)).all()):
            return []

        def claim(connection: sa.Connection) -> list[str]:
            ids = list(connection.execute(due.with_for_update(skip_locked=True)).scalars())
            connection.execute(sa.update(EVENTS).where(EVENTS.c.id.in_(ids)).values(next_attempt_at=now + LEASE))
            return ids

        return await self.rows(await self._database.transaction(claim))

    async def _release(self, claimed: Sequence[Event]) -> None:
        """Give back what was taken and not finished: it is due at once."""
        unfinished = EVENTS.c.id.in_([row.id for row in claimed]), EVENTS.c.status.in_(("pending", "failed"))
        leased = EVENTS.c.next_attempt_at.in_({row.next_attempt_at for row in claimed})
        update = sa.update(EVENTS).where(*unfinished, leased).values(next_attempt_at=datetime.now(UTC))
        await self._database.transaction(lambda connection: connection.execute(update))

    async def rows(self, event_ids: Sequence[str]) -> Sequence[Event]:
        """Recorded events."""
        chosen = select(Event).where(col(Event.id).in_(event_ids)).order_by(col(Event.created), col(Event.id))
        return await self._database.read(lambda connection: all_rows(connection, chosen))

    async def _process(self, rows: Sequence[Event]) -> None:
        """Process events that need the same; a failure is written down, and tried again later."""
        started = time.monotonic()
        try:
            try:
                async with asyncio.timeout(MOST_SECONDS):
                    if not rows[0].needs:
                        await self._inbox.apply_again(StripeEvent.parse(rows[0].payload), rows[0].attempts)
                    else:
                        await self._inbox.complete(rows, await self._fetch(rows[0]), started)
            except DatabaseUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the events are kept and tried again
                await self._inbox.fail(rows, error, started)
        except DatabaseUnavailable as error:
            log.warning("worker_waits", error=str(error))  # they stay as they are, due again after the lease

    async def _fetch(self, row: Event) -> dict[str, Json]:
        """Fetch what an event could not say itself; the objects by `kind:id`, without those that are gone."""
        if self._stripe is None:
            raise SettingsError("STRIPE_SECRET_KEY is not set, so that nothing can be fetched")
        stripe = self._stripe.on_behalf_of(row.account) if row.account else self._stripe
        found = {}
        for need in row.needs:
            kind, _, object_id = need.partition(":")
            with contextlib.suppress(StripeMissing):  # gone meanwhile, which `refresh` has written down
                if kind in RESOURCES:
                    found[need] = await self._mirror.refresh(stripe, kind, object_id)
                else:  # a refund, which the mirror does not keep
                    found[need] = (await stripe.get(f"/v1/{kind}s/{object_id}")).object
        return found
