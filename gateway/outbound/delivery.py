"""Posts what the outbox holds, signed by the Standard Webhooks specification (https://www.standardwebhooks.com).

At least once: a message is delivered when its receiver has answered 2xx, and is sent again until then, under the same
`webhook-id`. In order for each customer: the next message waits for the one before. The pauses grow; after about a day
a message is a dead letter, which an operator sees (`gateway outbox list --dead`) and can send again.

The endpoints are the operator's own settings, never input of a client: requests to addresses within one's own network
are therefore allowed. Redirects are not followed, so that a receiver cannot send the message on to somewhere else. Of
an answer the status counts: its body is not kept, and no cookie is sent along with the next message.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import sqlalchemy as sa
import structlog
from standardwebhooks.webhooks import Webhook

from gateway.db.database import Database
from gateway.db.lease_queue import Backoff, Claim, LeaseQueue, Moment
from gateway.models.columns import OPEN_PREDICATE, PENDING
from gateway.observability.metrics import OUTBOX_SENT
from gateway.outbound.outbox import DELIVERIES, MESSAGES
from gateway.settings.values import OutboundEndpoint

log = structlog.get_logger()

TIMEOUT_SECONDS = 15.0
ANSWER_BYTES = 64 * 1024  # of a body so much is read, so that the connection serves the next message; then it is closed
SLOTS, BATCH, LEASE, IDLE_SECONDS = 20, 50, timedelta(seconds=60), 0.5
WAITING = datetime(9999, 1, 1, tzinfo=UTC)
"""When a message is due that waits for an earlier one of its customer: when that has ended, not before."""
RETRIES = Backoff(first_seconds=2, longest_seconds=4 * 3600, attempts=18)


_ITS = DELIVERIES.c.endpoint == sa.bindparam("its")
_FOLLOWING = (
    sa.select(DELIVERIES.c.id)
    .where(_ITS, DELIVERIES.c.customer_id == sa.bindparam("whose"))
    .where(DELIVERIES.c.status == PENDING, DELIVERIES.c.id > sa.bindparam("before"))
    .order_by(DELIVERIES.c.id)
    .limit(1)
)
_NOW = sa.bindparam("now", type_=DELIVERIES.c.next_attempt_at.type)
_DUE = sa.update(DELIVERIES).where(_ITS, DELIVERIES.c.id == sa.bindparam("place"), DELIVERIES.c.next_attempt_at > _NOW)
_DUE = _DUE.values(next_attempt_at=_NOW)


class WebhookDispatcher:
    """Delivers messages to every endpoint, each at its own pace; several processes share the work.

    Args:
        database: where the outbox is.
        endpoints: to whom.
        timeout_seconds: how long a receiver may take to answer.
        transport: how requests are sent; by default over the network.
    """

    def __init__(
        self,
        database: Database,
        endpoints: Sequence[OutboundEndpoint],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._database = database
        self._endpoints = endpoints
        self._timeout_seconds = timeout_seconds
        self._transport = transport

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        client = httpx.AsyncClient(
            timeout=self._timeout_seconds, follow_redirects=False, transport=self._transport, cookies=no_cookies
        )
        async with client, asyncio.TaskGroup() as queues:
            for endpoint in self._endpoints:
                queues.create_task(self.queue(endpoint, client).run())

    def queue(self, endpoint: OutboundEndpoint, client: httpx.AsyncClient) -> LeaseQueue:
        """Return the queue of one endpoint: the first open message of each customer, where it is due.

        A later one is looked at once: it is then made to wait until the one before has ended.
        """

        async def deliver(claim: Claim) -> None:
            (row,) = claim.rows
            result = {"attempts": row["attempts"] + 1, **await self._deliver(client, endpoint, row)}
            await self._database.transaction(partial(_save, queue.holds(claim), row, result))
            OUTBOX_SENT.labels("failed" if result["status"] == "pending" else result["status"]).inc()

        queue = LeaseQueue(
            name="outbox",
            database=self._database,
            key=DELIVERIES.c.id,
            due_at=DELIVERIES.c.next_attempt_at,
            due=_due,
            candidates=_candidates,
            pass_over=lambda connection, ids: _pass_over(connection, endpoint.url, ids),
            work=deliver,
            scope=_of(endpoint.url),
            slots=SLOTS,
            batch=BATCH,
            lease=LEASE,
            work_seconds=2 * self._timeout_seconds,
            idle_seconds=IDLE_SECONDS,
            longest=RETRIES.longest,
        )
        return queue

    async def _deliver(
        self, client: httpx.AsyncClient, endpoint: OutboundEndpoint, row: sa.RowMapping
    ) -> dict[str, Any]:
        """Post one message, and return the columns that record what its receiver answered."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                headers = _headers(endpoint, row)
                async with client.stream("POST", endpoint.url, content=row["payload"], headers=headers) as answer:
                    await _read(answer)
            problem = None if answer.is_success else f"answered {answer.status_code}"
        except Exception as error:  # noqa: BLE001 - whatever a receiver does counts as a try: IDNA has errors of its own
            problem = type(error).__name__
        if problem is None:
            return {"status": "delivered", "next_attempt_at": None, "last_error": None}
        status = "dead" if RETRIES.is_last(row["attempts"]) else "pending"
        log.warning("outbox_not_delivered", id=row["message_id"], type=row["type"], status=status)
        return {"status": status, "next_attempt_at": RETRIES.next_attempt(row["attempts"]), "last_error": problem}


_IN_ORDER = DELIVERIES.c.next_attempt_at, DELIVERIES.c.id
_IS_PENDING = sa.text(OPEN_PREDICATE), DELIVERIES.c.status == PENDING


@cache
def _of(endpoint: str) -> sa.ColumnElement[bool]:
    return DELIVERIES.c.endpoint == endpoint


def _candidates(now: Moment) -> sa.Select[Any]:
    pending = sa.select(DELIVERIES).where(*_IS_PENDING, DELIVERIES.c.next_attempt_at <= now)
    return pending.order_by(*_IN_ORDER)


def _due(now: Moment) -> sa.Select[Any]:
    messages = sa.select(DELIVERIES, MESSAGES.c.message_id, MESSAGES.c.type, MESSAGES.c.payload)
    return (
        messages.join(MESSAGES, MESSAGES.c.id == DELIVERIES.c.id)
        .where(*_IS_PENDING, _first_before().is_(None), DELIVERIES.c.next_attempt_at <= now)
        .order_by(*_IN_ORDER)
    )


def _first_before() -> sa.ScalarSelect[int]:
    """Return the first open message of the same customer that comes before a delivery; null where there is none.

    As a subquery with a limit, which an index answers: of NOT EXISTS, PostgreSQL makes a table of all that is open.
    """
    earlier = DELIVERIES.alias()
    mine = earlier.c.endpoint == DELIVERIES.c.endpoint, earlier.c.customer_id == DELIVERIES.c.customer_id
    before = sa.select(earlier.c.id).where(*mine, earlier.c.status == PENDING, earlier.c.id < DELIVERIES.c.id)
    return before.order_by(earlier.c.id).limit(1).scalar_subquery()


def _pass_over(connection: sa.Connection, endpoint: str, ids: Sequence[int]) -> int:
    """Have those of some messages wait that come after an open one of their customer; of how many.

    The open one is locked, so that it cannot end without waking them.
    """
    mine, first = DELIVERIES.c.endpoint == endpoint, _first_before()
    found = connection.execute(sa.select(DELIVERIES.c.id, first.label("first")).where(mine, DELIVERIES.c.id.in_(ids)))
    behind = {row.id: row.first for row in found if row.first is not None}
    still_open = sa.select(DELIVERIES.c.id).where(
        mine, DELIVERIES.c.id.in_(set(behind.values())), DELIVERIES.c.status == PENDING
    )
    held = set(connection.execute(still_open.with_for_update(skip_locked=True)).scalars()) if behind else set()
    waiting = [place for place, first_place in behind.items() if first_place in held]
    due = sa.update(DELIVERIES).where(mine, DELIVERIES.c.id.in_(waiting), DELIVERIES.c.status == PENDING)
    due = due.where(DELIVERIES.c.next_attempt_at <= datetime.now(UTC))
    return connection.execute(due.values(next_attempt_at=WAITING)).rowcount if waiting else 0


def _save(held: sa.ColumnElement[bool], row: sa.RowMapping, result: dict[str, Any], connection: sa.Connection) -> None:
    """Save the result of an attempt; where it was the last one, the customer's next message is due."""
    saved = connection.execute(sa.update(DELIVERIES).where(held).values(**result)).rowcount
    if not saved or result["next_attempt_at"] is not None:
        return
    mine = {"its": row["endpoint"], "whose": row["customer_id"], "before": row["id"]}
    following = connection.execute(_FOLLOWING, mine).scalar()
    if following is not None:
        connection.execute(_DUE, {"its": row["endpoint"], "place": following, "now": datetime.now(UTC)})


async def _read(answer: httpx.Response) -> None:
    """Read a body and keep nothing of it, as it came over the wire: a small one can unpack to gigabytes."""
    size = 0
    async for part in answer.aiter_raw():
        size += len(part)
        if size > ANSWER_BYTES:
            return


def _headers(endpoint: OutboundEndpoint, row: sa.RowMapping) -> dict[str, str]:
    """Return the signature headers; one signature for each secret, so that a secret can be rotated."""
    now = datetime.now(UTC)
    signatures = [
        Webhook(secret.get_secret_value()).sign(row["message_id"], now, row["payload"]) for secret in endpoint.secrets
    ]
    return {
        "content-type": "application/json",
        "webhook-id": row["message_id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
