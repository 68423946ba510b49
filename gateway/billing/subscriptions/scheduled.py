"""What is done with the schedule that manages a subscription: it is made, changed, or lets the subscription go.

Source: docs.stripe.com/billing/subscriptions/subscription-schedules.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gateway.billing.subscriptions.at_stripe import SubscriptionsAtStripe, path_of
from gateway.billing.subscriptions.set_aside import brought_back, set_aside
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.subscriptions.timing import present_phase
from gateway.billing.subscriptions.validation import BOUND
from gateway.billing.user_errors import Rejected
from gateway.mirror.schedules import CUSTOMER_MAY_CHANGE, PLANNED_HERE, digest_of
from gateway.mirror.sync import Mirror
from gateway.stripe_api.client import Stripe, StripeResponse

SCHEDULES = "/v1/subscription_schedules"


class Schedules:
    """Calls about the schedule of one subscription.

    Args:
        at_stripe: asks, and stores what is answered.
        mirror: where the answers go.
        stripe: is asked.
    """

    def __init__(self, at_stripe: SubscriptionsAtStripe, mirror: Mirror, stripe: Stripe) -> None:
        self._at_stripe = at_stripe
        self._mirror = mirror
        self._stripe = stripe

    async def release(self, id: str, answer: StripeResponse) -> None:
        """Take a subscription from its schedule, which refuses that anybody else decides when it ends.

        Source: Stripe, "Subscription schedules", releasing; the refusal is known from public error reports.
        """
        if schedule := answer.object["schedule"]:
            call = self._stripe.post(_of(answer, "release"), idempotency_key=f"release-{id}-{schedule['id']}")
            await self._at_stripe.do(id, call)

    async def plan(
        self,
        answer: StripeResponse,
        phases: Callable[[dict[str, Any]], list[dict[str, Any]]],
        at: datetime,
        key: str,
        *,
        ends: bool,
    ) -> None:
        """Have a schedule make a change; where one manages the subscription already, what it planned is replaced.

        Args:
            answer: the subscription, with its schedule.
            phases: makes the phases of a subscription with its schedule.
            at: when it happens: what is planned until then is the customer's to undo.
            key: an idempotency key.
            ends: whether the subscription ends with the phases.

        Raises:
            Rejected: Stripe refuses the change; what was planned before is planned still.
        """
        subscription = answer.object
        subscription_id, schedule = subscription["id"], subscription["schedule"]
        if schedule is None:
            call = self._stripe.post(SCHEDULES, idempotency_key=uuid4().hex, from_subscription=subscription_id)
            schedule = (await self._at_stripe.do(subscription_id, call)).object
        managed = replace(answer, object={**subscription, "schedule": schedule})
        handed_over = (subscription["schedule"] or {}).get("metadata", {}).get(CUSTOMER_MAY_CHANGE) == "true"
        moment = int(at.timestamp())
        mark = {} if handed_over else {"metadata": {CUSTOMER_MAY_CHANGE: moment, PLANNED_HERE: ""}}
        try:
            made = await self._plan(managed, key, phases=phases(managed.object), ends=ends, **mark)
            if mark:  # only Stripe's answer says how it words the phase
                await self._mark(managed, [each for each in made["phases"] if each["start_date"] == moment])
        except Rejected:
            if subscription["schedule"] is None:
                await self.release(subscription_id, managed)
            raise

    async def _plan(
        self, answer: StripeResponse, key: str, *, phases: list[dict[str, Any]], ends: bool, **more: Any
    ) -> dict[str, Any]:
        """Give a schedule its phases anew, and return it; nothing is billed for that."""
        said = {"phases": phases, "end_behavior": "cancel" if ends else "release", "proration_behavior": "none"}
        call = self._stripe.post(_of(answer), idempotency_key=key, **said, **more)
        return (await self._at_stripe.do(answer.object["id"], call)).object

    async def _mark(self, answer: StripeResponse, planned: list[dict[str, Any]]) -> None:
        """Write the digest of what is planned into the schedule: a phase that is changed at Stripe has another."""
        for phase in planned:
            call = self._stripe.post(
                _of(answer), idempotency_key=uuid4().hex, metadata={PLANNED_HERE: digest_of(phase)}
            )
            await self._at_stripe.do(answer.object["id"], call)

    async def end(self, present: SubscriptionState, answer: StripeResponse, said: dict[str, str], key: str) -> None:
        """Have the schedule that manages a subscription end it with its period, if it does not end so soon already.

        Source: Stripe's answer to a direct cancellation, "Please update the schedule instead". What was planned is set
        aside, until the customer resumes.

        Args:
            present: the subscription, as the mirror has it.
            answer: the same, with its schedule.
            said: by the customer about it, for the schedule's metadata.
            key: an idempotency key.

        Raises:
            Rejected: Stripe refuses it.
        """
        period_end = min(item.current_period_end for item in present.items)
        if present.planned.end is None or present.planned.end > period_end:
            phases, saved = [present_phase(answer.object, period_end)], set_aside(answer.object["schedule"], period_end)
            await self._plan(answer, key, phases=phases, ends=True, metadata={**said, **saved})

    async def go_on(self, present: SubscriptionState, answer: StripeResponse) -> None:
        """Take a planned end back, and nothing else that is planned; what the customer has set aside is planned again.

        Args:
            present: the subscription, as the mirror has it.
            answer: the same, with its schedule.

        Raises:
            Rejected: Stripe refuses it, or somebody has spoilt what was set aside.
        """
        its, key = present.subscription.id, uuid4().hex
        if present.planned.left:
            try:
                again = brought_back(answer.object, datetime.fromtimestamp(answer.as_of, UTC))
            except (KeyError, ValueError):
                raise Rejected(BOUND) from None
            await self._at_stripe.do(its, self._stripe.post(_of(answer), idempotency_key=key, **again))
        elif present.pending is None:
            await self.release(its, answer)
        else:
            call = self._stripe.post(_of(answer), idempotency_key=key, end_behavior="release")
            await self._at_stripe.do(its, call)

    async def drop_change(self, present: SubscriptionState, answer: StripeResponse) -> None:
        """Take a planned change back, and not an end that is planned as well.

        Args:
            present: the subscription, as the mirror had it while the change was planned.
            answer: the subscription as it is now, with its schedule.

        Raises:
            Rejected: Stripe refuses it.
        """
        if present.planned.end is None:
            await self.release(present.subscription.id, answer)
        elif answer.object["schedule"]:
            phases = [present_phase(answer.object, present.planned.end)]
            await self._plan(answer, uuid4().hex, phases=phases, ends=True)

    async def cancel(self, answer: StripeResponse, details: dict[str, Any], **how: Any) -> None:
        """End a subscription at once together with the schedule that manages it, or neither.

        Released first, the subscription would go on without what was planned where its end fails, such as by an address
        for which no tax can be computed.

        Args:
            answer: the subscription, with its schedule.
            details: said by the customer about it.
            how: whether usage is billed, and unused time credited.

        Raises:
            Rejected: Stripe refuses it.
        """
        its, schedule = answer.object["id"], answer.object["schedule"]["id"]
        await self._at_stripe.do(its, self._stripe.post(_of(answer, "cancel"), idempotency_key=uuid4().hex, **how))
        await self._mirror.refresh(self._stripe, "subscription", its)
        if details:  # which Stripe takes of what has ended, too; if not, it has ended all the same
            path, key = path_of(its), f"details-{its}-{schedule}"
            call = self._stripe.post(path, idempotency_key=key, cancellation_details=details)
            with suppress(Rejected):
                await self._at_stripe.do(its, call)


def _of(answer: StripeResponse, *verb: str) -> str:
    """Return the path of a subscription's schedule, or of what is done with it."""
    return "/".join([SCHEDULES, answer.object["schedule"]["id"], *verb])
