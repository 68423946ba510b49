"""Forward reported usage to Stripe's meters.

The identifier goes to Stripe with every try, and Stripe counts an identifier once (for at least 24 hours): a retry
doubles none.
Source: https://docs.stripe.com/api/billing/meter-event/create
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
import structlog
from sqlmodel import col

from gateway.db.database import Database
from gateway.db.lease_queue import Backoff, Claim, LeaseQueue, Moment, count_by_status
from gateway.db.rows import first_row
from gateway.db.tables import table_for
from gateway.errors import StripeFailure, StripeRefused, StripeUnavailable
from gateway.mirror.accounts import own
from gateway.models.columns import OPEN_PREDICATE, PENDING
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import Meter
from gateway.observability.metrics import USAGE_SENT
from gateway.stripe_api.client import Stripe

log = structlog.get_logger()

USAGE = table_for(UsageRecord)
SLOTS, BATCH, LEASE, IDLE_SECONDS = 5, 50, timedelta(seconds=120), 1.0
WORK_SECONDS = 90.0  # a call to Stripe with its retries
LATER = timedelta(seconds=2)  # until a record is there that another takes back
FLUSH_SECONDS, FLUSH_PAUSE_SECONDS, FLUSH_BATCH = 5.0, 0.1, 500
RETRIES = Backoff(first_seconds=2, longest_seconds=900)
KNOWN_ALREADY = frozenset({"resource_already_exists", "duplicate_meter_event"})
"""Stripe's codes for an identifier that it has counted: an earlier try arrived and its answer was lost."""
OUTCOMES = {"sent": "sent", "pending": "failed", "dead": "refused"}
"""What the metric calls a try that left a record in a status."""
FUTURE_SECONDS = 5 * 60 - 10
"""Stripe takes usage of up to five minutes ahead of its clock."""
UNCOUNTED = "Stripe took it and could not count it"
"""How the error begins of usage that an error report of Stripe names."""


class UsageForwarder:
    """Sends what is in the table to Stripe; several processes share the work.

    Args:
        database: where the usage is.
        stripe: where it goes.
    """

    def __init__(self, database: Database, stripe: Stripe) -> None:
        self._database = database
        self._stripe = stripe
        self.queue = LeaseQueue(
            name="usage",
            database=database,
            key=USAGE.c.id,
            due_at=USAGE.c.next_attempt_at,
            due=_due,
            work=self._forward,
            slots=SLOTS,
            batch=BATCH,
            lease=LEASE,
            work_seconds=WORK_SECONDS,
            idle_seconds=IDLE_SECONDS,
            longest=RETRIES.longest,
        )

    async def run(self) -> None:
        """Forward what is due, until cancelled."""
        await self.queue.run()

    async def flush(self, customer_id: str, seconds: float = FLUSH_SECONDS) -> None:
        """Send now what a customer has used, also what waits after a failure: its last invoice is about to be made.

        Args:
            customer_id: whose.
            seconds: for how long it is tried, and what another process is sending is waited for.

        Raises:
            StripeUnavailable: not all of it has reached Stripe.
        """
        waiting = USAGE.c.customer_id == customer_id, USAGE.c.status == PENDING, sa.text(OPEN_PREDICATE)
        left = sa.select(USAGE.c.id).where(*waiting).limit(FLUSH_BATCH)
        until = time.monotonic() + seconds
        while keys := await self._database.read(lambda connection: connection.execute(left).scalars().all()):
            if (remaining := until - time.monotonic()) <= 0:
                raise StripeUnavailable("what was used has not reached Stripe yet; try again")
            has_failed = USAGE.c.last_error.is_not(None)
            these = has_failed if remaining > seconds / 2 else sa.true()  # whoever was sending the rest may be dead
            await self._database.transaction(partial(_make_due, where=(*waiting, these)))
            if not await self.queue.drain(keys):
                await asyncio.sleep(FLUSH_PAUSE_SECONDS)

    async def _forward(self, claim: Claim) -> None:
        """Send one record, and save what Stripe said."""
        row = UsageRecord(**claim.rows[0])
        if row.adjusts and await self._is_early(row.adjusts):
            await self.queue.write(claim, next_attempt_at=datetime.now(UTC) + LATER)
            return
        sent: dict[str, Any] = {"status": "sent", "next_attempt_at": None, "last_error": None}
        try:
            await (self._cancel(row) if row.adjusts else self._send(row))
        except StripeFailure as error:
            known = isinstance(error, StripeRefused) and error.stripe_code in KNOWN_ALREADY
            if not known or (row.last_error or "").startswith(UNCOUNTED):  # known, and not counted
                early = row.timestamp.timestamp() > self._latest()  # our clock is ahead, as the answer has told
                passing = early or error.replayed  # or was ahead at a try of which we know nothing, as after a crash
                sent = _failure(row, error, refused=isinstance(error, StripeRefused) and not passing)
                if known:
                    sent["last_error"] = row.last_error  # why it was not counted; otherwise one more try says "sent"
                log.warning("usage_not_sent", id=row.id, status=sent["status"], error=type(error).__name__)
        await self.queue.write(claim, attempts=row.attempts + 1, **sent)
        USAGE_SENT.labels(OUTCOMES[sent["status"]]).inc()

    def _latest(self) -> int:
        """Return the latest time that Stripe takes, which our clock may have passed."""
        return int(self._stripe.clock.now()) + FUTURE_SECONDS

    async def _is_early(self, adjusts: str) -> bool:
        """Return whether Stripe does not have yet what is to be taken back."""
        before = sa.select(USAGE.c.status).where(USAGE.c.id == adjusts)
        return await self._database.read(lambda connection: connection.execute(before).scalar()) == "pending"

    async def _cancel(self, row: UsageRecord) -> None:
        """Have Stripe take a record back. Under one key, so that an answer that was lost is given again."""
        await self._stripe.post(
            "/v1/billing/meter_event_adjustments",
            idempotency_key=f"usage-{sha256(row.id.encode()).hexdigest()[:32]}",
            event_name=row.event_name,
            type="cancel",
            cancel={"identifier": row.adjusts},
        )

    async def _send(self, row: UsageRecord) -> None:
        its = col(Meter.event_name) == row.event_name, own(col(Meter.id))
        order = (col(Meter.status).asc(),)
        meter = await self._database.read(lambda connection: first_row(connection, Meter, *its, order_by=order))
        customer_key, value_key = (meter.customer_key, meter.value_key) if meter else ("stripe_customer_id", "value")
        reported = int(row.timestamp.timestamp())
        timestamp = min(reported, self._latest())
        # of one try: what was refused and is reported again must not be answered by the saved refusal; and of one
        # moment, because whoever goes on after a crash may know better how late it is, and one key is for one request
        tried = f"{row.attempts}" if timestamp == reported else f"{row.attempts}-{timestamp}"
        await self._stripe.post(
            "/v1/billing/meter_events",
            idempotency_key=f"usage-{sha256(row.id.encode()).hexdigest()[:32]}-{tried}",
            event_name=row.event_name,
            identifier=row.id,
            timestamp=timestamp,
            payload={**(row.properties or {}), customer_key: row.customer_id, value_key: str(row.value)},
        )


def _due(now: Moment) -> sa.Select[Any]:
    due = sa.select(USAGE).where(sa.text(OPEN_PREDICATE), USAGE.c.status == PENDING, USAGE.c.next_attempt_at <= now)
    return due.order_by(USAGE.c.next_attempt_at)


def _make_due(connection: sa.Connection, where: Sequence[sa.ColumnElement[bool] | sa.TextClause]) -> None:
    connection.execute(sa.update(USAGE).where(*where).values(next_attempt_at=datetime.now(UTC)))


def _failure(row: UsageRecord, error: StripeFailure, *, refused: bool) -> dict[str, Any]:
    """Return the columns of a record that failed: what Stripe refuses waits for an operator, the rest is retried."""
    return {
        "status": "dead" if refused else "pending",
        "next_attempt_at": None if refused else RETRIES.next_attempt(row.attempts),
        "last_error": str(error)[:2000],
    }


def mark_uncounted(connection: sa.Connection, identifiers: Sequence[str], code: str, count: int) -> None:
    """Mark usage that Stripe took and could not count: it waits for an operator, or for the same report again.

    Source: https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api#handle-meter-event-errors.

    Args:
        connection: the transaction that applies the event.
        identifiers: the reports that the event names, which may be samples only.
        code: Stripe's code, such as `meter_event_customer_not_found`.
        count: how many reports had this error.
    """
    log.error("usage_not_counted", code=code, count=count, named=len(identifiers))
    dead = {"status": "dead", "next_attempt_at": None, "last_error": f"{UNCOUNTED}: {code}"}
    ours = USAGE.c.id.in_(identifiers), USAGE.c.status == "sent"
    marked = connection.execute(sa.update(USAGE).where(*ours).values(**dead)).rowcount
    USAGE_SENT.labels("not_counted").inc(marked)


def count_open_usage(connection: sa.Connection) -> dict[str, int]:
    """Count the records that have not reached Stripe, by status."""
    return count_by_status(connection, USAGE.c.status, sa.text(OPEN_PREDICATE), ("pending", "dead"))
