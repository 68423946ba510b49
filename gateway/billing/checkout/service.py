"""Checkout: open a session at Stripe, look at it, give it up."""

import re
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from gateway.auth.principal import Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.checkout.cart import Cart, fill
from gateway.billing.checkout.eligibility import conflicts
from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.checkout.sessions import GUEST, Sessions
from gateway.billing.checkout.stripe_params import for_guest, for_user, stripe_parameters, with_card, with_trial
from gateway.billing.checkout.trials import days_for
from gateway.billing.checkout.validation import check
from gateway.billing.customers.service import Customers
from gateway.billing.subscriptions.discounts import invalid_code, promotion_code
from gateway.billing.subscriptions.exclusion import held_products, owner_lock, read_subscriptions
from gateway.billing.subscriptions.validation import foreign_default
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.locks import user_lock
from gateway.errors import Forbidden, NotFound, StripeMissing, StripeRefused, Unauthenticated
from gateway.mirror.sync import Mirror
from gateway.models.checkout import CheckoutIntent
from gateway.models.mirrored import CheckoutSession, Customer
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe

_ID = re.compile(r"cs_(test|live)_[A-Za-z0-9]{1,200}")


@dataclass(frozen=True, slots=True)
class _Purchase:
    """What a user wants to buy, as far as it can be checked without Stripe.

    Attributes:
        buyer: for whom it is.
        request: what is asked for.
        cart: its lines.
        snapshot: the catalogue in which they were found.
        parameters: what Stripe is asked for, whoever asks.
    """

    buyer: Principal
    request: CheckoutRequest
    cart: Cart
    snapshot: Snapshot
    parameters: dict[str, Any]


class Checkout:
    """The use cases of a checkout.

    Args:
        settings: the redirect origins, the largest quantity, and the policies.
        mirror: the copy of Stripe.
        stripe: opens the sessions.
        catalog: the only prices that can be bought.
        customers: finds and makes the customers of users.
    """

    def __init__(
        self, settings: Settings, mirror: Mirror, stripe: Stripe, catalog: Catalog, customers: Customers
    ) -> None:
        self._settings = settings
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe
        self._catalog = catalog
        self._customers = customers
        self._sessions = Sessions(mirror, stripe)

    async def create(self, principal: Principal, request: CheckoutRequest) -> CheckoutSession:
        """Open a session, or give the one that was opened before: by the same key, or by a user's same request.

        Args:
            principal: the caller.
            request: what is asked for.

        Raises:
            Rejected: the request must be fixed, or an earlier session was just paid, which is `current` then.
            Unauthenticated: a set-up is for somebody.
            Forbidden: it asks for what only the back end may.
            RateLimited: an earlier request of the same user takes too long.
            StripeUnavailable: Stripe cannot be reached; the same may be tried again.
            DatabaseUnavailable: nothing was opened.
        """
        buyer = _buyer(principal, request)
        snapshot = await self._catalog.snapshot()
        cart = self._checked(request, snapshot, guest=buyer.subject is None)
        async with self._lock(buyer, request):
            intent = await self._sessions.create_intent(_scope(buyer), request)
            if intent.fingerprint != request.fingerprint:
                message = "this key was used for another request; use a new one"
                raise Rejected(Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey"))
            if intent.session_id is not None:
                return await self._sessions.get(intent.session_id)
            try:
                parameters = stripe_parameters(request, cart, self._settings)
                if buyer.subject is None:
                    parameters |= await self._discounts(request.promotion_code, None)
                    email = buyer.email or request.customer_email
                    trial_days = await self._trial_days(cart, None, email)
                    parameters = for_guest(with_trial(parameters, trial_days), email)
                    return await self._sessions.open(intent, parameters, None)
                return await self._open_for_user(_Purchase(buyer, request, cart, snapshot, parameters), intent)
            except (StripeRefused, StripeMissing) as error:
                raise Rejected(_problem(error, request)) from error

    def _checked(self, request: CheckoutRequest, snapshot: Snapshot, *, guest: bool) -> Cart:
        """Return the cart of a request in which nothing must be fixed.

        Raises:
            Rejected: with everything that must be.
        """
        cart = fill(request, snapshot, self._settings.max_quantity)
        problems = [*(cart if isinstance(cart, list) else ()), *check(request, self._settings, guest=guest)]
        if problems or isinstance(cart, list):
            raise Rejected(*problems)
        return cart

    def _lock(self, buyer: Principal, request: CheckoutRequest) -> AbstractAsyncContextManager[None]:
        """Keep two tabs, or two machines, from both finding that nothing stands against a checkout.

        A guest without a key has nothing in common with any other request.
        """
        if buyer.subject is not None:
            return owner_lock(self._database, buyer.subject)
        if request.idempotency_key is not None:
            return user_lock(self._database, f"checkout:{_scope(buyer)}:{request.idempotency_key}")
        return nullcontext()

    async def _open_for_user(self, purchase: _Purchase, intent: CheckoutIntent) -> CheckoutSession:
        """Open a user's session with the user's customer; with another one, once, if Stripe no longer knows that."""
        for last in (False, True):
            customer, is_new = await self._customers.find_or_make(purchase.buyer)
            try:
                return await self._open_with(customer, purchase, intent, is_new=is_new)
            except StripeMissing:
                if last or not await self._customers.is_deleted_at_stripe(customer.id):
                    raise
        raise AssertionError("unreachable")

    async def _open_with(
        self, customer: Customer, purchase: _Purchase, intent: CheckoutIntent, *, is_new: bool
    ) -> CheckoutSession:
        """Open a customer's session, while Stripe is asked what speaks against it.

        The open sessions are listed before the subscriptions are read: what is paid in between is found in either.
        """
        subject, cart = purchase.buyer.subject or "", purchase.cart
        opened = await self._sessions.open_of(subject)
        discounts = await self._discounts(purchase.request.promotion_code, customer.id)

        async def parameters() -> dict[str, Any]:
            days = await self._trial_days(cart, subject, self._customers.verified_email(purchase.buyer))
            asked = with_card(purchase.parameters) if foreign_default(customer) else purchase.parameters
            return for_user(with_trial(asked, days), subject, customer.id) | discounts

        async def confirm() -> dict[str, Any]:
            if cart.plans and not is_new:  # a customer that was made a moment ago has no subscription
                await read_subscriptions(self._mirror, self._stripe, customer.id)
                if problems := await self._conflicts(customer, purchase):
                    raise Rejected(*problems)
            return await parameters()

        if cart.plans and not is_new and await self._conflicts(customer, purchase):
            await confirm()  # most likely it is refused, and nothing need be opened
        return await self._sessions.open_or_reuse(intent, await parameters(), subject, opened, confirm)

    async def _conflicts(self, customer: Customer, purchase: _Purchase) -> list[Problem]:
        """Return what a subscription of the customer's excludes, by what the mirror knows."""
        if self._settings.allow_multiple_subscriptions:
            return []
        return conflicts(purchase.cart, await held_products(self._database, customer.id), purchase.snapshot)

    async def _trial_days(self, cart: Cart, external_id: str | None, email: str | None) -> int | None:
        """Return the days of the cart's trial that a user, or a guest with this address, may have."""
        whose = {"external_id": external_id, "email": email}
        return await days_for(self._database, self._settings, cart.trial_days, **whose)

    async def session(self, id: str) -> CheckoutSession | None:
        """Return a session as it stands; None when there is none.

        One that can still change is read from Stripe, at most about once a second, so that a buyer who comes back sees
        the truth before the webhook arrives. While Stripe does not answer, what is known is told.
        """
        row, status = await self.known(id), None
        while row and row.status != status and not (_settled(row) and await self._sessions.has_begun(row)):
            status = row.status  # one that has changed meanwhile is read once more
            await self._sessions.refresh_throttled(id, status)
            row = await self._sessions.find(id)
        return row

    async def known(self, id: str) -> CheckoutSession | None:
        """Return a session as the mirror has it; None when there is none. Stripe is not asked."""
        return await self._sessions.find(id) if _ID.fullmatch(id) else None

    async def expire(self, id: str) -> CheckoutSession:
        """Close an open session, so that nobody can pay it any more.

        Raises:
            Rejected: it is not open; `current` is the session as it stands.
            NotFound: there is no such session.
            StripeUnavailable: Stripe cannot be reached.
        """
        row = await self.known(id)
        if row is None:
            raise NotFound("there is no such object")
        closed = await self._sessions.expire(id) if row.status == "open" else row
        if row.status == "open" and closed.status == "expired":
            return closed
        message = f"this checkout is {'gone' if closed.deleted else closed.status} already"
        raise Rejected(Problem(ProblemCode.SESSION_NOT_OPEN, message, "id"), current=closed)

    async def _discounts(self, code: str | None, customer_id: str | None) -> dict[str, Any]:
        """Return the parameters of a promotion code.

        Raises:
            Rejected: there is none of this text for this customer.
        """
        if code is None:
            return {}
        found = await promotion_code(self._stripe, code, customer_id)
        if found is None:
            raise invalid_code("there is no such promotion code")
        return {"discounts": [{"promotion_code": found["id"]}]}


def _scope(buyer: Principal) -> str:
    """Return who asks: the same key of somebody else is another."""
    return f"user:{buyer.subject}" if buyer.subject else "service" if buyer.is_service else GUEST


def _buyer(principal: Principal, request: CheckoutRequest) -> Principal:
    """Return for whom it is: the caller, or whom the back end names.

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
    """Return whether the caller may see what is personal in it."""
    return principal.is_service or (session.external_id is not None and session.external_id == principal.subject)


def _settled(session: CheckoutSession) -> bool:
    """Return whether Stripe can say nothing new about it."""
    if session.line_items is None:
        return False  # it came by webhook, which brings none
    return session.status == "expired" or (session.status == "complete" and session.payment_status != "unpaid")


_FIELDS = {"discounts": "promotionCode"}


def _problem(error: StripeRefused | StripeMissing, request: CheckoutRequest) -> Problem:
    """Return what Stripe refused, in the words of the input."""
    parts = re.findall(r"[^\[\]]+", error.param or "")
    names = [_FIELDS.get(part, re.sub(r"_(\w)", lambda match: match[1].upper(), part)) for part in parts]
    if names[:1] == ["lineItems"] and names[2:] == ["price"]:
        names[2] = request.lines[int(names[1])].field
    if names[:1] == ["promotionCode"]:
        field = "coupon" if "coupon" in names else "promotionCode"
        return Problem(ProblemCode.PROMOTION_CODE_INVALID, str(error), field)
    if isinstance(error, StripeMissing):
        return Problem(ProblemCode.PRICE_NOT_FOUND, "Stripe no longer knows this price", ".".join(names) or None)
    return Problem(ProblemCode.STRIPE_REFUSED, str(error), ".".join(names) or None)
