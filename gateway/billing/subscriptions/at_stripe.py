"""What Stripe is asked about a subscription and has done to it; each answer is stored before it is used."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from gateway.billing.subscriptions.state import SubscriptionState, read_subscription
from gateway.billing.subscriptions.validation import ended, refused
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.rows import row_by_id
from gateway.errors import BadInput, NotFound, StripeMissing, StripeRefused
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Invoice
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe, StripeResponse

PATH = "/v1/subscriptions"
PREVIEW = "/v1/invoices/create_preview"


class SubscriptionsAtStripe:
    """Calls about one subscription.

    Args:
        settings: the grace period.
        mirror: where the answers go.
        stripe: is asked.
    """

    def __init__(self, settings: Settings, mirror: Mirror, stripe: Stripe) -> None:
        self._settings = settings
        self._mirror = mirror
        self._database = mirror.database
        self._stripe = stripe

    async def present(self, id: str) -> tuple[SubscriptionState, StripeResponse]:
        """Return a subscription as Stripe has it now, with its latest invoice, and the answer, for Stripe's clock."""
        answer = await self._get(id, expand=["latest_invoice"])
        await self._mirror.store_answer(self._stripe, answer)
        return await self.state(id), answer

    async def _get(self, id: str, **parameters: Any) -> StripeResponse:
        try:
            return await self._stripe.get(path_of(id), **parameters)
        except StripeMissing:
            raise missing() from None

    async def state(self, id: str) -> SubscriptionState:
        """Return a subscription as the mirror has it."""
        found = await read_subscription(self._database, id, self._settings.grace)
        if found is None:
            raise missing()
        return found

    async def do(self, id: str, call: Awaitable[StripeResponse]) -> StripeResponse:
        """Have Stripe do it, and store what it answers.

        Raises:
            Rejected: Stripe refuses it.
        """
        try:
            answer = await call
        except StripeMissing as error:  # it ended a moment ago, which the mirror should know
            await self._mirror.refresh(self._stripe, "subscription", id)
            over = ended(await self.state(id))
            raise Rejected(over or Problem(ProblemCode.STRIPE_REFUSED, "Stripe knows no such object")) from error
        except StripeRefused as error:
            raise Rejected(refused(error)) from error
        await self._mirror.store_answer(self._stripe, answer)
        if isinstance(invoice := answer.object.get("latest_invoice"), dict):
            await self._mirror.store_answer(self._stripe, replace(answer, object=invoice))
        return answer

    async def release_schedule(self, id: str, answer: StripeResponse) -> None:
        """Take a subscription from its schedule, which refuses that anybody else decides when it ends.

        Source: Stripe, "Subscription schedules", releasing; the refusal is known from public error reports.
        """
        if schedule := answer.object.get("schedule"):
            schedule_id = schedule["id"] if isinstance(schedule, dict) else schedule
            path = f"/v1/subscription_schedules/{schedule_id}/release"
            try:
                await self._stripe.post(path, idempotency_key=f"release-{id}-{schedule_id}")
            except StripeRefused as error:
                raise Rejected(refused(error)) from error

    async def invoice_preview(
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

    async def billed(self, subscription: dict[str, Any], price_id: str) -> Invoice | None:
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


def missing() -> NotFound:
    """Return the error for what is not there, or is another's: the two are not told apart."""
    return NotFound("there is no such object")


def path_of(id: str) -> str:
    """Return the path of a subscription at Stripe."""
    return f"{PATH}/{id}"
