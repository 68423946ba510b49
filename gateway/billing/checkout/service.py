"""Checkout: open a session at Stripe, look at it, give it up."""

import re
from dataclasses import dataclass
from typing import Any

from gateway.auth.principal import Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.checkout.cart import Cart, fill
from gateway.billing.checkout.eligibility import already_subscribed, had_trial, read_subscriptions
from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.checkout.sessions import Sessions, offer_of
from gateway.billing.checkout.stripe_params import for_guest, for_user, stripe_parameters, with_trial
from gateway.billing.checkout.validation import check
from gateway.billing.customers.service import Customers
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.db.database import Database
from gateway.db.locks import user_lock
from gateway.errors import Forbidden, NotFound, StripeMissing, StripeRefused, Unauthenticated
from gateway.models.checkout import CheckoutIntent
from gateway.models.mirrored import CheckoutSession, Customer
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe

_ID = re.compile(r"cs_(test|live)_[A-Za-z0-9]{1,200}")


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request: the session, or what must be mended."""

    session: CheckoutSession | None
    problems: list[Problem]


class Checkout:
    """The use cases of a checkout.

    Args:
        settings: the redirect origins, the largest quantity, and the policies.
        database: the mirror.
        stripe: opens the sessions.
        catalog: the only prices that can be bought.
        customers: finds and makes the customers of users.
    """

    def __init__(
        self, settings: Settings, database: Database, stripe: Stripe, catalog: Catalog, customers: Customers
    ) -> None:
        self._settings = settings
        self._database = database
        self._stripe = stripe
        self._catalog = catalog
        self._customers = customers
        self._sessions = Sessions(database, stripe)

    async def create(self, principal: Principal, request: CheckoutRequest) -> Answered:
        """Open a session, or give the one that was opened before: by the same key, or by a user's same request.

        Raises:
            Unauthenticated: a set-up is for somebody.
            Forbidden: it asks for what only the back end may.
            RateLimited: an earlier request of the same user takes too long.
            StripeUnavailable: Stripe cannot be reached; the same may be tried again.
            DatabaseUnavailable: nothing was opened.
        """
        buyer = _buyer(principal, request)
        cart = fill(request, await self._catalog.snapshot(), self._settings.max_quantity)
        problems = check(request, self._settings, guest=buyer.subject is None)
        if isinstance(cart, list) or problems:
            return Answered(None, [*(cart if isinstance(cart, list) else ()), *problems])
        scope = f"user:{buyer.subject}" if buyer.subject else "service" if buyer.is_service else "guest"
        if buyer.subject is None and request.idempotency_key is None:
            return await self._answer(scope, buyer, request, cart)
        # Two tabs, or two machines, must not both find that nothing stands against it.
        name = f"checkout:{scope}" if buyer.subject else f"checkout:{scope}:{request.idempotency_key}"
        async with user_lock(self._database, name):
            return await self._answer(scope, buyer, request, cart)

    async def _answer(self, scope: str, buyer: Principal, request: CheckoutRequest, cart: Cart) -> Answered:
        intent = await self._sessions.create_intent(scope, request)
        if intent.fingerprint != request.fingerprint:
            message = "this key was used for another request; use a new one"
            return Answered(None, [Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey")])
        if intent.session_id is not None:
            return Answered(await self._sessions.get(intent.session_id), [])
        try:
            parameters = stripe_parameters(request, cart, self._settings)
            if request.promotion_code is not None:
                parameters["discounts"] = [{"promotion_code": await self._promotion(request.promotion_code)}]
            if buyer.subject is None:
                email = buyer.email or request.customer_email
                parameters = for_guest(with_trial(parameters, cart.trial_days), email)
                return Answered(await self._sessions.open(intent, parameters, None), [])
            return await self._for_user(buyer, buyer.subject, intent, cart, parameters)
        except (StripeRefused, StripeMissing) as error:
            return Answered(None, [_problem(error)])

    async def _for_user(
        self, buyer: Principal, subject: str, intent: CheckoutIntent, cart: Cart, parameters: dict[str, Any]
    ) -> Answered:
        """Open a user's session with the user's customer; with another one, once, if Stripe no longer knows that."""
        customer = await self._customers.customer_for(buyer)
        try:
            return await self._with_customer(customer, subject, intent, cart, parameters)
        except StripeMissing:
            if not await self._customers.is_deleted_at_stripe(customer.id):
                raise
        customer = await self._customers.customer_for(buyer)
        return await self._with_customer(customer, subject, intent, cart, parameters)

    async def _with_customer(
        self, customer: Customer, subject: str, intent: CheckoutIntent, cart: Cart, parameters: dict[str, Any]
    ) -> Answered:
        if cart.plans:
            await read_subscriptions(self._database, self._stripe, customer.id)
            if not self._settings.several_subscriptions and (
                problems := await already_subscribed(self._database, customer.id, cart)
            ):
                return Answered(None, problems)
            if self._settings.repeated_trials or not await had_trial(self._database, subject):
                parameters = with_trial(parameters, cart.trial_days)
        parameters = for_user(parameters, subject, customer.id)
        offer = offer_of(parameters)
        for opened, known in (await self._sessions.open_of(subject)).items():
            same = known == offer
            earlier = await (self._sessions.read(opened) if same else self._sessions.expire(opened))
            if earlier and earlier.status == "complete":
                return Answered(earlier, [_PAID])
            if same and earlier and earlier.status == "open":
                await self._sessions.reuse(intent, opened, offer)
                return Answered(earlier, [])
        return Answered(await self._sessions.open(intent, parameters, subject), [])

    async def session(self, id: str) -> CheckoutSession | None:
        """A session as it stands; None when there is none.

        One that can still change is read from Stripe, at most about once a second, so that a buyer who comes back sees
        the truth before the webhook arrives. While Stripe does not answer, what is known is told.
        """
        row = await self.known(id)
        if row is None or (_settled(row) and await self._sessions.has_begun(row)):
            return row
        await self._sessions.refresh_throttled(id)
        return await self._sessions.get(id)

    async def known(self, id: str) -> CheckoutSession | None:
        """A session as the mirror has it; None when there is none. Stripe is not asked."""
        return await self._sessions.get(id) if _ID.fullmatch(id) else None

    async def expire(self, id: str) -> Answered:
        """Close an open session, so that nobody can pay it any more.

        Raises:
            NotFound: there is no such session.
            StripeUnavailable: Stripe cannot be reached.
        """
        row = await self.known(id)
        if row is None:
            raise NotFound("there is no such object")
        closed = await self._sessions.expire(id) if row.status == "open" else row
        status = closed.status if closed else "gone"
        if row.status == "open" and status == "expired":
            return Answered(closed, [])
        return Answered(closed, [Problem(ProblemCode.SESSION_NOT_OPEN, f"this checkout is {status} already", "id")])

    async def _promotion(self, code: str) -> str:
        """The id of an active promotion code.

        Raises:
            StripeRefused: when there is none of this name.
        """
        answer = await self._stripe.get("/v1/promotion_codes", code=code, active="true", limit=1)
        for found in answer.object["data"]:
            return str(found["id"])
        raise StripeRefused("there is no such promotion code", param="discounts")


_PAID = Problem(
    ProblemCode.EARLIER_SESSION_PAID,
    "the checkout that was opened before was paid a moment ago, and is answered here; ask again to buy more",
)


def _buyer(principal: Principal, request: CheckoutRequest) -> Principal:
    """For whom it is: the caller, or whom the back end names.

    Raises:
        Unauthenticated: a set-up is for somebody.
        Forbidden: only the back end may name another user, or a coupon.
    """
    if request.coupon is not None and not principal.is_service:
        raise Forbidden("a `coupon` is the back end's to give; buyers have a `promotionCode`")
    buyer = principal.acting_as(request.external_id, request.customer_email)
    if request.setup and buyer.subject is None:
        raise Unauthenticated("sign in first: a way to pay is kept for somebody")
    return buyer


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
        field = "coupon" if "coupon" in names else "promotionCode"
        return Problem(ProblemCode.PROMOTION_CODE_INVALID, str(error), field)
    if isinstance(error, StripeMissing):
        return Problem(ProblemCode.PRICE_NOT_FOUND, "Stripe no longer knows this price", ".".join(names) or None)
    return Problem(ProblemCode.STRIPE_REFUSED, str(error), ".".join(names) or None)
