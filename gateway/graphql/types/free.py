"""Subscriptions that cost nothing at first, started without the hosted page."""

from typing import Annotated

import strawberry

from gateway.billing.checkout.request import CheckoutRequest
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, mutation, object_type
from gateway.graphql.base.scalars import Currency
from gateway.graphql.types.catalog_objects import catalog_objects_of
from gateway.graphql.types.checkout import CheckoutLineItemInput
from gateway.graphql.types.subscription_changes import FOR, KEY, SubscriptionPayload
from gateway.graphql.types.subscriptions import BillingSubscription


@input_type
class StartSubscriptionInput:
    """What to start, and a code that may make it free."""

    line_items: list[CheckoutLineItemInput] = strawberry.field(description="1 to 20 plans.")
    promotion_code: str | None = strawberry.field(default=None, description="A code as the buyer types it.")
    currency: Currency | None = strawberry.field(default=None, description="The currency; left out, the prices' own.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)


@object_type
class StartSubscriptionPayload(SubscriptionPayload):
    """The subscription that has begun."""


StartInput = Annotated[StartSubscriptionInput, strawberry.argument(description="What to start.")]


@object_type
class FreeMutations:
    """The mutation of what costs nothing at first."""

    @mutation
    async def start_subscription(self, info: Info, input: StartInput) -> StartSubscriptionPayload:
        """Start a subscription that costs nothing at first: a free plan, a trial, or what a code makes free.

        No card is asked for, where the gateway is set up so; what costs something is bought at the checkout.
        """
        services = info.context.services
        request = CheckoutRequest(
            lines=tuple(each.line() for each in input.line_items),
            external_id=input.external_id,
            currency=input.currency.lower() if input.currency else None,
            promotion_code=input.promotion_code,
            idempotency_key=input.idempotency_key,
        )
        state = await services.free.start(info.context.principal, request)
        catalog = catalog_objects_of(await services.catalog.snapshot())
        return StartSubscriptionPayload(subscription=BillingSubscription.of(state, catalog))
