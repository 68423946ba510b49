"""Checkout: open a session at Stripe, look at it, give it up."""

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import sqlalchemy as sa
import structlog

from gateway.auth import Principal
from gateway.billing.cart import CheckoutRequest, check, fill, stripe_parameters
from gateway.billing.catalog import Catalog
from gateway.billing.problems import Problem, ProblemCode
from gateway.database import Database, insert, table_of
from gateway.errors import NotFound, StripeFailure, StripeMissing, StripeRefused
from gateway.mirror.sync import refresh, settle, store_answer, store_page
from gateway.models import CheckoutIntent, CheckoutSession, Subscription
from gateway.settings import Settings
from gateway.stripe_client import Stripe

SESSIONS = "/v1/checkout/sessions"
REFRESH_PAUSE_SECONDS = 1.0
_ID = re.compile(r"cs_(test|live)_[A-Za-z0-9]{1,200}")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request: the session, or what must be mended."""

    session: CheckoutSession | None
    problems: list[Problem]


class Checkout:
    """The use cases of a checkout.

    Args:
        settings: the redirect origins and the largest quantity.
        database: the mirror and the intents.
        stripe: opens the sessions.
        catalog: the only prices that can be bought.
    """

    def __init__(self, settings: Settings, database: Database, stripe: Stripe, catalog: Catalog) -> None:
        self._settings = settings
        self._database = database
        self._stripe = stripe
        self._catalog = catalog
        self._refreshing: dict[str, asyncio.Task[None]] = {}

    async def create(self, principal: Principal, request: CheckoutRequest) -> Answered:
        """Open a session, or give the one that the same idempotency key opened before.

        Raises:
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
            DatabaseUnavailable: nothing was opened.
        """
        cart = fill(request, await self._catalog.snapshot(), self._settings.max_quantity)
        problems = check(request, self._settings, guest=principal.subject is None)
        if isinstance(cart, list) or problems:
            return Answered(None, [*(cart if isinstance(cart, list) else ()), *problems])
        intent = await self._intend(principal, request)
        if intent.fingerprint != request.fingerprint:
            message = "this key was used for another request; use a new one"
            return Answered(None, [Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey")])
        if intent.session_id is not None:
            return Answered(await self._row(intent.session_id), [])
        parameters = stripe_parameters(
            request, cart, subject=principal.subject, email=principal.email or request.customer_email
        )
        # Issue 4 puts the user's own customer here, and asks whether this user has had a trial.
        try:
            if request.promotion_code is not None:
                parameters["discounts"] = [{"promotion_code": await self._promotion(request.promotion_code)}]
            answer = await self._stripe.post(SESSIONS, idempotency_key=intent.id, **parameters)
        except (StripeRefused, StripeMissing) as error:
            return Answered(None, [_problem(error)])
        unclear = await store_page(self._database, answer, [answer.object])
        if not answer.replayed:  # a replay only fills a gap: who got the first answer reads again what is unclear
            await settle(self._database, self._stripe, unclear)
        await self._own(intent, answer.object["id"], principal.subject)
        return Answered(await self._row(answer.object["id"]), [])

    async def session(self, principal: Principal, id: str) -> CheckoutSession | None:
        """A session as it stands; None when there is none, or it is another's.

        One that can still change is read from Stripe, at most about once a second, so that a buyer who comes back sees
        the truth before the webhook arrives. While Stripe does not answer, what is known is told.
        """
        row = await self._row(id) if _ID.fullmatch(id) else None
        if row is None or not may_see(principal, row):
            return None
        if _settled(row) and await self._has_begun(row.subscription_id):
            return row
        await self._refresh(id)
        return await self._row(id)

    async def expire(self, principal: Principal, id: str) -> Answered:
        """Close an open session, so that nobody can pay it any more.

        Raises:
            NotFound: there is no such session, or it is another's.
            StripeUnavailable: Stripe cannot be reached.
        """
        row = await self._row(id) if _ID.fullmatch(id) else None
        if row is None or not may_see(principal, row):
            raise NotFound("there is no such checkout session")
        if row.status == "open":
            try:
                answer = await self._stripe.post(f"{SESSIONS}/{id}/expire", idempotency_key=f"expire-{id}")
                await store_answer(self._database, self._stripe, answer)
                return Answered(await self._row(id), [])
            except (StripeRefused, StripeMissing):
                await self._refresh(id)  # it was paid or expired a moment ago
                row = await self._row(id)
        status = row.status if row else "gone"
        return Answered(row, [Problem(ProblemCode.SESSION_NOT_OPEN, f"this checkout is {status} already", "id")])

    async def _intend(self, principal: Principal, request: CheckoutRequest) -> CheckoutIntent:
        """The intent of this key, written down before Stripe is called. Without a key every request is a new one."""
        scope = f"user:{principal.subject}" if principal.subject else "service" if principal.is_service else "guest"
        intent = CheckoutIntent(
            id=f"intent_{uuid4().hex}",
            scope=scope,
            key=request.idempotency_key or uuid4().hex,
            fingerprint=request.fingerprint,
            created=datetime.now(UTC),
        )
        table = table_of(CheckoutIntent)
        async with self._database.write() as connection:
            statement = insert(connection, table).values(intent.model_dump())
            await connection.execute(statement.on_conflict_do_nothing(index_elements=["scope", "key"]))
            found = sa.select(table).where(table.c.scope == scope, table.c.key == intent.key)
            return CheckoutIntent(**(await connection.execute(found)).mappings().one())

    async def _own(self, intent: CheckoutIntent, session_id: str, subject: str | None) -> None:
        """Write down whose session it is, and that the intent has been met."""
        intents, sessions = table_of(CheckoutIntent), table_of(CheckoutSession)
        async with self._database.write() as connection:
            await connection.execute(sa.update(intents).where(intents.c.id == intent.id).values(session_id=session_id))
            whose = {"guest": True} if subject is None else {"external_id": subject}
            await connection.execute(sa.update(sessions).where(sessions.c.id == session_id).values(**whose))

    async def _promotion(self, code: str) -> str:
        """The id of an active promotion code.

        Raises:
            StripeRefused: when there is none of this name.
        """
        answer = await self._stripe.get("/v1/promotion_codes", code=code, active="true", limit=1)
        for found in answer.object["data"]:
            return str(found["id"])
        raise StripeRefused("there is no such promotion code", param="discounts")

    async def _row(self, id: str) -> CheckoutSession | None:
        async with self._database.read() as session:
            return await session.get(CheckoutSession, id)

    async def _has_begun(self, subscription_id: str | None) -> bool:
        """Whether the mirror has the subscription as a paid checkout leaves it: its events may be on their way."""
        if subscription_id is None:
            return True
        async with self._database.read() as session:
            subscription = await session.get(Subscription, subscription_id)
        return subscription is not None and subscription.status != "incomplete"

    async def _refresh(self, id: str) -> None:
        """Read a session from Stripe, or share the reading of the last second. A failure is logged and borne."""
        task = self._refreshing.get(id)
        if task is None:
            task = self._refreshing[id] = asyncio.create_task(self._read(id))
            task.add_done_callback(
                lambda _: asyncio.get_running_loop().call_later(REFRESH_PAUSE_SECONDS, self._refreshing.pop, id)
            )
        await asyncio.shield(task)

    async def _read(self, id: str) -> None:
        try:
            await refresh(self._database, self._stripe, "checkout.session", id)
        except StripeFailure as error:
            log.warning("checkout.refresh_failed", session=id, error=str(error))


def may_see(principal: Principal, session: CheckoutSession) -> bool:
    """A guest's session is seen by whoever knows its id, a user's by that user alone, and any by the back end."""
    return principal.is_service or session.external_id in {None, principal.subject}


def owns(principal: Principal, session: CheckoutSession) -> bool:
    """Whether the caller may see what is personal in it."""
    return principal.is_service or (session.external_id is not None and session.external_id == principal.subject)


def _settled(session: CheckoutSession) -> bool:
    """Whether Stripe can say nothing new about it."""
    if session.line_items is None:
        return False  # it came by webhook, which brings none
    return session.status == "expired" or (session.status == "complete" and session.payment_status != "unpaid")


_FIELDS = {"discounts": "promotionCode", "price": "priceId", "metadata": "metadata"}


def _problem(error: StripeRefused | StripeMissing) -> Problem:
    """What Stripe refused, in the words of the input."""
    parts = re.findall(r"[^\[\]]+", error.param or "")
    names = [_FIELDS.get(part, re.sub(r"_(\w)", lambda match: match[1].upper(), part)) for part in parts]
    if names[:1] == ["promotionCode"]:
        return Problem(ProblemCode.PROMOTION_CODE_INVALID, str(error), "promotionCode")
    if isinstance(error, StripeMissing):
        return Problem(ProblemCode.PRICE_NOT_FOUND, "Stripe no longer knows this price", ".".join(names) or None)
    return Problem(ProblemCode.STRIPE_REFUSED, str(error), ".".join(names) or None)
