"""Subscriptions and the access that they give. `Subscription` is GraphQL's own root type, hence the longer name."""

from datetime import UTC, datetime
from enum import Enum

import strawberry

from gateway.billing.counting.counters import Count
from gateway.billing.customers.ownership import Owner
from gateway.billing.subscriptions import access as rules
from gateway.billing.subscriptions.access import Reason
from gateway.billing.subscriptions.pending import renews_with
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.db.rows import row_by_id
from gateway.errors import BadInput
from gateway.graphql.base import scalars as money
from gateway.graphql.base.authorization import private
from gateway.graphql.base.context import Info, LiveContext
from gateway.graphql.base.decorators import enum_from, enum_type, field, object_type, resolver
from gateway.graphql.base.node import Node
from gateway.graphql.base.scalars import BigInt, Money, big
from gateway.graphql.types.catalog import Plan
from gateway.graphql.types.catalog_objects import CatalogObjects, catalog_objects_of
from gateway.graphql.types.discounts import Discount
from gateway.models.mirrored import Invoice as InvoiceRow
from gateway.models.mirrored import SubscriptionItem as ItemRow
from gateway.models.statuses import FINAL

enum_from(Reason, name="AccessReason")


@enum_type
class SubscriptionStatus(Enum):
    """The status of a subscription at Stripe."""

    INCOMPLETE = strawberry.enum_value("incomplete", description="The first payment has not succeeded yet.")
    INCOMPLETE_EXPIRED = strawberry.enum_value(
        "incomplete_expired", description="The first payment did not succeed within a day."
    )
    TRIALING = strawberry.enum_value("trialing", description="In its trial.")
    ACTIVE = strawberry.enum_value("active", description="Paid, or nothing is due.")
    PAST_DUE = strawberry.enum_value("past_due", description="The last payment failed; Stripe tries again.")
    PAUSED = strawberry.enum_value("paused", description="The trial ended without a payment method.")
    UNPAID = strawberry.enum_value("unpaid", description="Stripe has stopped trying to charge it.")
    CANCELED = strawberry.enum_value("canceled", description="Ended for good.")


@object_type
class SubscriptionItem:
    """One plan of a subscription."""

    id: strawberry.ID = strawberry.field(description="Stripe's id, such as si_….")
    plan: Plan | None = strawberry.field(description="The plan; null when the catalogue does not have it.")
    quantity: BigInt | None = strawberry.field(description="The quantity; null when the plan is metered.")
    current_period_start: datetime = strawberry.field(description="When the present billing period began.")
    current_period_end: datetime = strawberry.field(description="When the present billing period ends.")

    @classmethod
    def of(cls, row: ItemRow, catalog: CatalogObjects, currency: str) -> "SubscriptionItem":
        """Make an item, with the plan's amounts in the subscription's currency."""
        return cls(
            id=strawberry.ID(row.id),
            plan=catalog.plan(row.price_id, currency),
            quantity=big(row.quantity),
            current_period_start=row.current_period_start,
            current_period_end=row.current_period_end,
        )


@object_type
class Access:
    """Whether there is access, why, and until when."""

    allowed: bool = strawberry.field(description="Whether there is access.")
    reason: Reason = strawberry.field(description="Why access is given or refused.")
    until: datetime | None = strawberry.field(description="When access ends or is renewed; null without access.")
    limit: BigInt | None = strawberry.field(description="The feature's limit; null when there is none.")
    used: BigInt | None = strawberry.field(
        default=None, description="How much of the feature was used in this period; null where nothing counts it."
    )
    remaining: BigInt | None = strawberry.field(
        default=None, description="How much is left beside what is held; null without a limit, or where nothing counts."
    )
    resets_at: datetime | None = strawberry.field(
        default=None, description="When the period ends in which it is counted; null where nothing counts it."
    )
    overage: bool = strawberry.field(default=False, description="Whether more than the limit may be used.")
    subscription: "BillingSubscription | None" = field(
        lambda self: BillingSubscription.of(self.state, self.catalog) if self.state else None,
        "The subscription that decides.",
    )
    state: strawberry.Private[SubscriptionState | None]
    catalog: strawberry.Private[CatalogObjects]

    @classmethod
    def of(
        cls,
        access: rules.Access,
        state: SubscriptionState | None,
        catalog: CatalogObjects,
        *,
        limit: int | None = None,
        count: Count | None = None,
    ) -> "Access":
        """Make the answer for a decision.

        Args:
            access: the decision.
            state: the subscription that decides.
            catalog: the objects of the catalogue, for its plan.
            limit: the limit of a feature.
            count: how the feature stands, where it is counted.
        """
        return cls(
            allowed=access.allowed,
            reason=access.reason,
            until=access.until,
            limit=big(limit),
            used=big(count.used) if count else None,
            remaining=big(count.remaining) if count else None,
            resets_at=count.resets_at if count else None,
            overage=bool(count and count.overage),
            state=state,
            catalog=catalog,
        )


@object_type
class PendingItem:
    """A plan that a subscription will have."""

    plan: Plan | None = strawberry.field(description="The plan; null when the catalogue does not have it.")
    quantity: BigInt | None = strawberry.field(description="The quantity; null when the plan is metered.")


@object_type
class PendingChange:
    """A change that is planned, by the portal, the dashboard or the API."""

    at: datetime = strawberry.field(description="When it happens.")
    plan: Plan | None = strawberry.field(description="The plan of its first item.")
    quantity: BigInt | None = strawberry.field(description="The quantity of its first item.")
    items: list[PendingItem] = strawberry.field(description="All items that the subscription will have.")
    state: strawberry.Private[SubscriptionState]

    @resolver
    async def due_at_renewal(self, info: Info) -> Money | None:
        """What the renewal comes to at which it happens, as Stripe computes it; null when it is at no renewal."""
        if isinstance(info.context, LiveContext):
            raise BadInput("live updates do not call Stripe: ask for `dueAtRenewal` in a query")
        row = self.state.subscription
        if self.state.pending is None or not renews_with(self.state.pending, self.state.items):
            return None
        return money.of(await info.context.services.subscriptions.due_at_renewal(row.id), row.currency)

    @classmethod
    def of(cls, state: SubscriptionState, catalog: CatalogObjects) -> "PendingChange | None":
        """Make what is planned of a subscription."""
        if state.pending is None:
            return None
        currency = state.subscription.currency
        items = [PendingItem(plan=catalog.plan(price, currency), quantity=big(n)) for price, n in state.pending.items]
        first = items[0] if items else PendingItem(plan=None, quantity=None)
        return cls(at=state.pending.at, plan=first.plan, quantity=first.quantity, items=items, state=state)


@object_type
class RetentionOffer:
    """A discount that is offered to who is about to cancel; `acceptRetentionOffer` takes it."""

    discount: Discount = strawberry.field(description="What is taken off.")
    expires_at: datetime | None = strawberry.field(description="Until when it can be accepted; null without an end.")


@object_type
class ChangeConfirmation:
    """A change that the buyer's bank wants confirmed; nothing changes before that."""

    url: str | None = strawberry.field(description="Stripe's page where the buyer confirms it.")
    amount: Money = strawberry.field(description="What is charged then.")
    expires_at: datetime = strawberry.field(description="When it is given up.")
    items: list[PendingItem] = strawberry.field(description="All items that the subscription will have.")


@private
class BillingSubscription(Node):
    """A subscription to one or more plans."""

    owner: strawberry.Private[Owner]
    id: strawberry.ID = strawberry.field(description="Stripe's id, such as sub_….")
    status: SubscriptionStatus = strawberry.field(description="Its status.")
    plan: Plan | None = strawberry.field(description="The plan of its first item.")
    items: list[SubscriptionItem] = strawberry.field(description="All its items, the oldest first.")
    quantity: BigInt | None = strawberry.field(description="The quantity of its first item.")
    current_period_start: datetime | None = strawberry.field(description="When its present billing period began.")
    current_period_end: datetime | None = strawberry.field(description="When its present billing period ends.")
    trial_end: datetime | None = strawberry.field(description="When its trial ends or ended, if it had one.")
    cancel_at: datetime | None = strawberry.field(description="When it will end, if a cancellation is planned.")
    will_cancel: bool = strawberry.field(description="Whether a cancellation is planned.")
    ended_at: datetime | None = strawberry.field(description="When it ended.")
    paused: bool = strawberry.field(
        description="Whether nothing is collected until it is resumed, or a pause that is over has left the present "
        "period unpaid."
    )
    paused_until: datetime | None = strawberry.field(
        description="When its pause ends by itself, shortly before a renewal; null without a pause, or without an end."
    )
    access: Access = strawberry.field(description="The access that it gives now.")
    pending_change: PendingChange | None = strawberry.field(description="The next change that is planned, if any.")
    state: strawberry.Private[SubscriptionState]

    @resolver
    async def planned_by_seller(self, info: Info) -> bool:
        """Whether the seller has planned a change or an end of it that binds the customer: until then it cannot be
        changed here, nor what is planned undone. It can be cancelled, and resumed again with what is planned.
        """
        services = info.context.services
        binding = services.settings.seller_plans_binding
        return self.state.is_bound(await services.catalog.snapshot(), always=binding)

    @resolver
    async def due_at_renewal(self, info: Info) -> Money | None:
        """What its next renewal comes to, as Stripe computes it; null when there is none, or while it is paused."""
        if isinstance(info.context, LiveContext):
            raise BadInput("live updates do not call Stripe: ask for `dueAtRenewal` in a query")
        row = self.state.subscription
        if row.pause_behavior or row.status in {"paused", *FINAL}:
            return None
        return money.of(await info.context.services.subscriptions.due_at_renewal(row.id), row.currency)

    @resolver
    async def confirmation(self, info: Info) -> ChangeConfirmation | None:
        """The change that waits for the buyer to confirm its payment (3-D Secure); null when none does."""
        row, waiting = self.state.subscription, self.state.subscription.pending_update
        if waiting is None:
            return None
        services, invoice_id = info.context.services, row.latest_invoice_id or ""
        invoice = await services.database.read(lambda connection: row_by_id(connection, InvoiceRow, invoice_id))
        if invoice is None:
            return None
        catalog = catalog_objects_of(await services.catalog.snapshot())
        items = [PendingItem(plan=catalog.plan(price, row.currency), quantity=big(n)) for price, n in waiting["items"]]
        return ChangeConfirmation(
            url=invoice.hosted_invoice_url,
            amount=money.of(invoice.amount_due, invoice.currency),
            expires_at=datetime.fromtimestamp(waiting["expires"], UTC),
            items=items,
        )

    @resolver
    async def discounts(self, info: Info) -> list[Discount]:
        """The discounts on it that its next invoices are reduced by."""
        return await Discount.all_of(info, self.state.subscription.discounts)

    @resolver
    async def retention_offer(self, info: Info) -> RetentionOffer | None:
        """What the seller offers to who is about to cancel it; null without an offer."""
        offer = await info.context.loaders.retention_offers.load(self.id)
        found = offer and await info.context.loaders.coupons.load(offer.coupon_id)
        return RetentionOffer(discount=Discount.of(found), expires_at=offer.expires_at) if offer and found else None

    @classmethod
    def of(cls, state: SubscriptionState, catalog: CatalogObjects) -> "BillingSubscription":
        """Make a subscription from its state."""
        row = state.subscription
        items = [SubscriptionItem.of(item, catalog, row.currency) for item in state.items]
        first = items[0] if items else None
        ends = rules.will_cancel(row) or state.planned.end is not None
        return cls(
            owner=Owner(customer_id=row.customer_id),
            id=strawberry.ID(row.id),
            status=SubscriptionStatus(row.status),
            plan=first.plan if first else None,
            items=items,
            quantity=first.quantity if first else None,
            current_period_start=first.current_period_start if first else None,
            current_period_end=first.current_period_end if first else None,
            trial_end=row.trial_end,
            cancel_at=(state.planned.end or rules.end_of(row, state.items)) if ends else None,
            will_cancel=ends,
            ended_at=row.ended_at,
            paused=state.rests,
            paused_until=row.pause_resumes_at if row.pause_behavior else None,
            access=Access.of(state.access, state, catalog),
            pending_change=PendingChange.of(state, catalog),
            state=state,
        )
