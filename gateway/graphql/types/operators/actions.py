"""What operators do: by the use cases that the commands and the application's back end have, and in the audit log."""

from datetime import datetime
from typing import Annotated

import strawberry

from gateway.auth.principal import SERVICE
from gateway.billing.credits.gifts import Gift, check_gift, give
from gateway.billing.refunds import MoneyBack
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, mutation, object_type
from gateway.graphql.base.scalars import BigInt, MinorUnits
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import KEY, USER, action_of
from gateway.graphql.types.credits import KIND, CreditEntry
from gateway.graphql.types.directory import ListedCustomer
from gateway.graphql.types.operators.whom import CustomerRefInput, ForCustomer, whom
from gateway.graphql.types.refunds import AMOUNT, Refund, RefundReason

_IDS = "Which ones; left out, all that were given up."


@input_type
class OperatorRetryInput:
    """What is to be tried again."""

    ids: list[strawberry.ID] | None = strawberry.field(default=None, description=_IDS)
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class OperatorReplayEventsInput:
    """The events that are to be applied again."""

    since: datetime = strawberry.field(description="Those that happened at or after this moment.")
    until: datetime = strawberry.field(description="Those that happened before this one, at most 10,000 in all.")
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class OperatorLinkInput:
    """A user, and a customer at Stripe."""

    external_id: strawberry.ID = strawberry.field(description=USER)
    customer_id: strawberry.ID = strawberry.field(description="The customer at Stripe (cus_…).")
    instead_of: strawberry.ID | None = strawberry.field(
        default=None,
        description="For a link: the other user, whom the customer's metadata at Stripe name by mistake, and who has "
        "another customer here. They are rewritten.",
    )
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class OperatorGrantCreditsInput(ForCustomer):
    """The credits to give, and to whom."""

    whom: CustomerRefInput | None = strawberry.field(
        default=None, description="The customer; a user who is none yet becomes one."
    )
    amount: BigInt = strawberry.field(description="The number of credits, 1 to 10^12.")
    kind: str | None = strawberry.field(default=None, description=KIND)
    reason: str = strawberry.field(description="Why, for people, up to 500 characters.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="When those that are left run out; left out, never."
    )
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class OperatorRefundInput:
    """The invoice whose payment goes back, and how much of it."""

    invoice_id: strawberry.ID = strawberry.field(description="A paid invoice (in_…).")
    amount: MinorUnits | None = strawberry.field(default=None, description=AMOUNT)
    reason: RefundReason | None = strawberry.field(default=None, description="Why.")
    idempotency_key: str = strawberry.field(description=KEY)


@object_type
class OperatorRetryPayload(Payload):
    """How much is tried again, or what must be fixed."""

    count: int | None = strawberry.field(default=None, description="How many are due now; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class OperatorLinkPayload(Payload):
    """The customer as it is now, or what must be fixed."""

    customer: ListedCustomer | None = strawberry.field(
        default=None, description="The customer; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class OperatorGrantCreditsPayload(Payload):
    """The entry in the ledger, or what must be fixed."""

    entry: CreditEntry | None = strawberry.field(default=None, description="The grant; null when there are errors.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class OperatorRefundPayload(Payload):
    """The refunds, or what must be fixed."""

    refunds: list[Refund] = strawberry.field(
        default_factory=list, description="One for each payment that has paid the invoice; empty when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


Retry = Annotated[OperatorRetryInput, strawberry.argument(description="What is to be tried again.")]
Link = Annotated[OperatorLinkInput, strawberry.argument(description="The user and the customer.")]


@object_type
class OperatorMutations:
    """The mutations of operators who may act."""

    @mutation
    async def operator_retry_events(self, info: Info, input: Retry) -> OperatorRetryPayload:
        """Try failed events from Stripe and dead letters again. For operators who may act."""
        action = action_of(info, key=input.idempotency_key, actor=None)
        return OperatorRetryPayload(count=await info.context.services.operators.retry_events(input.ids, action))

    @mutation
    async def operator_replay_events(
        self,
        info: Info,
        input: Annotated[OperatorReplayEventsInput, strawberry.argument(description="Which events.")],
    ) -> OperatorRetryPayload:
        """Apply the events of a time again; what is known better already stays as it is. For operators who may act."""
        action = action_of(info, key=input.idempotency_key, actor=None)
        count = await info.context.services.operators.replay_events(input.since, input.until, action)
        return OperatorRetryPayload(count=count)

    @mutation
    async def operator_retry_messages(self, info: Info, input: Retry) -> OperatorRetryPayload:
        """Deliver messages to the application again, delivered or not, under the same `webhook-id`.

        For operators who may act.
        """
        action = action_of(info, key=input.idempotency_key, actor=None)
        return OperatorRetryPayload(count=await info.context.services.operators.retry_messages(input.ids, action))

    @mutation
    async def operator_retry_usage(self, info: Info, input: Retry) -> OperatorRetryPayload:
        """Send usage again that Stripe refused; none counts twice. For operators who may act."""
        action = action_of(info, key=input.idempotency_key, actor=None)
        return OperatorRetryPayload(count=await info.context.services.operators.retry_usage(input.ids, action))

    @mutation
    async def operator_link_customer(self, info: Info, input: Link) -> OperatorLinkPayload:
        """Give a customer at Stripe, with its cards, to a user; the user's present one is let go.

        For operators who may act.
        """
        action = action_of(info, key=input.idempotency_key, actor=None)
        user = SERVICE.acting_as(input.external_id).subject
        row = await info.context.services.desk.link(str(user), input.customer_id, action, instead_of=input.instead_of)
        return OperatorLinkPayload(customer=ListedCustomer.of(row))

    @mutation
    async def operator_unlink_customer(self, info: Info, input: Link) -> OperatorLinkPayload:
        """Take a customer from a user, who begins with a new one; nobody has it until it is linked again.

        For operators who may act.
        """
        action = action_of(info, key=input.idempotency_key, actor=None)
        row = await info.context.services.desk.unlink(input.external_id, input.customer_id, action)
        return OperatorLinkPayload(customer=ListedCustomer.of(row))

    @mutation
    async def operator_grant_credits(
        self,
        info: Info,
        input: Annotated[OperatorGrantCreditsInput, strawberry.argument(description="To whom, and how many.")],
    ) -> OperatorGrantCreditsPayload:
        """Give credits, which no refund takes back. For operators who may act."""
        services, who = info.context.services, await whom(info, input)
        gift = Gift(input.amount, input.reason, input.expires_at, input.kind or "")
        made = action_of(info, key=input.idempotency_key, actor=None)
        action = made(name="credits.grant", input=gift.input, external_id=who.external_id, target=who.customer_id)
        check_gift(gift, action)
        customer_id = who.customer_id or (await services.customers.customer_for(who.principal)).id
        entry = await give(services.database, customer_id, gift, action)
        return OperatorGrantCreditsPayload(entry=CreditEntry.of(entry))

    @mutation
    async def operator_refund_invoice(
        self,
        info: Info,
        input: Annotated[OperatorRefundInput, strawberry.argument(description="The invoice, and how much of it.")],
    ) -> OperatorRefundPayload:
        """Refund the payment of an invoice; credits and access go back with it. For operators who may act."""
        reason = str(input.reason.value) if input.reason else None
        action = action_of(info, key=input.idempotency_key, actor=None)
        wanted = MoneyBack(input.invoice_id, input.amount, reason)
        made = await info.context.services.refunds.refund(wanted, action)
        return OperatorRefundPayload(refunds=[Refund.of(each) for each in made.get("refunds", [made])])
