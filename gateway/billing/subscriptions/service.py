"""Changes of a subscription without the portal: what a change would cost, the change itself, the end, and no end.

Stripe does it, and what it answers is stored and told: nothing is guessed ahead of it. A change is billed at once
(`always_invoice`), so that a quote and its charge are the same invoice, and is refused as a whole when the payment does
not go through (`error_if_incomplete`). Source: Stripe, "Prorations" and "Preview an invoice".
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from uuid import uuid4

from gateway.auth.principal import Principal
from gateway.billing.catalog.service import Catalog
from gateway.billing.subscriptions.plan_change import (
    PlanChange,
    Preview,
    already_applied,
    expired_preview,
    plan_items,
    preview_of,
)
from gateway.billing.subscriptions.state import SubscriptionState, read_subscription
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.rows import row_by_id
from gateway.errors import BadInput, CardRefused, KeyReused, NotFound, StripeMissing, StripeRefused
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Customer, Invoice
from gateway.models.statuses import FINAL
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe, StripeResponse

SUBSCRIPTIONS = "/v1/subscriptions"
PREVIEW = "/v1/invoices/create_preview"
MAX_COMMENT = 500
MAX_KEY = 255


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


class SubscriptionService:
    """The use cases on a subscription of the caller's own.

    Args:
        settings: the grace period and the largest quantity.
        mirror: the copy of Stripe.
        stripe: does it.
        catalog: the only prices that one can change to.
    """

    def __init__(self, settings: Settings, mirror: Mirror, stripe: Stripe, catalog: Catalog) -> None:
        self._settings = settings
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe
        self._catalog = catalog

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
        present, _ = await self._present(principal, id)
        items = plan_items(change, present, await self._catalog.snapshot(), self._settings.max_quantity)
        in_trial = present.subscription.status == "trialing"  # nothing is charged before its end
        due, renewal = await asyncio.gather(
            _nothing() if in_trial else self._ask(id, items, proration_behavior="always_invoice"),
            self._ask(id, items, mode="recurring", proration_behavior="none"),
        )
        return preview_of(present, change.price_id, due=due, renewal=renewal)

    async def _ask(
        self, id: str, items: list[dict[str, Any]], *, mode: str = "next", **details: Any
    ) -> StripeResponse | None:
        """Return an invoice as Stripe would make it; None when it would make none.

        Raises:
            BadInput: Stripe refuses the change.
        """
        try:
            return await self._stripe.post(
                PREVIEW,
                idempotency_key=uuid4().hex,
                subscription=id,
                preview_mode=mode,
                subscription_details={"items": items, **details},
            )
        except StripeRefused as error:
            if error.stripe_code == "invoice_upcoming_none":
                return None
            raise BadInput(str(error)) from error

    async def change(
        self, principal: Principal, id: str, change: PlanChange, key: str | None
    ) -> tuple[SubscriptionState, Invoice | None]:
        """Change the plan or the quantity, and charge what the preview said.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            change: what to, with the preview's proration date.
            key: an idempotency key of the client's.

        Returns:
            the subscription as Stripe has it now, and what was billed for the change, if anything was.

        Raises:
            Rejected: the change must be fixed, or the payment did not go through; nothing was changed.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        present, answer = await self._present(principal, id)
        items = plan_items(change, present, await self._catalog.snapshot(), self._settings.max_quantity)
        _check(_bad_key(key), _ended(present))
        if already_applied(present, items):
            return present, await self._billed(answer.object, change.price_id)
        _check(expired_preview(change.proration_date, answer))
        parameters: dict[str, Any] = {
            "items": items,
            "proration_behavior": "always_invoice",
            "payment_behavior": "error_if_incomplete",
            "expand": ["latest_invoice"],
        }
        if change.proration_date is not None:
            parameters["proration_date"] = int(change.proration_date.timestamp())
        stripe_key = _stripe_key("change", principal, key)
        changed = await self._do(id, self._stripe.post(_path(id), idempotency_key=stripe_key, **parameters))
        return await self._state(id), await self._billed(changed.object, change.price_id)

    async def cancel(self, principal: Principal, id: str, how: Cancellation, key: str | None) -> SubscriptionState:
        """End a subscription, now or with its period. What has ended already is answered as it is.

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
        present, _ = await self._present(principal, id)
        _check(_bad_key(key), _long_comment(how.comment))
        if _ended(present):
            return present
        said = {"feedback": how.feedback, "comment": how.comment}
        details = {name: text for name, text in said.items() if text}
        parameters: dict[str, Any] = {"cancellation_details": details} if details else {}
        if how.now:
            await self._do(id, self._stripe.delete(_path(id), **parameters))
        else:
            stripe_key = _stripe_key("cancel", principal, key)
            parameters["cancel_at_period_end"] = True
            await self._do(id, self._stripe.post(_path(id), idempotency_key=stripe_key, **parameters))
        return await self._state(id)

    async def resume(self, principal: Principal, id: str, key: str | None) -> SubscriptionState:
        """Undo a planned cancellation, or resume after a pause. What neither ends nor pauses is answered as it is.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            key: an idempotency key of the client's.

        Raises:
            Rejected: the subscription has ended, or the key cannot be used.
            NotFound: there is no such subscription, or it is another's.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        present, answer = await self._present(principal, id)
        _check(_bad_key(key), _ended(present))
        stripe_key, path = _stripe_key("resume", principal, key), _path(id)
        if answer.object["cancel_at_period_end"]:
            parameters: dict[str, Any] = {"cancel_at_period_end": False}
        elif answer.object["cancel_at"]:
            parameters = {"cancel_at": ""}
        elif answer.object["status"] == "paused":
            path, parameters = f"{path}/resume", {}
        else:
            return present
        await self._do(id, self._stripe.post(path, idempotency_key=stripe_key, **parameters))
        return await self._state(id)

    async def _present(self, principal: Principal, id: str) -> tuple[SubscriptionState, StripeResponse]:
        """Return the caller's own subscription as Stripe has it now, and the answer, for Stripe's clock.

        Raises:
            NotFound: there is no such subscription, or it is another's: the two are not told apart.
        """
        known = await read_subscription(self._database, id, self._settings.grace)
        if known is None or not await self._owns(principal, known.subscription.customer_id):
            raise NotFound("there is no such subscription")
        try:
            answer = await self._stripe.get(_path(id))
        except StripeMissing:
            raise NotFound("there is no such subscription") from None
        await self._mirror.store_answer(self._stripe, answer)
        return await self._state(id), answer

    async def _owns(self, principal: Principal, customer_id: str) -> bool:
        customer = await self._database.read(lambda connection: row_by_id(connection, Customer, customer_id))
        return customer is not None and principal.subject is not None and customer.external_id == principal.subject

    async def _state(self, id: str) -> SubscriptionState:
        found = await read_subscription(self._database, id, self._settings.grace)
        if found is None:
            raise NotFound("there is no such subscription")
        return found

    async def _do(self, id: str, call: Awaitable[StripeResponse]) -> StripeResponse:
        """Have Stripe do it, and store what it answers.

        Raises:
            Rejected: Stripe refuses it.
        """
        try:
            answer = await call
        except StripeMissing as error:  # it ended a moment ago, which the mirror should know
            await self._mirror.refresh(self._stripe, "subscription", id)
            ended = _ended(await self._state(id))
            raise Rejected(ended or Problem(ProblemCode.STRIPE_REFUSED, "Stripe knows no such object")) from error
        except StripeRefused as error:
            raise Rejected(_problem(error)) from error
        await self._mirror.store_answer(self._stripe, answer)
        if isinstance(invoice := answer.object.get("latest_invoice"), dict):
            await self._mirror.store_answer(self._stripe, replace(answer, object=invoice))
        return answer

    async def _billed(self, subscription: dict[str, Any], price_id: str) -> Invoice | None:
        """Return what was billed for the change to a price: the latest invoice, if it is the one of that change."""
        latest = subscription["latest_invoice"]
        invoice_id = latest["id"] if isinstance(latest, dict) else latest or ""
        invoice = await self._database.read(lambda connection: row_by_id(connection, Invoice, invoice_id))
        if invoice is not None and invoice.status == "draft":  # as the mirror holds it: it was finalized since
            await self._mirror.refresh(self._stripe, "invoice", invoice_id)
            invoice = await self._database.read(lambda connection: row_by_id(connection, Invoice, invoice_id))
        if invoice is None or invoice.status == "draft" or invoice.billing_reason != "subscription_update":
            return None
        return invoice if any(line["price"] == price_id for line in invoice.lines) else None


async def _nothing() -> None:
    return None


def _path(id: str) -> str:
    return f"{SUBSCRIPTIONS}/{id}"


def _stripe_key(verb: str, principal: Principal, key: str | None) -> str:
    """Return the client's key, for this user and this verb alone, in a form that Stripe takes."""
    return f"{verb}-{sha256(f'{principal.subject} {key}'.encode()).hexdigest()}" if key else uuid4().hex


def _check(*problems: Problem | None) -> None:
    """Raise what must be fixed, if anything must."""
    if found := [problem for problem in problems if problem is not None]:
        raise Rejected(*found)


def _bad_key(key: str | None) -> Problem | None:
    if key is None or 1 <= len(key) <= MAX_KEY:
        return None
    return Problem(
        ProblemCode.IDEMPOTENCY_KEY_INVALID, f"the key must have 1 to {MAX_KEY} characters", "idempotencyKey"
    )


def _long_comment(comment: str | None) -> Problem | None:
    if comment is None or len(comment) <= MAX_COMMENT:
        return None
    return Problem(ProblemCode.COMMENT_TOO_LONG, f"a comment may have {MAX_COMMENT} characters", "comment")


def _ended(present: SubscriptionState) -> Problem | None:
    if present.subscription.status not in FINAL:
        return None
    return Problem(
        ProblemCode.SUBSCRIPTION_ENDED, "this subscription has ended; buy a new one at the checkout", "subscriptionId"
    )


def _problem(error: StripeRefused) -> Problem:
    """Return what Stripe refused, as the caller can fix it."""
    if isinstance(error, CardRefused):
        message = f"{error} Nothing was changed; update the payment method and try again."
        return Problem(ProblemCode.PAYMENT_FAILED, message)
    if isinstance(error, KeyReused):
        message = "this key was used for another request; use a new one"
        return Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey")
    return Problem(ProblemCode.STRIPE_REFUSED, str(error))
