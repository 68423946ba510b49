"""What operators do about the end of a subscription: as its customer would, whether that is a user or nobody's."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import strawberry

from gateway.auth.principal import Principal
from gateway.billing.audit import Attempt, Json
from gateway.billing.subscriptions.ending import Cancellation
from gateway.billing.subscriptions.state import SubscriptionState, read_subscription
from gateway.errors import NotFound
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, mutation, object_type
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import KEY, action_of
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.operators.whom import ForCustomer, whom
from gateway.graphql.types.subscription_changes import CancellationTime
from gateway.graphql.types.subscriptions import BillingSubscription

_WHICH = "A subscription of theirs (sub_…)."


@input_type
class OperatorCancelInput(ForCustomer):
    """The subscription that is to end, and when."""

    subscription_id: strawberry.ID = strawberry.field(description=_WHICH)
    when: CancellationTime = strawberry.field(description="At once, or with the period that was paid for.")
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class OperatorPauseInput(ForCustomer):
    """The subscription of which nothing is to be collected for a while."""

    subscription_id: strawberry.ID = strawberry.field(description=_WHICH)
    until: datetime | None = strawberry.field(
        default=None,
        description="It goes on with the first renewal at or after this moment; left out, when it is resumed.",
    )
    idempotency_key: str = strawberry.field(description=KEY)


@input_type
class OperatorResumeInput(ForCustomer):
    """The subscription that is to go on."""

    subscription_id: strawberry.ID = strawberry.field(description=_WHICH)
    idempotency_key: str = strawberry.field(description=KEY)


@object_type
class OperatorCancelPayload(Payload):
    """The subscription as it is at Stripe now, or what must be fixed."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class OperatorPausePayload(Payload):
    """The subscription as it is at Stripe now, or what must be fixed."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class OperatorResumePayload(Payload):
    """The subscription as it is at Stripe now, or what must be fixed."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class OperatorEndingMutations:
    """The mutations of operators about the end of a subscription."""

    @mutation
    async def operator_cancel_subscription(
        self,
        info: Info,
        input: Annotated[OperatorCancelInput, strawberry.argument(description="The subscription, and when it ends.")],
    ) -> OperatorCancelPayload:
        """End a subscription, now or with the period that was paid for. For operators who may act."""
        how = Cancellation(now=input.when is CancellationTime.NOW)

        async def cancel(user: Principal) -> SubscriptionState:
            return await info.context.services.endings.cancel(user, input.subscription_id, how, input.idempotency_key)

        asked = {"when": input.when.name}
        return OperatorCancelPayload(subscription=await _done(info, input, "subscription.cancel", asked, cancel))

    @mutation
    async def operator_pause_subscription(
        self,
        info: Info,
        input: Annotated[OperatorPauseInput, strawberry.argument(description="The subscription, and until when.")],
    ) -> OperatorPausePayload:
        """Collect nothing for a subscription for a while. For operators who may act."""

        async def pause(user: Principal) -> SubscriptionState:
            endings = info.context.services.endings
            return await endings.pause(user, input.subscription_id, input.until, input.idempotency_key)

        asked = {"until": input.until.isoformat() if input.until else None}
        return OperatorPausePayload(subscription=await _done(info, input, "subscription.pause", asked, pause))

    @mutation
    async def operator_resume_subscription(
        self,
        info: Info,
        input: Annotated[OperatorResumeInput, strawberry.argument(description="The subscription.")],
    ) -> OperatorResumePayload:
        """Undo a planned end, or resume after a pause, which may charge. For operators who may act."""

        async def resume(user: Principal) -> SubscriptionState:
            return await info.context.services.endings.resume(user, input.subscription_id, input.idempotency_key)

        return OperatorResumePayload(subscription=await _done(info, input, "subscription.resume", {}, resume))


async def _done(
    info: Info,
    input: OperatorCancelInput | OperatorPauseInput | OperatorResumeInput,
    name: str,
    asked: dict[str, Any],
    work: Callable[[Principal], Awaitable[SubscriptionState]],
) -> BillingSubscription:
    """Do something to a subscription once, in the audit log; the subscription as it is then.

    Args:
        info: of the mutation.
        input: whose it must be, which one, and the key.
        name: of the action.
        asked: what must be the same under one key.
        work: does it, for whom it is given.
    """
    services, named = info.context.services, input.subscription_id
    who = await whom(info, input)

    async def recorded(_: Attempt) -> Json:
        return {"subscription": (await work(who.principal)).subscription.id}

    made = action_of(info, key=input.idempotency_key, actor=None)
    await services.audit.once(made(name=name, input=asked, external_id=who.external_id, target=named), recorded)
    state = await read_subscription(services.database, named, services.settings.grace)
    if state is None:
        raise NotFound("there is no such object")
    return BillingSubscription.of(state, catalog_objects_of(await services.catalog.snapshot()))
