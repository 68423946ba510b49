"""Posts what the outbox holds, signed by the Standard Webhooks specification (https://www.standardwebhooks.com).

At least once: a message is delivered when its receiver has answered 2xx, and is sent again until then, under the same
`webhook-id`. In order for each customer: the next message waits for the one before. The pauses grow; after about a day
a message is a dead letter, which an operator sees (`gateway outbox list --dead`) and can send again.

The endpoints are the operator's own settings, never input of a client: requests to addresses within one's own network
are therefore allowed. Redirects are not followed, so that a receiver cannot send the message on to somewhere else.
"""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sa
import structlog
from standardwebhooks.webhooks import Webhook

from gateway.db.database import Database
from gateway.errors import GatewayError
from gateway.models.columns import PENDING
from gateway.outbound.outbox import DELIVERIES, MESSAGES
from gateway.settings import OutboundEndpoint

log = structlog.get_logger()

CLAIM = 50
TIMEOUT_SECONDS = 15.0
LEASE = timedelta(seconds=60)
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, MOST_ATTEMPTS = 2, 4 * 3600, 18
IDLE_SECONDS = 0.5


class WebhookDispatcher:
    """Delivers messages; several processes share the work.

    Args:
        database: where the outbox is.
        endpoints: to whom.
    """

    def __init__(self, database: Database, endpoints: Sequence[OutboundEndpoint]) -> None:
        self._database = database
        self._endpoints = {endpoint.url: endpoint for endpoint in endpoints}

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client:
            while True:
                if not await self.work(client):
                    await asyncio.sleep(IDLE_SECONDS)

    async def work(self, client: httpx.AsyncClient) -> int:
        """Deliver the next message of some customers; how many there were."""
        rows = await self._claim()
        async with asyncio.TaskGroup() as tasks:
            for row in rows:
                tasks.create_task(self._deliver(client, row))
        return len(rows)

    async def _claim(self) -> Sequence[Any]:
        """Take, for as long as a lease, the first open message of each customer where it is due."""
        now, earlier = datetime.now(UTC), DELIVERIES.alias()
        before = sa.exists().where(
            earlier.c.endpoint == DELIVERIES.c.endpoint,
            earlier.c.customer_id == DELIVERIES.c.customer_id,
            earlier.c.status == PENDING,
            earlier.c.id < DELIVERIES.c.id,
        )
        due = (
            sa.select(DELIVERIES, MESSAGES.c.message_id, MESSAGES.c.type, MESSAGES.c.payload)
            .join(MESSAGES, MESSAGES.c.id == DELIVERIES.c.id)
            .where(DELIVERIES.c.status == PENDING, DELIVERIES.c.next_attempt_at <= now, ~before)
            .where(DELIVERIES.c.endpoint.in_(self._endpoints))
            .order_by(DELIVERIES.c.id)
            .limit(CLAIM)
        )
        # without the writer's lock: mostly there is nothing to do
        if not await self._database.read(lambda connection: connection.execute(due.limit(1)).all()):
            return []

        def claim(connection: sa.Connection) -> Sequence[Any]:
            locked = due.with_for_update(skip_locked=True, of=DELIVERIES)
            rows = connection.execute(locked).mappings().all()
            for row in rows:
                connection.execute(_update(row, next_attempt_at=now + LEASE))
            return rows

        return await self._database.transaction(claim)

    async def _deliver(self, client: httpx.AsyncClient, row: Any) -> None:
        """Post one message, and write down what the receiver said."""
        try:
            answer = await client.post(row["endpoint"], content=row["payload"], headers=self._headers(row))
            problem = None if answer.is_success else f"answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = type(error).__name__
        change: dict[str, Any] = {"status": "delivered", "next_attempt_at": None, "last_error": None}
        if problem:
            dead = row["attempts"] + 1 >= MOST_ATTEMPTS
            pause = min(FIRST_PAUSE_SECONDS * 2 ** row["attempts"], LONGEST_PAUSE_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311
            later = None if dead else datetime.now(UTC) + timedelta(seconds=pause)
            change = {"status": "dead" if dead else "pending", "next_attempt_at": later, "last_error": problem}
            log.warning("outbox_not_delivered", id=row["message_id"], type=row["type"], status=change["status"])
        with contextlib.suppress(GatewayError):  # it stays leased, and is sent again after that
            update = _update(row, attempts=row["attempts"] + 1, **change)
            await self._database.transaction(lambda connection: connection.execute(update))

    def _headers(self, row: Any) -> dict[str, str]:
        """The signature headers; one signature for each secret, so that a secret can be rotated."""
        now = datetime.now(UTC)
        secrets = self._endpoints[row["endpoint"]].secrets
        signatures = [Webhook(each.get_secret_value()).sign(row["message_id"], now, row["payload"]) for each in secrets]
        return {
            "content-type": "application/json",
            "webhook-id": row["message_id"],
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


def _update(row: Any, **change: Any) -> Any:
    mine = DELIVERIES.c.id == row["id"], DELIVERIES.c.endpoint == row["endpoint"]
    return sa.update(DELIVERIES).where(*mine).values(**change)
