"""Checkout sessions, one by one: asked for at Stripe, written down with whose they are, looked at, closed."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import uuid4

import orjson
import sqlalchemy as sa
import structlog
from sqlmodel import col, select

from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.rows import row_by_id
from gateway.db.tables import insert, table_for
from gateway.errors import NotFound, StripeFailure, StripeMissing, StripeRefused
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CheckoutIntent
from gateway.models.mirrored import CheckoutSession, Subscription
from gateway.stripe_api.client import Stripe

PATH = "/v1/checkout/sessions"
REFRESH_PAUSE_SECONDS = 1.0
INTENTS, SESSIONS = table_for(CheckoutIntent), table_for(CheckoutSession)
GUEST = "guest"
"""The scope of every guest's intents."""

_PAID = Problem(
    ProblemCode.EARLIER_SESSION_PAID,
    "the checkout that was opened before was paid a moment ago, and is answered here; ask again to buy more",
)

log = structlog.get_logger()


class Sessions:
    """What is done with one session.

    Args:
        mirror: the copy of Stripe; the intents are in the same database.
        stripe: where the sessions are.
    """

    def __init__(self, mirror: Mirror, stripe: Stripe) -> None:
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def find(self, id: str) -> CheckoutSession | None:
        """Return a session as the mirror has it; None when it has none."""
        return await self._database.read(lambda connection: row_by_id(connection, CheckoutSession, id))

    async def get(self, id: str) -> CheckoutSession:
        """Return a session that is in the mirror.

        Raises:
            NotFound: it is not.
        """
        found = await self.find(id)
        if found is None:
            raise NotFound("there is no such object")
        return found

    async def has_begun(self, paid: CheckoutSession) -> bool:
        """Return whether the mirror has the subscription that a session started: its own events may still be coming."""
        if paid.status != "complete" or paid.subscription_id is None:
            return True
        subscription_id = paid.subscription_id
        found = await self._database.read(lambda connection: row_by_id(connection, Subscription, subscription_id))
        return found is not None and found.status != "incomplete"

    async def create_intent(self, scope: str, request: CheckoutRequest) -> CheckoutIntent:
        """Write the intent of this key down before Stripe is called, and return it. Without a key every request is new.

        Args:
            scope: who asks; the same key of somebody else is another.
            request: what is asked.
        """
        intent = CheckoutIntent(
            id=f"intent_{uuid4().hex}",
            scope=scope,
            key=request.idempotency_key or uuid4().hex,
            fingerprint=request.fingerprint,
            created=datetime.now(UTC),
        )

        def write(connection: sa.Connection) -> CheckoutIntent:
            statement = insert(connection, INTENTS).values(intent.model_dump())
            connection.execute(statement.on_conflict_do_nothing(index_elements=["scope", "key"]))
            found = sa.select(INTENTS).where(INTENTS.c.scope == scope, INTENTS.c.key == intent.key)
            return CheckoutIntent(**connection.execute(found).mappings().one())

        return await self._database.transaction(write)

    async def open(
        self, intent: CheckoutIntent, parameters: dict[str, Any], external_id: str | None
    ) -> CheckoutSession:
        """Open a session at Stripe, and write it down together with whose it is.

        Args:
            intent: what it is for. Repeated with the same parameters, Stripe gives the same session.
            parameters: what Stripe is asked for.
            external_id: the user; None for a guest.

        Raises:
            StripeRefused: Stripe will not open it.
            StripeMissing: something that it names does not exist.
            StripeUnavailable: Stripe cannot be reached; the same intent may be tried again.
        """
        digest = digest_of(parameters)
        answer = await self._stripe.post(PATH, idempotency_key=f"{intent.id}-{digest[:16]}", **parameters)
        opened = answer.object["id"]

        def own(connection: sa.Connection) -> None:
            whose = {"guest": True} if external_id is None else {"external_id": external_id}
            connection.execute(sa.update(SESSIONS).where(SESSIONS.c.id == opened).values(**whose))
            complete_intent(connection, intent=intent, id=opened, digest=digest)

        await self._mirror.store_answer(self._stripe, answer, own)
        return await self.get(opened)

    async def open_or_reuse(
        self, intent: CheckoutIntent, parameters: dict[str, Any], external_id: str, opened: Mapping[str, str | None]
    ) -> CheckoutSession:
        """Give a user's open session that offers the same, or open one; any other that is open is closed first.

        Args:
            intent: what it is for.
            parameters: what Stripe is asked for.
            external_id: the user.
            opened: the user's open sessions (`open_of`), listed before it was judged what the user may buy.

        Raises:
            Rejected: an open session was just paid; it is `current`.
            StripeRefused: Stripe will not open it.
            StripeMissing: something that it names does not exist.
            StripeUnavailable: Stripe cannot be reached; the same intent may be tried again.
        """
        digest = digest_of(parameters)
        for open_id, known in opened.items():
            earlier = await (self.read(open_id) if known == digest else self.expire(open_id))
            if earlier.status == "complete":
                raise Rejected(_PAID, current=earlier)
            if earlier.status == "open" and not earlier.deleted and known == digest:
                await self._database.transaction(partial(complete_intent, intent=intent, id=open_id, digest=digest))
                return earlier
        return await self.open(intent, parameters, external_id)

    async def open_of(self, external_id: str) -> dict[str, str | None]:
        """Return a user's sessions that are open as far as the mirror knows, each with what it offers."""
        query = (
            select(CheckoutSession.id, CheckoutIntent.parameters_digest)
            .join(CheckoutIntent, col(CheckoutIntent.session_id) == CheckoutSession.id, isouter=True)
            .where(CheckoutSession.external_id == external_id, CheckoutSession.status == "open")
            .where(col(CheckoutSession.deleted).is_(False))
        )
        return dict(await self._database.read(lambda connection: connection.execute(query).all()))

    async def expire(self, id: str) -> CheckoutSession:
        """Close a session at Stripe; return it as it stands then, which may be paid.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        try:
            answer = await self._stripe.post(f"{PATH}/{id}/expire", idempotency_key=f"expire-{id}")
        except (StripeRefused, StripeMissing):  # it was paid or expired a moment ago
            return await self.read(id)
        await self._mirror.store_answer(self._stripe, answer)
        return await self.get(id)

    async def read(self, id: str) -> CheckoutSession:
        """Return a session as it stands at Stripe; `deleted` when it is not there.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        with suppress(StripeMissing):  # which `refresh` has written down
            await self._mirror.refresh(self._stripe, "checkout.session", id)
        return await self.get(id)

    async def refresh_throttled(self, id: str) -> None:
        """Read a session from Stripe, or share the reading of the last second. A failure is logged and borne."""
        task = self._refreshing.get(id)
        if task is None:
            task = self._refreshing[id] = asyncio.create_task(self._try_to_read(id))
            task.add_done_callback(
                lambda _: asyncio.get_running_loop().call_later(REFRESH_PAUSE_SECONDS, self._refreshing.pop, id)
            )
        await asyncio.shield(task)

    async def _try_to_read(self, id: str) -> None:
        try:
            await self.read(id)
        except StripeFailure as error:
            log.warning("checkout.refresh_failed", session=id, error=str(error))


def digest_of(parameters: dict[str, Any]) -> str:
    """Return a digest of what Stripe is asked for."""
    return sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).hexdigest()


def complete_intent(connection: sa.Connection, *, intent: CheckoutIntent, id: str, digest: str) -> None:
    """Note which session has answered an intent, and what it offers."""
    met = sa.update(INTENTS).where(INTENTS.c.id == intent.id).values(session_id=id, parameters_digest=digest)
    connection.execute(met)
