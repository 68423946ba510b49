"""Changes of a subscription without the portal: what a change would cost, and the change itself.

Stripe does it, and what it answers is stored and told: nothing is guessed ahead of it. A change is billed at once
(`always_invoice`), so that a quote and its charge are the same invoice, and is refused as a whole when the payment does
not go through (`error_if_incomplete`), or it is made by a schedule as the period ends (`timing.py`). Source: Stripe,
"Prorations", "Preview an invoice" and "Subscription schedules".
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from gateway.auth.principal import Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions import quotes, renewals, timing
from gateway.billing.subscriptions.at_stripe import SubscriptionsAtStripe, owner_of, path_of, stripe_key
from gateway.billing.subscriptions.change_request import ChangeTime, PlanChange
from gateway.billing.subscriptions.changed_items import (
    Target,
    already_applied,
    arriving,
    ends_metered,
    mixed_intervals,
    plan_items,
    resulting,
    touched_prices,
)
from gateway.billing.subscriptions.exclusion import excluded_by, held_products, read_subscriptions
from gateway.billing.subscriptions.pausing import paused
from gateway.billing.subscriptions.pending import renews_with
from gateway.billing.subscriptions.plan_change import (
    Preview,
    billed_before,
    billed_prices,
    check_paid,
    is_unconfirmed,
    preview_of,
)
from gateway.billing.subscriptions.scheduled import Schedules
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.subscriptions.trial_end import trial_marks, trial_of, trial_parameters
from gateway.billing.subscriptions.validation import (
    ConfirmationNeeded,
    change_pending,
    check,
    ended,
    leaving,
    planned_by_seller,
)
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.errors import StripeMissing
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Invoice
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe, StripeResponse

_ID = re.compile(r"sub_[A-Za-z0-9_]{1,250}")


class SubscriptionService:
    """The use cases on a subscription of the caller's own.

    Args:
        settings: the grace period, the largest quantity, and whether what the seller plans binds.
        mirror: the copy of Stripe.
        stripe: does it.
        catalog: the only prices that one can change to.
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
        self._database = mirror.database
        self._stripe = stripe
        self._catalog = catalog
        self._close_checkouts = close_checkouts
        self._at_stripe = SubscriptionsAtStripe(settings, mirror, stripe)
        self._schedules = Schedules(self._at_stripe, mirror, stripe)
        self._send_usage = send_usage

    async def preview(self, principal: Principal, id: str, change: PlanChange) -> Preview:
        """Return what a change would cost: now, and with each renewal.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            change: what to.

        Raises:
            NotFound: there is no such subscription, or it is another's.
            BadInput: the plan cannot be changed so; the message says why.
            StripeUnavailable: Stripe cannot be reached.
        """
        await self._check_owner(principal, id)
        present, answer = await self._at_stripe.present(id)
        check(ended(present))
        snapshot = await self._catalog.snapshot()
        items = plan_items(change, present, snapshot, self._settings.max_quantity)
        self._check_changeable(present, answer, items, snapshot)
        await self._check_alone(items, present)
        check_paid(present.subscription.status, billed_before(answer.object))
        later = self._is_later(change, items, present, snapshot)
        if not later:
            await self._at_stripe.check_kept(present)
        trial_end = trial_of(present) if later else await self._at_stripe.trial_end(answer, present, items, snapshot)
        trial = trial_parameters(present, trial_end)
        due, renewal = await asyncio.gather(
            _nothing()
            if later or trial_end  # nothing is charged before it
            else self._due(id, items, **trial),
            self._at_stripe.invoice_preview(id, items, mode="recurring", proration_behavior="none", **trial),
        )
        change_then = timing.planned(present, items) if later else None
        plans = {each["price"] for each in items if "price" in each}
        plans = plans or {price for price, _ in resulting(present, items)}
        quote = preview_of(
            present,
            plans,
            as_of=answer.as_of,
            due=due,
            renewal=renewal,
            at=change_then.at if change_then else None,
            renews=change_then is None or renews_with(change_then, present.items),
            trial_end=trial_end,
        )
        if due is not None:
            await self._at_stripe.check_credit(present, partial(_answer, due))
        await self._at_stripe.read_item_coupons(answer.object)
        if quote.renews_at and renewals.runs_out(answer.object):
            left = renewals.left_over(answer.object, quote.renews_at, billed=due is not None)
            then = renewals.as_if_now(answer.object, items, billed_prices(renewal), left)
            quote = replace(quote, due_at_renewal=await self._at_stripe.total_of(**then))
        await quotes.remember(self._database, answer.object, quote.proration_date)
        return quote

    async def change(
        self, principal: Principal, id: str, change: PlanChange, key: str | None
    ) -> tuple[SubscriptionState, Invoice | None]:
        """Change the plan or the quantity: at once, charging what the preview said, or as the period ends.

        What was planned before for later is replaced by it. What is there already stays, and nothing else is planned.
        Where the bank wants the buyer to confirm the payment, the change waits for that: the subscription has a
        `pending_update`, and the invoice a page where it is confirmed.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            change: what to and when, with the preview's proration date.
            key: an idempotency key of the client's.

        Returns:
            the subscription as Stripe has it now, and what was billed for the change, if anything was.

        Raises:
            Rejected: the change must be fixed, or the payment did not go through; nothing was changed.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        async with self._at_stripe.locked(principal, id, key, pays=True) as held:
            present, answer = held
            snapshot = await self._catalog.snapshot()
            items = plan_items(change, present, snapshot, self._settings.max_quantity)
            if is_unconfirmed(answer.object, resulting(present, items)):
                return present, await self._at_stripe.billed(answer.object, touched_prices(present, items))
            if already_applied(present, items):
                await self._at_stripe.drop_unconfirmed(answer)
                present = await self._undo(present, answer, snapshot)
                return present, await self._at_stripe.billed(answer.object, touched_prices(present, items))
            self._check_changeable(present, answer, items, snapshot)
            await self._check_alone(items, present, principal.subject)
            check_paid(present.subscription.status, billed_before(answer.object))
            check(await quotes.expired(self._database, change.proration_date, answer))
            call_key = stripe_key("change", principal, key)
            later = self._is_later(change, items, present, snapshot)
            if later:
                answer = await self._at_stripe.drop_unconfirmed(answer)
                return await self._plan(present, answer, items, snapshot, call_key), None
            await self._at_stripe.check_kept(present)
            trial_end = await self._at_stripe.trial_end(answer, present, items, snapshot, change.proration_date)
            trial = trial_parameters(present, trial_end)
            if trial_end is None:
                due = partial(self._due, id, items, proration_date=change.proration_date, **trial)
                await self._at_stripe.check_credit(present, due)
            if ends_metered(answer.object, items):
                await self._send_usage(present.subscription.customer_id)
            answer = await self._at_stripe.drop_unconfirmed(answer)
            parameters: dict[str, Any] = {
                "items": items,
                **trial,
                **trial_marks(present, items, snapshot, trial_end),
                "proration_behavior": "always_invoice",
                "payment_behavior": "error_if_incomplete",
                "expand": ["latest_invoice"],
            }
            if change.proration_date is not None:
                parameters["proration_date"] = int(change.proration_date.timestamp())
            try:
                changed = await self._at_stripe.do(
                    id, self._stripe.post(path_of(id), idempotency_key=call_key, **parameters)
                )
            except ConfirmationNeeded:
                check(change_pending(answer.object))
                await self._schedules.release(id, answer)
                parameters["payment_behavior"] = "pending_if_incomplete"  # it changes nothing before the payment
                call = self._stripe.post(path_of(id), idempotency_key=f"{call_key}-confirm", **parameters)
                changed = await self._at_stripe.do(id, call)
            if answer.object["schedule"]:  # after it: a refused change leaves what was planned
                now = answer if present.planned.end is None else (await self._at_stripe.present(id))[1]
                await self._schedules.drop_change(present, now)
            billed = await self._at_stripe.billed(changed.object, touched_prices(present, items))
            return await self._at_stripe.state(id), billed

    async def _due(
        self, id: str, items: list[Target], proration_date: datetime | None = None, **trial: Any
    ) -> StripeResponse | None:
        """Return the invoice of a change at once as Stripe would make it; None when it would make none."""
        if proration_date is not None:
            trial["proration_date"] = int(proration_date.timestamp())
        return await self._at_stripe.invoice_preview(id, items, proration_behavior="always_invoice", **trial)

    def _check_changeable(
        self, present: SubscriptionState, answer: StripeResponse, items: list[Target], snapshot: Snapshot
    ) -> None:
        """Refuse a change of what the seller has planned, of what is left or paused, and of intervals that do not mix.

        Raises:
            Rejected: the subscription cannot be changed so.
        """
        check(planned_by_seller(present, snapshot, self._settings))
        check(leaving(present), paused(answer.object, present.unpaid), timing.no_period(present))
        check(mixed_intervals(answer.object, present, items, snapshot))

    def _is_later(
        self, change: PlanChange, items: list[Target], present: SubscriptionState, snapshot: Snapshot
    ) -> bool:
        """Return whether a change happens as the period ends.

        Raises:
            Rejected: it would, and cannot.
        """
        when = change.when or ChangeTime[self._settings.change_time.upper()]
        later = timing.waits(when, present, items, snapshot)
        if later:
            check(
                timing.cannot_wait(present),
                timing.ends_apart(present, items),
                timing.mixes_later(present, items, snapshot),
            )
        return later

    async def _plan(
        self, present: SubscriptionState, answer: StripeResponse, items: list[Target], snapshot: Snapshot, key: str
    ) -> SubscriptionState:
        """Plan a change for the end of the period; one that is planned already is not planned again."""
        wanted = timing.planned(present, items)
        if present.pending == wanted:
            return present
        end = present.planned.end
        phases = partial(timing.phases, targets=items, at=wanted.at, prices=snapshot.prices, until=end)
        await self._schedules.plan(answer, phases, wanted.at, key, ends=end is not None)
        return await self._at_stripe.state(present.subscription.id)

    async def cancel_pending(self, principal: Principal, id: str) -> SubscriptionState:
        """Undo a change that is planned, or that waits to be confirmed; where none is, do nothing.

        Args:
            principal: whose subscription it must be.
            id: the subscription.

        Raises:
            Rejected: the subscription has ended, the seller has planned the change, or Stripe refuses it.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; it may be tried again.
        """
        async with self._at_stripe.locked(principal, id) as held:
            present, answer = held
            if answer.object.get("pending_update"):
                answer = await self._at_stripe.drop_unconfirmed(answer)
                present = await self._at_stripe.state(id)
            snapshot = await self._catalog.snapshot()
            check(planned_by_seller(present, snapshot, self._settings) if present.pending else None)
            return await self._undo(present, answer, snapshot)

    async def _undo(self, present: SubscriptionState, answer: StripeResponse, snapshot: Snapshot) -> SubscriptionState:
        """Take a planned change back, which its customer may; how the subscription stands then."""
        if present.pending is None or planned_by_seller(present, snapshot, self._settings):
            return present
        await self._schedules.drop_change(present, answer)
        return await self._at_stripe.state(present.subscription.id)

    async def state(self, principal: Principal, id: str) -> SubscriptionState:
        """Return a subscription of the caller's own as the mirror has it.

        Raises:
            NotFound: there is no such subscription, or it is another's.
        """
        await self._check_owner(principal, id)
        return await self._at_stripe.state(id)

    async def due_at_renewal(self, id: str) -> int | None:
        """Return what the next renewal of a subscription comes to with what is planned, in minor units.

        Args:
            id: a subscription that the caller may see.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        return await self._at_stripe.due_at_renewal(id)

    async def _check_alone(
        self, targets: Sequence[Target], present: SubscriptionState, owner: str | None = None
    ) -> None:
        """Refuse a change into a group of which the customer has a plan already: a purchase would be refused too.

        Args:
            targets: what changes.
            present: the subscription.
            owner: who is about to change: his open checkouts are closed first, so that none is paid after this look,
                and Stripe is asked what he has. None only looks.

        Raises:
            Rejected: another live subscription, or another item, excludes the plan.
            StripeUnavailable: Stripe cannot be reached.
        """
        snapshot = await self._catalog.snapshot()
        products = list(arriving(targets, present, snapshot))
        if all(stays for _, stays in products) or self._settings.allow_multiple_subscriptions:
            return
        if owner is not None:
            await self._close_checkouts(owner)
            await read_subscriptions(self._mirror, self._stripe, present.subscription.customer_id)
        row = present.subscription
        changed = [each["id"] for each in targets if "id" in each]
        held = await held_products(self._database, row.customer_id, changed, replanned=row.id)
        held |= {product: row.id for product, stays in products if stays}
        for product in (product for product, stays in products if not stays):
            if standing := excluded_by(product, held, snapshot):
                message = f"there is a plan already that excludes this one ({standing}): change that one instead"
                raise Rejected(Problem(ProblemCode.ALREADY_SUBSCRIBED, message, "priceId"))
            held[product] = row.id

    async def find(self, id: str) -> None:
        """Read a subscription from Stripe and store it, if it is there.

        Whoever comes back from the hosted page may ask for what was bought before its events have come.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        if _ID.fullmatch(id):
            with suppress(StripeMissing):
                await self._mirror.store_answer(self._stripe, await self._stripe.get(path_of(id)))

    async def _check_owner(self, principal: Principal, id: str) -> sa.Row[str, str | None, bool]:
        """Return what is known of the customer; refuse a subscription that is not the caller's own.

        Raises:
            NotFound: there is no such subscription, or it is another's: the two are not told apart.
        """
        return await owner_of(self._database, principal, id)


async def _nothing() -> None:
    return None


async def _answer(answer: StripeResponse) -> StripeResponse:
    return answer
