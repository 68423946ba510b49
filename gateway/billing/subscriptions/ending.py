"""The end of a subscription, its rest, and no end: what a customer does who leaves, pauses, or stays after all."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.auth.principal import Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.subscriptions import timing
from gateway.billing.subscriptions.at_stripe import SubscriptionsAtStripe, owner_of, path_of, stripe_key
from gateway.billing.subscriptions.exclusion import new_products, read_subscriptions, stands_against
from gateway.billing.subscriptions.pausing import (
    bad_until,
    has_stopped,
    is_charged,
    is_so,
    may_credit,
    never_meets,
    pause_parameters,
    renews_otherwise,
    restart,
    resumption,
    unbilled,
    unpaid_restart,
)
from gateway.billing.subscriptions.plan_change import check_paid
from gateway.billing.subscriptions.scheduled import Schedules
from gateway.billing.subscriptions.set_aside import coming_back
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.subscriptions.validation import check, ended, foreign_card, long_comment, planned_by_seller
from gateway.mirror.mapping import id_of
from gateway.mirror.sync import Mirror
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe, StripeResponse


@dataclass(frozen=True, slots=True)
class Cancellation:
    """How a subscription is to end.

    Attributes:
        now: at once, or else with the period that has begun.
        feedback: one of Stripe's reasons, such as `too_expensive`.
        comment: in the customer's own words.
    """

    now: bool = False
    feedback: str | None = None
    comment: str | None = None


class EndingService:
    """The use cases of who leaves, pauses or stays.

    Args:
        settings: what a pause gives, whether an end at once is credited, and whether what the seller plans binds.
        mirror: the copy of Stripe.
        stripe: does it.
        catalog: what is sold, which a customer may keep where an end was planned.
        close_checkouts: closes a user's open checkouts.
        send_usage: sends what a customer has used to Stripe, before the last invoice of it is made.
    """

    def __init__(
        self,
        settings: Settings,
        mirror: Mirror,
        stripe: Stripe,
        catalog: Catalog,
        *,
        close_checkouts: Callable[[str], Awaitable[None]],
        send_usage: Callable[[str], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._mirror = mirror
        self._close_checkouts = close_checkouts
        self._stripe = stripe
        self._catalog = catalog
        self._send_usage = send_usage
        self._at_stripe = SubscriptionsAtStripe(settings, mirror, stripe)
        self._schedules = Schedules(self._at_stripe, mirror, stripe)

    async def cancel(self, principal: Principal, id: str, how: Cancellation, key: str | None) -> SubscriptionState:
        """End a subscription, now or with its period. What has ended already is answered as it is.

        What was planned elsewhere is set aside until the customer resumes: else who cancelled and came back would be
        rid of a rise, or of what was promised.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            how: when, and why.
            key: an idempotency key of the client's.

        Raises:
            Rejected: the request must be fixed.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        too_long = long_comment(how.comment)
        async with self._at_stripe.locked(principal, id, key, too_long, ended_too=True) as held:
            present, answer = held
            if ended(present):
                return present
            now = how.now or has_stopped(answer.object, answer.as_of)  # no period goes on with which it could end
            if now:
                await self._send_usage(present.subscription.customer_id)
            answer = await self._at_stripe.drop_unconfirmed(answer)
            said = {"feedback": how.feedback, "comment": how.comment}
            details = {name: text for name, text in said.items() if text}
            # DELETE discards metered usage unless it is billed (Stripe API, "Cancel a subscription", `invoice_now`)
            kept = may_credit(answer.object, present.unpaid | present.unkept)
            prorate = self._settings.prorate_cancellations and kept and await self._at_stripe.keeps_all(present)
            at_once = {"invoice_now": True, "prorate": prorate}
            call_key, planned = stripe_key("cancel", principal, key), present.planned
            if planned.sellers or planned.left:
                if now:
                    await self._schedules.cancel(answer, details, **at_once)
                else:
                    await self._schedules.end(present, answer, details, call_key)
                return await self._at_stripe.state(id)
            await self._schedules.release(id, answer)
            parameters: dict[str, Any] = {"cancellation_details": details}  # Stripe is sent nothing of an empty one
            if now:
                await self._at_stripe.do(id, self._stripe.delete(path_of(id), **parameters, **at_once))
            else:
                parameters["cancel_at_period_end"] = True
                await self._at_stripe.do(id, self._stripe.post(path_of(id), idempotency_key=call_key, **parameters))
            return await self._at_stripe.state(id)

    async def pause(self, principal: Principal, id: str, until: datetime | None, key: str | None) -> SubscriptionState:
        """Collect nothing for a while. What was paid for is given to its end; the setting says what access says then.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            until: it goes on with the first renewal at or after this moment; None is until it is resumed.
            key: an idempotency key of the client's.

        Raises:
            Rejected: the subscription has ended or is about to, an invoice of it is unpaid, or a change of the interval
                waits for a moment in the pause.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        async with self._at_stripe.locked(principal, id, key) as held:
            present, answer = held
            check(bad_until(until, datetime.fromtimestamp(answer.as_of, UTC)))
            if not answer.object["pause_collection"]:
                check_paid(present.subscription.status, answer.object["latest_invoice"])
            check(timing.cannot_wait(present, "subscriptionId"))
            customer_id = present.subscription.customer_id
            waiting = await self._stripe.get("/v1/invoiceitems", customer=customer_id, pending="true", limit=1)
            check(unbilled(answer.object, waiting.object["data"]), never_meets(answer.object, until))
            parameters = pause_parameters(answer.object, until, self._settings.pause_access)
            check(renews_otherwise(answer.object, parameters, (await self._catalog.snapshot()).prices))
            if is_so(answer.object, parameters):
                return present
            call_key = stripe_key("pause", principal, key)
            await self._at_stripe.do(id, self._stripe.post(path_of(id), idempotency_key=call_key, **parameters))
            return await self._at_stripe.state(id)

    async def resume(self, principal: Principal, id: str, key: str | None) -> SubscriptionState:
        """Undo a planned cancellation, or resume after a pause. What neither ends nor pauses is answered as it is.

        Where the pause has voided the present period's invoice, a new period begins and is charged. Where only some of
        its plans were not billed, the pause ends with their renewal.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            key: an idempotency key of the client's.

        Raises:
            Rejected: the subscription has ended, the seller has planned its end, the invoice with which it is to go on
                is not paid, a card that is not the user's would be charged, or the key cannot be used.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        async with self._at_stripe.locked(principal, id, key) as held:
            present, answer = held
            paid = [item.id for item in present.giving]
            moment, scheduled = datetime.fromtimestamp(answer.as_of, UTC), bool(answer.object["schedule"])
            parameters = resumption(answer.object, paid, moment, ends=scheduled, unpaid=present.unpaid)
            resting = answer.object["status"] == "paused" or bool(parameters)
            check(unpaid_restart(answer.object))
            if is_charged(answer.object, parameters):
                check(foreign_card(await owner_of(self._mirror.database, principal, id)))
            check(renews_otherwise(answer.object, parameters, (await self._catalog.snapshot()).prices))
            if present.planned.end is not None:
                bound = planned_by_seller(present, await self._catalog.snapshot(), self._settings)
                check(None if resting else bound)
                if bound is None:
                    await self._check_comes_back_alone(principal, present, answer)
                    await self._schedules.go_on(present, answer)
                    present, answer = await self._at_stripe.present(id)
            if not resting:
                return present
            if not present.planned.sellers and present.pending is None:  # what waits goes on waiting
                await self._schedules.release(id, answer)
            call_key = stripe_key("resume", principal, key)
            if parameters:
                await self._at_stripe.do(id, self._stripe.post(path_of(id), idempotency_key=call_key, **parameters))
            else:
                await self._restart(answer, call_key)
            return await self._at_stripe.state(id)

    async def _check_comes_back_alone(
        self, principal: Principal, present: SubscriptionState, answer: StripeResponse
    ) -> None:
        """Refuse to bring back a plan that another one excludes, which was bought while it was set aside.

        Raises:
            Rejected: another live subscription excludes it.
            StripeUnavailable: Stripe cannot be reached.
        """
        snapshot = await self._catalog.snapshot()
        products = new_products(coming_back(answer.object), present, snapshot) if present.planned.left else []
        if products and not self._settings.allow_multiple_subscriptions:
            owner = await owner_of(self._mirror.database, principal, present.subscription.id)
            if owner.external_id is not None:  # an operator may act for who is no user
                await self._close_checkouts(owner.external_id)
            await read_subscriptions(self._mirror, self._stripe, present.subscription.customer_id)
            check(await stands_against(self._mirror.database, products, present, snapshot))

    async def _restart(self, answer: StripeResponse, key: str) -> None:
        """Have Stripe take up again what it has paused.

        Raises:
            Rejected: it is paused still, until what is billed for it is paid.
        """
        its, last = answer.object["id"], answer.object["latest_invoice"]
        parameters = restart(answer.object)
        # with the same key Stripe would answer of an invoice that is void by now
        call = self._stripe.post(f"{path_of(its)}/resume", idempotency_key=f"{key}-{id_of(last)}", **parameters)
        done = await self._at_stripe.do(its, call)
        check(unpaid_restart(done.object) if "payment_behavior" in parameters else None)
