"""Forward reported usage to Stripe's meters.

The identifier goes to Stripe with every try, and Stripe counts an identifier once (for at least 24 hours): a retry
doubles none.
Source: https://docs.stripe.com/api/billing/meter-event/create
"""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
import structlog
from sqlmodel import col, select

from gateway.db.database import Database
from gateway.db.rows import first_row
from gateway.db.tables import table_for
from gateway.errors import GatewayError, StripeFailure, StripeRefused
from gateway.mirror.accounts import own
from gateway.models.columns import PENDING
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import Meter
from gateway.stripe_api.client import Stripe

log = structlog.get_logger()

USAGE = table_for(UsageRecord)
CLAIM, LEASE, SIDE_BY_SIDE = 50, timedelta(seconds=120), 5
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, IDLE_SECONDS = 2, 900, 1.0
KNOWN_ALREADY = frozenset({"resource_already_exists", "duplicate_meter_event"})
"""Stripe's codes for an identifier that it has counted: an earlier try arrived and its answer was lost."""


class UsageForwarder:
    """Sends what is in the table to Stripe; several processes share the work.

    Args:
        database: where the usage is.
        stripe: where it goes.
    """

    def __init__(self, database: Database, stripe: Stripe) -> None:
        self._database = database
        self._stripe = stripe

    async def run(self) -> None:
        """Forward what is due, until cancelled."""
        while True:
            if not await self.work():
                await asyncio.sleep(IDLE_SECONDS)

    async def work(self) -> int:
        """Forward what is due, some at a time; how many there were."""
        rows = await self._claim()
        slots = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(row: UsageRecord) -> None:
            async with slots:
                await self._forward(row)

        async with asyncio.TaskGroup() as tasks:
            for row in rows:
                tasks.create_task(one(row))
        return len(rows)

    async def _claim(self) -> list[UsageRecord]:
        """Take what is due for as long as a lease; other processes pass over it."""
        now = datetime.now(UTC)
        due = sa.select(USAGE).where(USAGE.c.status == PENDING, USAGE.c.next_attempt_at <= now)
        due = due.order_by(USAGE.c.next_attempt_at).limit(CLAIM)
        # without the writer's lock: mostly there is nothing to do
        if not await self._database.read(lambda connection: connection.execute(due.limit(1)).all()):
            return []

        def claim(connection: sa.Connection) -> list[UsageRecord]:
            found = connection.execute(due.with_for_update(skip_locked=True)).mappings().all()
            rows = [UsageRecord(**row) for row in found]
            self._mark(connection, rows, next_attempt_at=now + LEASE)
            return rows

        return await self._database.transaction(claim)

    async def _forward(self, row: UsageRecord) -> None:
        """Send one, and write down what Stripe said."""
        try:
            await self._send(row)
            change: dict[str, Any] = {"status": "sent", "next_attempt_at": None, "last_error": None}
        except StripeFailure as error:
            if isinstance(error, StripeRefused) and error.stripe_code in KNOWN_ALREADY:
                change = {"status": "sent", "next_attempt_at": None, "last_error": None}
            else:
                change = self._failure(row, error)
                log.warning(
                    "usage_not_sent", id=row.id, status=change.get("status", row.status), error=type(error).__name__
                )
        with contextlib.suppress(GatewayError):  # it stays leased, and is sent again after that
            await self._database.transaction(
                lambda connection: self._mark(connection, [row], attempts=row.attempts + 1, **change)
            )

    async def _send(self, row: UsageRecord) -> None:
        meters = select(Meter).where(Meter.event_name == row.event_name, own(col(Meter.id))).order_by(col(Meter.status))
        meter = await self._database.read(lambda connection: first_row(connection, meters))
        customer_key, value_key = (meter.customer_key, meter.value_key) if meter else ("stripe_customer_id", "value")
        await self._stripe.post(
            "/v1/billing/meter_events",
            idempotency_key=f"usage-{sha256(row.id.encode()).hexdigest()[:32]}",
            event_name=row.event_name,
            identifier=row.id,
            timestamp=int(row.timestamp.timestamp()),
            payload={customer_key: row.customer_id, value_key: str(row.value)},
        )

    @staticmethod
    def _failure(row: UsageRecord, error: StripeFailure) -> dict[str, Any]:
        """Return what Stripe refuses for what it says waits for an operator; everything else is tried again."""
        if isinstance(error, StripeRefused):
            return {"status": "dead", "next_attempt_at": None, "last_error": str(error)[:2000]}
        pause = min(FIRST_PAUSE_SECONDS * 2**row.attempts, LONGEST_PAUSE_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311
        return {"next_attempt_at": datetime.now(UTC) + timedelta(seconds=pause), "last_error": str(error)[:2000]}

    @staticmethod
    def _mark(connection: sa.Connection, rows: list[UsageRecord], **change: Any) -> None:
        ids = [row.id for row in rows]
        connection.execute(sa.update(USAGE).where(USAGE.c.id.in_(ids)).values(**change))
