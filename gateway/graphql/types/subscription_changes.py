"""Changes of a subscription: the quote and the mutations. They answer what Stripe has answered."""

from datetime import datetime
from enum import Enum
from functools import partial
from typing import Annotated

import strawberry

from gateway.billing.subscriptions.change_request import ChangeTime, PlanChange
from gateway.billing.subscriptions.ending import Cancellation
from gateway.billing.subscriptions.plan_change import Preview
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.db.rows import row_by_id
from gateway.graphql.base import scalars as money
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import enum_from, enum_type, input_type, mutation, object_type
from gateway.graphql.base.scalars import Money
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types import change_inputs as inputs
from gateway.graphql.types.audit import ACTOR
from gateway.graphql.types.caller import Caller
from gateway.graphql.types.catalog_objects import CatalogObjects, catalog_objects_of
from gateway.graphql.types.change_inputs import SubscriptionChangeInput, SubscriptionItemChangeInput
from gateway.graphql.types.invoices import Invoice, InvoiceLine
from gateway.graphql.types.subscriptions import BillingSubscription
from gateway.models.mirrored import Invoice as InvoiceRow

enum_from(ChangeTime, name="ChangeTime")

KEY = "The same key with the same input does it once, however often it is sent."
FOR = "The user for whom the application's own back end does it; nobody else may name one."
WHEN = "When it happens; left out, as the gateway is set up."


@object_type
class ChangePreview:
    """What a change would cost. Given with `prorationDate` to `changeSubscription`, it is what is charged."""

    due_now: Money = strawberry.field(description="What is charged at once.")
    credit: Money = strawberry.field(description="The credit that lowers the next invoices.")
    lines: list[InvoiceLine] = strawberry.field(description="The lines that make up `dueNow` or `credit`.")
    due_at_renewal: Money | None = strawberry.field(
        description="What the next renewal comes to then, without usage; null when there is none."
    )
    renews_at: datetime | None = strawberry.field(description="When the plan renews next; null when it does not.")
    proration_date: datetime = strawberry.field(
        description="The moment from which the amounts count; valid for 15 minutes."
    )
    when: ChangeTime = strawberry.field(description="When the change happens: `NOW` or `AT_PERIOD_END`.")
    at: datetime = strawberry.field(description="The moment of the change.")
    trial_end: datetime | None = strawberry.field(
        description="When the trial that goes on after the change ends; null where the change ends it, or none runs."
    )

    @classmethod
    def of(cls, preview: Preview, catalog: CatalogObjects) -> "ChangePreview":
        """Make a preview from the amounts that Stripe computed."""
        currency = preview.currency
        return cls(
            due_now=money.of(preview.due_now, currency),
            credit=money.of(preview.credit, currency),
            lines=[InvoiceLine(line=line, currency=currency, catalog=catalog) for line in preview.lines],
            due_at_renewal=money.of(preview.due_at_renewal, currency),
            renews_at=preview.renews_at,
            proration_date=preview.proration_date,
            when=ChangeTime.AT_PERIOD_END if preview.at else ChangeTime.NOW,
            at=preview.at or preview.proration_date,
            trial_end=preview.trial_end,
        )


@object_type
class ChangeQuote(Payload):
    """What a change would cost, or why it cannot be made."""

    preview: ChangePreview | None = strawberry.field(
        default=None, description="What it would cost; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty where the change can be made."
    )


@enum_type
class CancellationTime(Enum):
    """When a subscription ends."""

    NOW = strawberry.enum_value("now", description="At once; nothing is paid back.")
    AT_PERIOD_END = strawberry.enum_value("at_period_end", description="When the period that was paid for ends.")


@enum_type
class CancellationReason(Enum):
    """Why a customer leaves, in Stripe's words."""

    CUSTOMER_SERVICE = strawberry.enum_value("customer_service", description="Customer service was not good enough.")
    LOW_QUALITY = strawberry.enum_value("low_quality", description="Quality was not good enough.")
    MISSING_FEATURES = strawberry.enum_value("missing_features", description="Some features are missing.")
    OTHER = strawberry.enum_value("other", description="Something else.")
    SWITCHED_SERVICE = strawberry.enum_value("switched_service", description="Another service is used instead.")
    TOO_COMPLEX = strawberry.enum_value("too_complex", description="It was too hard to use.")
    TOO_EXPENSIVE = strawberry.enum_value("too_expensive", description="It costs too much.")
    UNUSED = strawberry.enum_value("unused", description="It is not used enough.")


@input_type
class ChangeSubscriptionInput:
    """The subscription to change, and what it becomes."""

    subscription_id: strawberry.ID = strawberry.field(description="A subscription of the caller.")
    to: SubscriptionChangeInput | None = strawberry.field(default=None, description=inputs.TO)
    price_id: strawberry.ID | None = strawberry.field(
        default=None, description=inputs.PLAN, deprecation_reason=inputs.SHORT
    )
    quantity: int | None = strawberry.field(default=None, description=inputs.QUANTITY, deprecation_reason=inputs.SHORT)
    subscription_item_id: strawberry.ID | None = strawberry.field(
        default=None, description=inputs.WHICH, deprecation_reason=inputs.SHORT
    )
    items: list[SubscriptionItemChangeInput] | None = strawberry.field(
        default=None, description=inputs.ITEMS, deprecation_reason=inputs.SHORT
    )
    proration_date: datetime | None = strawberry.field(
        default=None, description="The preview's, so that its amount is charged; otherwise proration counts from now."
    )
    when: ChangeTime | None = strawberry.field(default=None, description=WHEN)
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class CancelPendingChangeInput:
    """The subscription that is to stay as it is."""

    subscription_id: strawberry.ID = strawberry.field(description="A subscription of the caller.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class CancelSubscriptionInput:
    """The subscription to cancel, when it ends, and why."""

    subscription_id: strawberry.ID = strawberry.field(description="A subscription of the caller.")
    when: CancellationTime = strawberry.field(default=CancellationTime.AT_PERIOD_END, description="When it ends.")
    reason: CancellationReason | None = strawberry.field(default=None, description="Why the customer cancels.")
    comment: str | None = strawberry.field(default=None, description="In the customer's words, up to 500 characters.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class PauseSubscriptionInput:
    """The subscription to pause, and until when."""

    subscription_id: strawberry.ID = strawberry.field(description="A subscription of the caller.")
    until: datetime | None = strawberry.field(
        default=None,
        description="It goes on by itself with the first renewal at or after this moment, within a year; left out, "
        "when it is resumed.",
    )
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class ResumeSubscriptionInput:
    """The subscription to resume."""

    subscription_id: strawberry.ID = strawberry.field(description="A subscription of the caller.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@object_type
class ChangeSubscriptionPayload(Payload):
    """The subscription as it is at Stripe now, and what was billed for the change."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    invoice: Invoice | None = strawberry.field(
        default=None, description="What was billed for the change; null when nothing was."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class SubscriptionPayload(Payload):
    """What a mutation of a subscription answers."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class CancelPendingChangePayload(SubscriptionPayload):
    """The subscription as it is at Stripe now."""


@object_type
class CancelSubscriptionPayload(SubscriptionPayload):
    """The subscription as it is at Stripe now."""


@object_type
class PauseSubscriptionPayload(SubscriptionPayload):
    """The subscription as it is at Stripe now."""


@object_type
class ResumeSubscriptionPayload(SubscriptionPayload):
    """The subscription as it is at Stripe now."""


ChangeInput = Annotated[
    ChangeSubscriptionInput, strawberry.argument(description="The subscription to change, and what it becomes.")
]
CancelPendingInput = Annotated[
    CancelPendingChangeInput, strawberry.argument(description="The subscription that is to stay as it is.")
]
CancelInput = Annotated[
    CancelSubscriptionInput, strawberry.argument(description="The subscription to cancel, when it ends, and why.")
]
PauseInput = Annotated[
    PauseSubscriptionInput, strawberry.argument(description="The subscription to pause, and until when.")
]
ResumeInput = Annotated[ResumeSubscriptionInput, strawberry.argument(description="The subscription to resume.")]


@object_type
class ChangeMutations:
    """The mutations of a subscription."""

    @mutation
    async def change_subscription(self, info: Info, input: ChangeInput) -> ChangeSubscriptionPayload:
        """Change the plan or the quantity, at once or as the period ends; what waited before is replaced.

        At once, what is due is charged, or nothing is changed.
        """
        short = PlanChange(input.price_id, input.quantity, input.subscription_item_id)
        change = inputs.plan_change(input.to, short, input.items, when=input.when, proration_date=input.proration_date)
        services, caller = info.context.services, Caller.of(info, input)
        if customer := await services.customers.find(caller.principal):
            await services.customers.tell_stripe(caller.principal, customer)

        async def work() -> tuple[SubscriptionState, str | None]:
            state, invoice = await services.subscriptions.change(
                caller.principal, input.subscription_id, change, input.idempotency_key
            )
            return state, invoice.id if invoice else None

        with inputs.problems_at(input.to):
            state, invoice_id = await caller.once("subscription.change", work)
        catalog = catalog_objects_of(await services.catalog.snapshot())
        invoice = await services.database.read(lambda connection: row_by_id(connection, InvoiceRow, invoice_id or ""))
        return ChangeSubscriptionPayload(
            subscription=BillingSubscription.of(state, catalog),
            invoice=Invoice.of(invoice, catalog) if invoice else None,
        )

    @mutation
    async def cancel_pending_change(self, info: Info, input: CancelPendingInput) -> CancelPendingChangePayload:
        """Undo the change that waits for the end of the period; where none waits, nothing is done."""
        services, caller = info.context.services, Caller.of(info, input)
        work = partial(services.subscriptions.cancel_pending, caller.principal, input.subscription_id)
        return CancelPendingChangePayload(subscription=await caller.changed("subscription.cancel_pending_change", work))

    @mutation
    async def cancel_subscription(self, info: Info, input: CancelInput) -> CancelSubscriptionPayload:
        """End a subscription, now or with the period that was paid for."""
        services, caller = info.context.services, Caller.of(info, input)
        how = Cancellation(
            now=input.when is CancellationTime.NOW,
            feedback=str(input.reason.value) if input.reason else None,
            comment=input.comment,
        )
        work = partial(services.endings.cancel, caller.principal, input.subscription_id, how, input.idempotency_key)
        return CancelSubscriptionPayload(subscription=await caller.changed("subscription.cancel", work))

    @mutation
    async def pause_subscription(self, info: Info, input: PauseInput) -> PauseSubscriptionPayload:
        """Collect nothing for a while; what was paid for is given to its end."""
        services, caller = info.context.services, Caller.of(info, input)
        work = partial(
            services.endings.pause, caller.principal, input.subscription_id, input.until, input.idempotency_key
        )
        return PauseSubscriptionPayload(subscription=await caller.changed("subscription.pause", work))

    @mutation
    async def resume_subscription(self, info: Info, input: ResumeInput) -> ResumeSubscriptionPayload:
        """Undo a planned cancellation, or resume after a pause.

        Where the pause has kept the present period from being billed, a new one begins and is charged; where that is so
        of some plans alone, the pause ends with their renewal (`pausedUntil`).
        """
        services, caller = info.context.services, Caller.of(info, input)
        work = partial(services.endings.resume, caller.principal, input.subscription_id, input.idempotency_key)
        return ResumeSubscriptionPayload(subscription=await caller.changed("subscription.resume", work))
