"""Checkout sessions, one by one: asked for at Stripe, written down with whose they are, looked at, closed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import sha256
from typing import Any
from uuid import uuid4

import orjson
import sqlalchemy as sa
import structlog

from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.rows import row_by_id
from gateway.db.statements import execute
from gateway.db.tables import insert, table_for
from gateway.errors import NotFound, StripeFailure, StripeMissing, StripeRefused
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CheckoutIntent
from gateway.models.mirrored import CheckoutSession, Subscription
from gateway.stripe_api.client import Stripe, StripeResponse

Confirm = Callable[[], Awaitable[dict[str, Any]]]
"""Returns what Stripe is to be asked for by what it says at the moment, or refuses."""

PATH = "/v1/checkout/sessions"
REFRESH_PAUSE_SECONDS = 1.0
WITHHOLD_SECONDS = 4.0
"""How long an answer that must be withheld is waited for, within the five seconds that a lease outlasts its work."""
INTENTS, SESSIONS = table_for(CheckoutIntent), table_for(CheckoutSession)
GUEST = "guest"
"""The scope of every guest's intents."""

_OWNER, _SESSION = sa.bindparam("owner", type_=sa.String), sa.bindparam("session", type_=sa.String)
_OPEN = (
    sa.select(SESSIONS.c.id, INTENTS.c.parameters_digest)
    .join(INTENTS, INTENTS.c.session_id == SESSIONS.c.id, isouter=True)
    .where(SESSIONS.c.external_id == _OWNER, SESSIONS.c.status == "open", SESSIONS.c.deleted.is_(False))
)
_OF_USER = sa.update(SESSIONS).where(SESSIONS.c.id == _SESSION).values(external_id=_OWNER)
_OF_GUEST = sa.update(SESSIONS).where(SESSIONS.c.id == _SESSION).values(guest=sa.true())
_MET = (
    sa.update(INTENTS)
    .where(INTENTS.c.id == sa.bindparam("intent"))
    .values(session_id=_SESSION, parameters_digest=sa.bindparam("digest", type_=sa.String))
)

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
        refresh_pause_seconds: how long who asks after a session that was read shares that reading.
    """

    def __init__(self, mirror: Mirror, stripe: Stripe, *, refresh_pause_seconds: float = REFRESH_PAUSE_SECONDS) -> None:
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe
        self._refresh_pause_seconds = refresh_pause_seconds
        self._refreshing: dict[tuple[str, str], asyncio.Task[None]] = {}

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
            if execute(connection, _new_intent(connection.dialect.name), intent.model_dump()):
                return intent
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
        return await self._keep(intent, parameters, external_id, await self._ask(intent, parameters))

    async def open_or_reuse(
        self,
        intent: CheckoutIntent,
        parameters: dict[str, Any],
        external_id: str,
        opened: Mapping[str, str | None],
        confirm: Confirm,
    ) -> CheckoutSession:
        """Give a user's open session that offers the same, or open one; any other that is open is closed.

        All that Stripe is asked for goes at once. What it opens is given only when nothing speaks against it by then;
        otherwise it is closed again, and nobody has had its address.

        Args:
            intent: what it is for.
            parameters: what Stripe is asked for.
            external_id: the user.
            opened: the user's open sessions (`open_of`), listed before it is judged what the user may buy.
            confirm: judges it by what Stripe says now, and returns the parameters that are right then.

        Raises:
            Rejected: an open session was just paid; it is `current`. Or `confirm` raised it.
            StripeRefused: Stripe will not open it.
            StripeMissing: something that it names does not exist.
            StripeUnavailable: Stripe cannot be reached; the same intent may be tried again.
        """
        digest = digest_of(parameters)
        earlier: list[CheckoutSession]
        asking = None if digest in opened.values() else asyncio.create_task(self._ask(intent, parameters))
        try:
            confirmed, earlier = await _all_of(confirm(), self._settle(opened, digest))
        except BaseException:
            await self._withhold(asking, intent, external_id)
            raise
        if confirmed != parameters:
            await self._withhold(asking, intent, external_id)
            opened = await self.open_of(external_id)
            return await self.open_or_reuse(intent, confirmed, external_id, opened, confirm)
        if asking:
            return await self._keep(intent, parameters, external_id, await asking)
        if not earlier:  # what was open has expired meanwhile
            return await self.open(intent, parameters, external_id)
        again = earlier[0]
        await self._database.transaction(partial(complete_intent, intent=intent, id=again.id, digest=digest))
        return again

    async def _settle(self, opened: Mapping[str, str | None], digest: str) -> list[CheckoutSession]:
        """Read the open sessions that offer the same, and close the others; return those that may be given again.

        Raises:
            Rejected: one was just paid; it is `current`.
            StripeUnavailable: Stripe cannot be reached.
        """
        same = [session_id for session_id, known in opened.items() if known == digest]
        others = [session_id for session_id in opened if session_id not in same]
        settled = await _all_of(*map(self.read, same), *map(self.expire, others))
        for session in settled:
            if session.status == "complete":
                raise Rejected(_PAID, current=session)
        return [session for session in settled[: len(same)] if session.status == "open" and not session.deleted]

    async def _ask(self, intent: CheckoutIntent, parameters: dict[str, Any]) -> StripeResponse:
        """Have Stripe open a session."""
        key = f"{intent.id}-{digest_of(parameters)[:16]}"
        return await self._stripe.post(PATH, idempotency_key=key, **parameters)

    async def _keep(
        self, intent: CheckoutIntent, parameters: dict[str, Any], external_id: str | None, answer: StripeResponse
    ) -> CheckoutSession:
        """Store a session that Stripe has opened, with its owner, and complete the intent in the same transaction."""
        opened = answer.object["id"]

        def own(connection: sa.Connection) -> None:
            _own(connection, opened, external_id)
            complete_intent(connection, intent=intent, id=opened, digest=digest_of(parameters))

        await self._mirror.store_answer(self._stripe, answer, own)
        return await self.get(opened)

    async def _withhold(
        self, asking: asyncio.Task[StripeResponse] | None, intent: CheckoutIntent, external_id: str
    ) -> None:
        """Close what Stripe was asked to open and must not be given.

        It is first written down as the user's: what cannot be closed now is closed by the user's next checkout or
        change of plan. The intent gets another id, so that its key does not bring this session again.
        """
        if asking is None:
            return
        try:
            async with asyncio.timeout(WITHHOLD_SECONDS):
                answer = await asking
        except (StripeFailure, TimeoutError):
            return  # none was opened, or nobody knows of it: its address was in the answer
        opened, renewed = answer.object["id"], f"intent_{uuid4().hex}"

        def own(connection: sa.Connection) -> None:
            _own(connection, opened, external_id)
            connection.execute(sa.update(INTENTS).where(INTENTS.c.id == intent.id).values(id=renewed))

        try:
            await self._mirror.store_answer(self._stripe, answer, own)
            intent.id = renewed
        finally:
            try:
                await self.expire(opened)
            except StripeFailure as error:
                log.warning("checkout.not_closed", session=opened, error=str(error))

    async def open_of(self, external_id: str) -> dict[str, str | None]:
        """Return a user's sessions that are open as far as the mirror knows, each with what it offers."""
        found = await self._database.read(lambda connection: execute(connection, _OPEN, {"owner": external_id}))
        return dict(found)

    async def close_all(self, external_id: str) -> None:
        """Close a user's open sessions: what is paid next must not be of another customer, or beside another plan.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        for opened in await self.open_of(external_id):
            await self.expire(opened)

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

    async def refresh_throttled(self, id: str, status: str) -> None:
        """Read a session from Stripe, or share the reading of the last second. A failure is logged and borne.

        Args:
            id: of the session.
            status: which it has as far as is known. What was read before it was another says nothing of this one, such
                as what has begun with a session that is complete.
        """
        which = id, status
        task = self._refreshing.get(which)
        if task is None:
            task = self._refreshing[which] = asyncio.create_task(self._try_to_read(id))
            pause = self._refresh_pause_seconds
            task.add_done_callback(lambda _: asyncio.get_running_loop().call_later(pause, self._refreshing.pop, which))
        await asyncio.shield(task)

    async def _try_to_read(self, id: str) -> None:
        try:
            await self.read(id)
        except StripeFailure as error:
            log.warning("checkout.refresh_failed", session=id, error=str(error))


async def _all_of(*calls: Awaitable[Any]) -> list[Any]:
    """Return what calls give that run at once; raise the first failure, in their order, when all have ended."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _own(connection: sa.Connection, session_id: str, external_id: str | None) -> None:
    """Note whose a session is: a user's, or a guest's."""
    if external_id is None:
        execute(connection, _OF_GUEST, {"session": session_id})
    else:
        execute(connection, _OF_USER, {"session": session_id, "owner": external_id})


def digest_of(parameters: dict[str, Any]) -> str:
    """Return a digest of what Stripe is asked for."""
    return sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).hexdigest()


def complete_intent(connection: sa.Connection, *, intent: CheckoutIntent, id: str, digest: str) -> None:
    """Note which session has answered an intent, and what it offers."""
    execute(connection, _MET, {"intent": intent.id, "session": id, "digest": digest})


@cache
def _new_intent(dialect: str) -> Any:
    """INSERT an intent, unless its key was used before."""
    row = {column.name: sa.bindparam(column.name, type_=column.type) for column in INTENTS.c}
    statement = insert(dialect, INTENTS).values(row)
    return statement.on_conflict_do_nothing(index_elements=["scope", "key"]).returning(INTENTS.c.id)
