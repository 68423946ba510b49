"""Finish what could not be finished within a delivery: fetch what events need, and retry those that failed.

The inbox table is the queue. Events are processed side by side: a slow or poisoned one delays none of the others.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

import sqlalchemy as sa

from gateway.billing.checkout.trials import end_repeated
from gateway.db.lease_queue import Claim, LeaseQueue, Moment
from gateway.errors import DatabaseUnavailable, SettingsError, StripeMissing
from gateway.mirror.mapping import Json
from gateway.mirror.resources import RESOURCES
from gateway.models.inbox import OPEN_EVENTS_PREDICATE, Event
from gateway.observability import tracing
from gateway.runtime import Runtime
from gateway.stripe_api.client import Stripe
from gateway.webhooks.event import StripeEvent
from gateway.webhooks.handlers import V2_EVENT
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.outcomes import EVENTS, RETRIES

BATCH = 50
SLOTS = 5  # calls to Stripe at a time: well below its limit, which the rest of the gateway needs too
LEASE = timedelta(seconds=20)  # how long an event waits when its process was killed
WORK_SECONDS = 15.0  # for one event: less than the lease, so that nobody else takes it meanwhile
IDLE_SECONDS = 1.0
RETRY_LOOK_SECONDS = 0.1


class Worker:
    """Processes events that are due; several processes share the work.

    Args:
        inbox: where the events are.
        stripe: for what must be fetched; None where no key is configured: fetches then fail and are retried.
        one_trial: whether a guest's trial ends that is not the first with its e-mail address.

    Attributes:
        queue: the events that are due. Those that need the same object are one claim, so that they share its reading.
    """

    def __init__(self, inbox: Inbox, stripe: Stripe | None, *, one_trial: bool = True) -> None:
        self._inbox = inbox
        self._one_trial = one_trial
        self._mirror = inbox.mirror
        self._stripe = stripe
        self.queue = LeaseQueue(
            name="inbox",
            database=inbox.database,
            key=EVENTS.c.id,
            due_at=EVENTS.c.next_attempt_at,
            due=_due,
            work=self._process,
            group=_group,
            slots=SLOTS,
            batch=BATCH,
            lease=LEASE,
            work_seconds=WORK_SECONDS,
            idle_seconds=IDLE_SECONDS,
            longest=RETRIES.longest,
        )

    @classmethod
    def of(cls, inbox: Inbox, runtime: Runtime) -> Self:
        """Return the worker of a runtime, with what its settings say of trials."""
        return cls(inbox, runtime.stripe, one_trial=not runtime.settings.allow_repeat_trials)

    async def run(self) -> None:
        """Process what is due, until cancelled."""
        await self.queue.run(self._inbox.due)

    async def retry(self, event_ids: Sequence[str]) -> None:
        """Process some events that are due now; those that a running gateway claims first are waited for.

        Raises:
            DatabaseUnavailable: nothing can be claimed.
        """
        pending = sa.select(EVENTS.c.id).where(EVENTS.c.id.in_(event_ids), EVENTS.c.status == "pending").limit(1)
        latest = time.monotonic() + LEASE.total_seconds()
        while time.monotonic() < latest:
            await self.queue.drain(event_ids)
            if not await self.queue.database.read(lambda connection: connection.execute(pending).all()):
                return
            await asyncio.sleep(RETRY_LOOK_SECONDS)

    async def _process(self, claim: Claim) -> None:
        """Process events that need the same; a failure is saved, and tried again later."""
        started, held = time.monotonic(), self.queue.holds(claim)
        rows = sorted((Event(**row) for row in claim.rows), key=lambda row: (row.created, row.id))
        with tracing.span("events again", count=len(rows), fetches=", ".join(rows[0].pending_fetches)):
            try:
                async with asyncio.timeout(WORK_SECONDS):
                    if rows[0].pending_fetches:
                        await self._inbox.complete(rows, await self._fetch(rows[0]), started, held)
                    else:
                        await self._inbox.apply_again(StripeEvent.parse(rows[0].payload), rows[0].attempts, held)
            except DatabaseUnavailable:  # they are due again when their lease ends
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the events are kept and tried again
                await self._inbox.fail(rows, error, started, held)

    async def _fetch(self, row: Event) -> dict[str, Json]:
        """Fetch what an event could not say itself; the objects by `kind:id`, without those that are gone."""
        if self._stripe is None:
            raise SettingsError("STRIPE_SECRET_KEY is not set, so that nothing can be fetched")
        stripe = self._stripe.on_behalf_of(row.account) if row.account else self._stripe
        found = {}
        for key in row.pending_fetches:
            kind, _, object_id = key.partition(":")
            with contextlib.suppress(StripeMissing):  # gone meanwhile, which `refresh` has written down
                if kind in RESOURCES:
                    found[key] = await self._mirror.refresh(stripe, kind, object_id)
                    if self._one_trial and kind == "checkout.session" and row.account is None:
                        await end_repeated(self._mirror, stripe, found[key])
                else:  # a refund or an event, which the mirror does not keep
                    path = "/v2/core/events" if kind == V2_EVENT else f"/v1/{kind}s"
                    found[key] = (await stripe.get(f"{path}/{object_id}")).object
        return found


def _due(now: Moment) -> sa.Select[Any]:
    due = sa.select(EVENTS).where(
        sa.text(OPEN_EVENTS_PREDICATE), EVENTS.c.next_attempt_at <= now
    )  # a dead one has none
    return due.order_by(EVENTS.c.next_attempt_at)


def _group(row: sa.RowMapping) -> tuple[str, ...]:
    return (row["account"] or "", *row["pending_fetches"]) if row["pending_fetches"] else (row["id"],)
