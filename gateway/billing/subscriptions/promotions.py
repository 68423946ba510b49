"""Promotion codes on a running subscription, and coupons that are offered to who is about to cancel."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gateway.auth.principal import Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.subscriptions.at_stripe import DISCOUNTS, SubscriptionsAtStripe, owner_of, path_of, stripe_key
from gateway.billing.subscriptions.discounts import (
    code_stands_against,
    invalid_code,
    promotion_code,
    used_before,
)
from gateway.billing.subscriptions.pausing import paused, taken_back
from gateway.billing.subscriptions.plan_change import check_paid
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.subscriptions.validation import change_pending, check, ended, planned_by_seller
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.clock import now
from gateway.db.tables import insert, table_for
from gateway.errors import StripeMissing
from gateway.mirror.mapping import id_of
from gateway.mirror.sync import Mirror
from gateway.models.subscriptions import RetentionOffer
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe, StripeResponse

OFFERS = table_for(RetentionOffer)


class PromotionService:
    """The use cases of discounts on a subscription.

    Args:
        settings: the grace period, and whether what the seller plans binds.
        mirror: the copy of Stripe.
        stripe: does it.
        catalog: what is sold.
    """

    def __init__(self, settings: Settings, mirror: Mirror, stripe: Stripe, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe
        self._at_stripe = SubscriptionsAtStripe(settings, mirror, stripe)

    async def redeem(self, principal: Principal, id: str, code: str, key: str | None) -> SubscriptionState:
        """Put a promotion code on a running subscription; its next invoices are reduced.

        A coupon is given to a customer once: else one for a single invoice would be had each month anew. What is on the
        subscription already by this code is answered as it is.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            code: as the buyer types it.
            key: an idempotency key of the client's.

        Raises:
            Rejected: there is no such code for this customer, or it was used, or a change waits or a payment is due.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        async with self._at_stripe.locked(principal, id, key) as held:
            present, answer = held
            customer_id = present.subscription.customer_id
            found = await promotion_code(self._stripe, code, customer_id)
            given = answer.object["discounts"]
            if found and any(id_of(each["promotion_code"]) == found["id"] for each in given):
                return present
            check(planned_by_seller(present, await self._catalog.snapshot(), self._settings))
            check(paused(answer.object), change_pending(answer.object), code_stands_against(given))
            check_paid(present.subscription.status, answer.object["latest_invoice"])
            if found is None:
                raise invalid_code("there is no such promotion code")
            if await used_before(self._database, customer_id, str(id_of(found["promotion"]["coupon"]))):
                raise invalid_code("this offer was used already")
            await self._check_minimum(present, found["restrictions"])
            wanted = {"promotion_code": found["id"]}
            return await self._give(answer, wanted, stripe_key("redeem", principal, key), {})

    async def _check_minimum(self, present: SubscriptionState, restrictions: Mapping[str, Any]) -> None:
        """Refuse a code for bigger orders: a renewal's subtotal counts (Stripe API, promotion code, `restrictions`)."""
        currency = present.subscription.currency
        option = (restrictions.get("currency_options") or {}).get(currency) or {}
        least = restrictions["minimum_amount"] if restrictions["minimum_amount_currency"] == currency else None
        least = option.get("minimum_amount", least)
        if least is None and restrictions["minimum_amount"] is None:
            return
        renewal = await self._at_stripe.invoice_preview(present.subscription.id, [], mode="recurring")
        if least is None or renewal is None or renewal.object["subtotal"] < least:
            raise invalid_code("this code is for bigger orders")

    async def offer(
        self, principal: Principal, id: str, coupon_id: str, expires_at: datetime | None
    ) -> SubscriptionState:
        """Offer a coupon to who is about to cancel a subscription; another offer of it is replaced.

        A coupon is given to a customer once, as by a code: a back end that offers it to whoever cancels would give it
        to who cancels again and again, each time beside the last one.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            coupon_id: Stripe's id of the coupon.
            expires_at: until when it may be accepted; None is no end.

        Raises:
            Rejected: Stripe has no such coupon, it can no longer be given or was given before, or the moment is past.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached.
        """
        await owner_of(self._database, principal, id)
        state = await self._at_stripe.state(id)
        check(ended(state))
        try:
            answer = await self._stripe.get(f"/v1/coupons/{coupon_id}")
        except StripeMissing:
            raise _no_offer("there is no such coupon", "couponId") from None
        await self._mirror.store_answer(self._stripe, answer)
        if not answer.object["valid"]:
            raise _no_offer("this coupon can no longer be given", "couponId")
        if await used_before(self._database, state.subscription.customer_id, coupon_id):
            raise _no_offer("this customer has had this coupon already", "couponId")
        moment = datetime.fromtimestamp(answer.as_of, UTC)
        if expires_at is not None and expires_at <= moment:
            raise Rejected(Problem(ProblemCode.TIMESTAMP_INVALID, "the offer would have expired", "expiresAt"))
        row = {"coupon_id": coupon_id, "created": moment, "expires_at": expires_at, "accepted_at": None}

        def write(connection: sa.Connection) -> None:
            made = insert(connection, OFFERS).values(subscription_id=id, **row)
            connection.execute(made.on_conflict_do_update(index_elements=["subscription_id"], set_=row))

        await self._database.transaction(write)
        return state

    async def accept(self, principal: Principal, id: str, key: str | None) -> SubscriptionState:
        """Accept what is offered: the subscription has the discount, and goes on if its end was planned.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            key: an idempotency key of the client's.

        Raises:
            Rejected: nothing is offered (any more), or the subscription has ended, or a change waits.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        async with self._at_stripe.locked(principal, id, key) as held:
            present, answer = held
            offer = (await self._database.read(lambda connection: offers(connection, [id], accepted=True))).get(id)
            if offer is None:
                raise _no_offer("nothing is offered (any more)", "subscriptionId")
            if offer.accepted_at is not None:
                return present
            if _has_given(answer.object["discounts"], offer):  # by a request whose answer was lost
                state = present
            else:
                check(planned_by_seller(present, await self._catalog.snapshot(), self._settings))
                check(change_pending(answer.object))
                check_paid(present.subscription.status, answer.object["latest_invoice"])
                if await used_before(self._database, present.subscription.customer_id, offer.coupon_id):
                    raise _no_offer("this offer was used already", "subscriptionId")
                call_key, wanted = stripe_key("retain", principal, key), {"coupon": offer.coupon_id}
                state = await self._give(answer, wanted, call_key, taken_back(answer.object))
            accepted = sa.update(OFFERS).where(OFFERS.c.subscription_id == id)
            moment = datetime.fromtimestamp(answer.as_of, UTC)
            await self._database.transaction(lambda connection: connection.execute(accepted.values(accepted_at=moment)))
            return state

    async def _give(
        self, answer: StripeResponse, wanted: dict[str, str], key: str, more: dict[str, Any]
    ) -> SubscriptionState:
        """Put a discount beside those that are on a subscription."""
        subscription_id = answer.object["id"]
        discounts = [*({"discount": id_of(each)} for each in answer.object["discounts"]), wanted]
        call = self._stripe.post(
            path_of(subscription_id), idempotency_key=key, discounts=discounts, expand=list(DISCOUNTS), **more
        )
        await self._at_stripe.do(subscription_id, call)
        return await self._at_stripe.state(subscription_id)


def offers(connection: sa.Connection, ids: Collection[str], *, accepted: bool = False) -> dict[str, RetentionOffer]:
    """Return what is offered for subscriptions and may be accepted still.

    Args:
        connection: what is read with.
        ids: the subscriptions.
        accepted: whether what was accepted, too.
    """
    alive = sa.or_(OFFERS.c.expires_at.is_(None), OFFERS.c.expires_at > now(connection))
    was = OFFERS.c.accepted_at.is_not(None)
    query = sa.select(OFFERS).where(OFFERS.c.subscription_id.in_(ids), sa.or_(was, alive) if accepted else alive & ~was)
    return {row["subscription_id"]: RetentionOffer(**row) for row in connection.execute(query).mappings()}


def _has_given(discounts: list[dict[str, Any]], offer: RetentionOffer) -> bool:
    """Return whether a subscription has the discount of an offer."""
    since = int(offer.created.timestamp())
    return any(id_of(each["source"]["coupon"]) == offer.coupon_id and each["start"] >= since for each in discounts)


def _no_offer(message: str, field: str) -> Rejected:
    return Rejected(Problem(ProblemCode.OFFER_UNAVAILABLE, message, field))
