"""Promotion codes on a running subscription, and coupons that are offered to who is about to cancel."""

from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry

from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import input_type, mutation, object_type
from gateway.graphql.base.user_errors import Payload, UserError
from gateway.graphql.types.audit import ACTOR
from gateway.graphql.types.caller import Caller
from gateway.graphql.types.subscription_changes import FOR, KEY
from gateway.graphql.types.subscriptions import BillingSubscription


@input_type
class ApplyPromotionCodeInput:
    """The subscription, and the code."""

    subscription_id: strawberry.ID = strawberry.field(description="A subscription of the caller.")
    promotion_code: str = strawberry.field(description="The code as the buyer types it.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class OfferRetentionCouponInput:
    """What is offered, for which subscription, and until when."""

    subscription_id: strawberry.ID = strawberry.field(description="The subscription.")
    coupon_id: strawberry.ID = strawberry.field(description="Stripe's id of the coupon.")
    expires_at: datetime | None = strawberry.field(default=None, description="Until when; left out, without an end.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@input_type
class AcceptRetentionOfferInput:
    """The subscription that goes on."""

    subscription_id: strawberry.ID = strawberry.field(description="A subscription of the caller.")
    idempotency_key: str | None = strawberry.field(default=None, description=KEY)
    external_id: strawberry.ID | None = strawberry.field(default=None, description=FOR)
    actor: str | None = strawberry.field(default=None, description=ACTOR)


@object_type
class ApplyPromotionCodePayload(Payload):
    """The subscription as it is at Stripe now."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class OfferRetentionCouponPayload(Payload):
    """The subscription with what is offered."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


@object_type
class AcceptRetentionOfferPayload(Payload):
    """The subscription as it is at Stripe now."""

    subscription: BillingSubscription | None = strawberry.field(
        default=None, description="The subscription; null when there are errors."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What the caller must fix; empty on success."
    )


CodeInput = Annotated[ApplyPromotionCodeInput, strawberry.argument(description="The subscription, and the code.")]
OfferInput = Annotated[
    OfferRetentionCouponInput, strawberry.argument(description="What is offered, for which subscription.")
]
AcceptInput = Annotated[AcceptRetentionOfferInput, strawberry.argument(description="The subscription that goes on.")]


@object_type
class PromotionMutations:
    """The mutations of discounts."""

    @mutation
    async def apply_promotion_code(self, info: Info, input: CodeInput) -> ApplyPromotionCodePayload:
        """Put a promotion code on a running subscription: its next invoices are reduced.

        One code at a time, and a coupon once for each customer.
        """
        promotions, caller = info.context.services.promotions, Caller.of(info, input)
        about = caller.principal, input.subscription_id, input.promotion_code, input.idempotency_key
        work = partial(promotions.redeem, *about)
        return ApplyPromotionCodePayload(subscription=await caller.changed("subscription.apply_code", work))

    @mutation
    async def offer_retention_coupon(self, info: Info, input: OfferInput) -> OfferRetentionCouponPayload:
        """Offer a coupon to who is about to cancel; the user sees it as `retentionOffer` and may accept it once."""
        promotions, caller = info.context.services.promotions, Caller.of(info, input)
        work = partial(promotions.offer, caller.principal, input.subscription_id, input.coupon_id, input.expires_at)
        return OfferRetentionCouponPayload(subscription=await caller.changed("subscription.offer_coupon", work))

    @mutation
    async def accept_retention_offer(self, info: Info, input: AcceptInput) -> AcceptRetentionOfferPayload:
        """Accept what is offered: the subscription has the discount, and a planned end of it is taken back."""
        promotions, caller = info.context.services.promotions, Caller.of(info, input)
        work = partial(promotions.accept, caller.principal, input.subscription_id, input.idempotency_key)
        return AcceptRetentionOfferPayload(subscription=await caller.changed("subscription.accept_offer", work))
