"""What Stripe is asked about a subscription and has done to it; each answer is stored before it is used."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from gateway.auth.principal import Principal
from gateway.billing import returns
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.changed_items import Target
from gateway.billing.subscriptions.exclusion import customer_lock, owner_lock
from gateway.billing.subscriptions.kept_value import kept_shares, lacking, overdrawn
from gateway.billing.subscriptions.paid_time import LAST, Paid
from gateway.billing.subscriptions.payments import paid_invoices
from gateway.billing.subscriptions.pending import SCHEDULE_OF
from gateway.billing.subscriptions.state import SUBSCRIPTIONS, SubscriptionState, read_subscription
from gateway.billing.subscriptions.trial_end import card_missing, ends_unpaid, over_since, trial_after, trial_of
from gateway.billing.subscriptions.validation import (
    CONFIRMATION_CODES,
    ConfirmationNeeded,
    bad_key,
    check,
    ended,
    foreign_card,
    not_kept,
    overcredited,
    refused,
)
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.database import Database
from gateway.db.rows import row_by_id
from gateway.db.tables import table_for
from gateway.errors import NotFound, RateLimited, StripeMissing, StripeRefused
from gateway.mirror.accounts import account_of
from gateway.mirror.invoice_mapping import invoice as invoice_columns
from gateway.mirror.sync import Mirror
from gateway.models.mirrored import Customer, Invoice
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe, StripeResponse

CUSTOMERS = table_for(Customer)
PATH = "/v1/subscriptions"
PREVIEW = "/v1/invoices/create_preview"
DISCOUNTS = ("discounts", "discounts.source.coupon")
"""What must be expanded of a subscription for what its discounts take off."""
WHOSE_DISCOUNTS = (*DISCOUNTS, "customer.discount.source.coupon", "items.data.discounts")
"""The same with the discounts of its customer and of its items; Stripe expands no deeper."""


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

    @asynccontextmanager
    async def locked(
        self,
        principal: Principal,
        id: str,
        key: str | None = None,
        *problems: Problem | None,
        pays: bool = False,
        ended_too: bool = False,
    ) -> AsyncIterator[tuple[SubscriptionState, StripeResponse]]:
        """Keep a subscription of the caller's own to one change at a time, as Stripe has it now.

        Args:
            principal: whose subscription it must be.
            id: the subscription.
            key: an idempotency key of the client's.
            problems: what else must be fixed.
            pays: whether the change is charged, which a card that is another's must not pay.
            ended_too: whether one that has ended is taken.

        Raises:
            Rejected: something must be fixed, the key or the card cannot be used, or the subscription has ended.
            NotFound: there is no such subscription, or it is another's, also since a moment ago.
            RateLimited: somebody else changes what its owner has, for too long, or has just changed whose it is.
            StripeUnavailable: Stripe cannot be reached; the same key may be tried again.
        """
        customer = await owner_of(self._database, principal, id)
        check(bad_key(key), *problems, foreign_card(customer) if pays else None)
        async with _lock(self._database, customer):
            if (await owner_of(self._database, principal, id)) != customer:  # it was waited for
                raise RateLimited("this customer was given to somebody a moment ago; try again", 1)
            present, answer = await self.present(id)
            check(None if ended_too else ended(present))
            yield present, answer

    async def present(self, id: str) -> tuple[SubscriptionState, StripeResponse]:
        """Return a subscription as Stripe has it now, and the answer, for Stripe's clock.

        The answer has the latest invoice and the schedule expanded; what is planned is as Stripe has it, too.
        """
        answer = await self._get(id, expand=["latest_invoice", "schedule", *WHOSE_DISCOUNTS])
        await self._mirror.store_answer(self._stripe, answer)
        if schedule := answer.object["schedule"]:
            await self._mirror.store_answer(self._stripe, replace(answer, object=schedule))
        for known in await self._schedules_of(id):
            if not schedule or known != schedule["id"]:  # it was released, which no event has told yet
                with suppress(StripeMissing):
                    await self._mirror.refresh(self._stripe, "subscription_schedule", known)
        return await self.state(id), answer

    async def check_kept(self, present: SubscriptionState) -> None:
        """Refuse a change at once while what it would credit went back to the buyer, or may.

        Raises:
            Rejected: it did, or a dispute of it is open.
        """
        check(not_kept(present, disputed=await self.is_disputed(present)))

    async def check_credit(
        self, present: SubscriptionState, preview: Callable[[], Awaitable[StripeResponse | None]]
    ) -> None:
        """Refuse a change at once that would credit more than was kept, where a part of what was paid went back.

        Args:
            present: the subscription.
            preview: asks for the invoice that the change makes, if it is needed.

        Raises:
            Rejected: it would leave a greater balance than was kept, or credit what a bank took back.
            StripeUnavailable: Stripe cannot be reached.
        """
        paid, disputed = await self._database.read(partial(paid_invoices, subscription_id=present.subscription.id))
        if not any(each.returned for each in paid):
            return
        if (answer := await preview()) is not None:
            invoice = Paid("", LAST, answer.object["total"], 0, invoice_columns(answer.object)["lines"])
            check(overcredited(overdrawn(invoice, paid), disputed=lacking(invoice, disputed)))

    async def keeps_all(self, present: SubscriptionState) -> bool:
        """Return whether nothing of what was paid for a subscription's present went back, or may, as far as known."""
        if await self.is_disputed(present):
            return False
        paid, _ = await self._database.read(partial(paid_invoices, subscription_id=present.subscription.id))
        begun = min((item.current_period_start.timestamp() for item in present.items), default=0)
        now = [each.id for each in paid if any(line["period_end"] > begun for line in each.lines)]
        shares = kept_shares(paid)
        return all(shares[each] == 1 for each in now)

    async def is_disputed(self, present: SubscriptionState) -> bool:
        """Return whether a payment of a subscription's present is disputed and not decided, as far as it is known."""
        begun = min((item.current_period_start for item in present.items), default=present.subscription.created)
        return present.disputed or await self._database.read(
            partial(returns.is_disputed, present.subscription.id, begun)
        )

    async def _schedules_of(self, id: str) -> Sequence[str]:
        """Return the schedules that manage a subscription as far as the mirror knows, the latest told of first."""
        return await self._database.read(
            lambda connection: connection.execute(SCHEDULE_OF, {"subscription": id}).scalars().all()
        )

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
            kind = ConfirmationNeeded if error.stripe_code in CONFIRMATION_CODES else Rejected
            raise kind(refused(error)) from error
        await self._mirror.store_answer(self._stripe, answer)
        if isinstance(invoice := answer.object.get("latest_invoice"), dict):
            await self._mirror.store_answer(self._stripe, replace(answer, object=invoice))
        return answer

    async def trial_end(
        self,
        answer: StripeResponse,
        present: SubscriptionState,
        targets: Sequence[Target],
        snapshot: Snapshot,
        quoted: datetime | None = None,
    ) -> datetime | None:
        """Return when the trial ends after a change at once; None where none runs, or the change ends it.

        Args:
            answer: the subscription as Stripe has it.
            present: the same, as the mirror has it.
            targets: what changes.
            snapshot: says which plans have a trial.
            quoted: the moment of a quote.

        Raises:
            Rejected: the change ends it, which the quote did not say, or nothing would pay the subscription then.
            StripeUnavailable: Stripe cannot be reached.
        """
        end = trial_after(present, targets, snapshot, datetime.fromtimestamp(answer.as_of, UTC))
        if end is None and trial_of(present) is not None:
            check(over_since(trial_after(present, targets, snapshot, quoted) if quoted else None))
            if ends_unpaid(answer.object):
                customer = await self._stripe.get(f"/v1/customers/{present.subscription.customer_id}")
                check(card_missing(customer.object))
        return end

    async def drop_unconfirmed(self, answer: StripeResponse) -> StripeResponse:
        """Void the invoice of a change that waits for its buyer, and the change with it; the subscription then.

        Source: Stripe, "Pending updates": it is discarded when its invoice is voided.

        Raises:
            Rejected: the invoice is paid or void by now.
            StripeUnavailable: Stripe cannot be reached.
        """
        if not answer.object.get("pending_update"):
            return answer
        subscription_id = answer.object["id"]
        path = f"/v1/invoices/{answer.object['latest_invoice']['id']}/void"
        await self.do(subscription_id, self._stripe.post(path, idempotency_key=f"void-{path}"))
        return (await self.present(subscription_id))[1]

    async def due_at_renewal(self, id: str) -> int | None:
        """Return what the next renewal of a subscription comes to, in minor units.

        Stripe previews the invoice with what is planned, too. None when there will be none. Where a schedule tells of
        none, it may have been released a moment ago, and the subscription goes on by itself.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        if known := await self._schedules_of(id):
            total = await self.total_of(schedule=known[0])
            if total is not None or (await self.state(id)).planned.end is not None:
                return total
        return await self.total_of(subscription=id)

    async def total_of(self, **about: Any) -> int | None:
        """Return what a previewed invoice comes to, in minor units; None when there will be none.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        try:
            answer = await self._stripe.post(PREVIEW, idempotency_key=uuid4().hex, **about)
        except StripeRefused:  # nothing will be billed, or the schedule is over
            return None
        total: int = answer.object["total"]
        return total

    async def read_item_coupons(self, subscription: dict[str, Any]) -> None:
        """Put the coupons of its items' discounts into a subscription, which lie too deep to be expanded.

        Raises:
            StripeUnavailable: Stripe cannot be reached.
        """
        for source in (
            each["source"] for item in subscription["items"]["data"] for each in item.get("discounts") or ()
        ):
            if isinstance(source["coupon"], str):
                with suppress(StripeMissing):  # it was deleted, and its discounts go on
                    source["coupon"] = (await self._stripe.get(f"/v1/coupons/{source['coupon']}")).object

    async def invoice_preview(
        self, id: str, items: list[dict[str, Any]], *, mode: str = "next", **details: Any
    ) -> StripeResponse | None:
        """Return an invoice as Stripe would make it; None when it would make none.

        Raises:
            Rejected: Stripe refuses the change.
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
            raise Rejected(refused(error)) from error

    async def billed(self, subscription: dict[str, Any], price_ids: Collection[str]) -> Invoice | None:
        """Return what was billed for a change of some prices: the latest invoice, if it is the one of that change."""
        latest = subscription["latest_invoice"]
        invoice_id = latest["id"] if isinstance(latest, dict) else latest or ""
        invoice = await self._database.read(lambda connection: row_by_id(connection, Invoice, invoice_id))
        if invoice is not None and invoice.status == "draft":  # as the mirror holds it: it was finalized since
            await self._mirror.refresh(self._stripe, "invoice", invoice_id)
            invoice = await self._database.read(lambda connection: row_by_id(connection, Invoice, invoice_id))
        if invoice is None or invoice.status == "draft" or invoice.billing_reason != "subscription_update":
            return None
        return invoice if any(line["price"] in price_ids for line in invoice.lines) else None


async def owner_of(database: Database, principal: Principal, id: str) -> sa.Row[str, str | None, bool]:
    """Return what is known of a subscription's customer (`id`, `external_id`, `payer_unverified`).

    It must be the caller's own, or of the customer for whom an operator acts; never a connected account's.

    Raises:
        NotFound: there is no such subscription, or it is not the caller's own: the two are not told apart.
    """
    owner = (
        sa.select(CUSTOMERS.c.id, CUSTOMERS.c.external_id, CUSTOMERS.c.payer_unverified)
        .join(SUBSCRIPTIONS, SUBSCRIPTIONS.c.customer_id == CUSTOMERS.c.id)
        .where(SUBSCRIPTIONS.c.id == id)
    )
    customer = await database.read(lambda connection: connection.execute(owner).first())
    if customer is None or not _is_of(principal, customer):
        raise missing()
    return customer


def _is_of(principal: Principal, customer: sa.Row[str, str | None, bool]) -> bool:
    if principal.customer is not None:
        return bool(customer.id == principal.customer) and account_of(customer.id)[0] is None
    return customer.external_id is not None and customer.external_id == principal.subject


def _lock(database: Database, customer: sa.Row[str, str | None, bool]) -> AbstractAsyncContextManager[None]:
    """Return the lock of a customer's owner, or of the customer itself, where it is no user's."""
    if customer.external_id is None:
        return customer_lock(database, customer.id)
    return owner_lock(database, customer.external_id)


def missing() -> NotFound:
    """Return the error for what is not there, or is another's: the two are not told apart."""
    return NotFound("there is no such object")


def path_of(id: str) -> str:
    """Return the path of a subscription at Stripe."""
    return f"{PATH}/{id}"


def stripe_key(verb: str, principal: Principal, key: str | None) -> str:
    """Return the client's key, for this user or customer and this verb alone, in a form that Stripe takes."""
    whose = principal.customer or principal.subject
    return f"{verb}-{sha256(f'{whose} {key}'.encode()).hexdigest()}" if key else uuid4().hex
