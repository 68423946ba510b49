"""Subscriptions that cost nothing at first, started without the hosted page and without a card.

These are free plans, trials, and what a code makes free. Stripe decides what is free: it previews the first invoice,
and starts nothing that would have to be paid (`error_if_incomplete`).
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from gateway.auth.principal import Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.checkout.cart import Cart, fill
from gateway.billing.checkout.eligibility import conflicts
from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.checkout.stripe_params import item_of, without_card
from gateway.billing.checkout.trials import days_for
from gateway.billing.checkout.validation import RESERVED
from gateway.billing.customers.service import Customers
from gateway.billing.subscriptions.at_stripe import DISCOUNTS, PATH, PREVIEW, SubscriptionsAtStripe, stripe_key
from gateway.billing.subscriptions.discounts import invalid_code, promotion_code, used_before
from gateway.billing.subscriptions.exclusion import held_products, owner_lock, read_subscriptions
from gateway.billing.subscriptions.state import SUBSCRIPTIONS, SubscriptionState
from gateway.billing.subscriptions.validation import bad_key, check, foreign_default, refused
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.errors import StripeRefused, Unauthenticated
from gateway.mirror.mapping import id_of
from gateway.mirror.sync import Mirror
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe

KEY = f"{RESERVED}start"
"""The key of a request, in the metadata of the subscription that it has started."""


class FreeStart:
    """The use case of what costs nothing at first.

    Args:
        settings: whether it is sold so, and the policies of a checkout.
        mirror: the copy of Stripe.
        stripe: does it.
        catalog: the only prices that can be had.
        customers: finds and makes the customers of users.
        close_checkouts: closes a user's open checkouts.
    """

    def __init__(
        self,
        settings: Settings,
        mirror: Mirror,
        stripe: Stripe,
        catalog: Catalog,
        customers: Customers,
        *,
        close_checkouts: Callable[[str], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._mirror = mirror
        self._stripe = stripe
        self._catalog = catalog
        self._customers = customers
        self._close_checkouts = close_checkouts
        self._at_stripe = SubscriptionsAtStripe(settings, mirror, stripe)

    async def start(self, principal: Principal, request: CheckoutRequest) -> SubscriptionState:
        """Start a subscription of a user's that costs nothing at first. A trial ends in a pause without a card.

        Args:
            principal: the caller: a user, or the back end for one.
            request: the lines, a code, a currency, for whom, and an idempotency key.

        Raises:
            Rejected: it costs something, or is excluded by what the user has, or the request must be fixed.
            Unauthenticated: it is for nobody.
            Forbidden: a user names another.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        buyer = principal.acting_as(request.external_id)
        if buyer.subject is None:
            raise Unauthenticated("sign in first: a subscription is for somebody")
        check(bad_key(request.idempotency_key))
        snapshot = await self._catalog.snapshot()
        cart = fill(request, snapshot, self._settings.max_quantity)
        if isinstance(cart, list):
            raise Rejected(*cart)
        by_use = any(price.usage_type == "metered" for price in cart.plans)
        if not self._settings.free_without_card or len(cart.plans) < len(cart.lines) or by_use:
            raise _not_free()
        async with owner_lock(self._mirror.database, buyer.subject):
            customer, _ = await self._customers.find_or_make(buyer)
            await self._close_checkouts(buyer.subject)
            await read_subscriptions(self._mirror, self._stripe, customer.id)
            key = stripe_key("start", buyer, request.idempotency_key or uuid4().hex)
            if begun := await self._begun(customer.id, key):
                return await self._at_stripe.state(begun)
            check(foreign_default(customer))
            held = await held_products(self._mirror.database, customer.id)
            if not self._settings.allow_multiple_subscriptions and (found := conflicts(cart, held, snapshot)):
                raise Rejected(*found)
            discounts = await self._discounts(request.promotion_code, customer.id)
            email = self._customers.verified_email(buyer)
            whose = {"external_id": buyer.subject, "email": email}
            days = await days_for(self._mirror.database, self._settings, cart.trial_days, **whose)
            shared: dict[str, Any] = {"customer": customer.id, **discounts}
            if cart.currency:
                shared["currency"] = cart.currency
            try:
                if not days:
                    await self._check_free(cart, shared)
                more = without_card(days)
                items = [item_of(price, line) for price, line in cart.lines]
                expand = ["latest_invoice", *DISCOUNTS]
                how = {"payment_behavior": "error_if_incomplete", "expand": expand, "metadata": {KEY: key}}
                answer = await self._stripe.post(PATH, idempotency_key=key, items=items, **shared, **more, **how)
            except StripeRefused as error:
                raise Rejected(refused(error)) from error
            await self._mirror.store_answer(self._stripe, answer)
            return await self._at_stripe.state(answer.object["id"])

    async def _begun(self, customer_id: str, key: str) -> str | None:
        """Return the subscription that a request with this key has started."""
        query = sa.select(SUBSCRIPTIONS.c.id, SUBSCRIPTIONS.c.meta).where(SUBSCRIPTIONS.c.customer_id == customer_id)
        rows = await self._mirror.database.read(lambda connection: connection.execute(query).all())
        return next((row.id for row in rows if row.meta.get(KEY) == key), None)

    async def _check_free(self, cart: Cart, shared: dict[str, Any]) -> None:
        """Refuse what is not free now, as Stripe previews it."""
        items = [item_of(price, line) for price, line in cart.lines]
        answer = await self._stripe.post(
            PREVIEW, idempotency_key=uuid4().hex, subscription_details={"items": items}, **shared
        )
        if answer.object["amount_due"] > 0:
            raise _not_free()

    async def _discounts(self, code: str | None, customer_id: str) -> dict[str, Any]:
        """Return the parameters of a promotion code.

        A coupon is given to a customer once, as on a running subscription: else a code for one free month would be had
        each month anew, by who leaves at once and comes back.

        Raises:
            Rejected: there is no such code for this customer, or it was used.
        """
        if code is None:
            return {}
        found = await promotion_code(self._stripe, code, customer_id)
        if found is None:
            raise invalid_code("there is no such promotion code")
        if await used_before(self._mirror.database, customer_id, str(id_of(found["promotion"]["coupon"]))):
            raise invalid_code("this offer was used already")
        return {"discounts": [{"promotion_code": found["id"]}]}


def _not_free() -> Rejected:
    message = "this costs something, or is not sold without a card: open a checkout (`createCheckoutSession`)"
    return Rejected(Problem(ProblemCode.CHECKOUT_NEEDED, message, "lineItems"))
