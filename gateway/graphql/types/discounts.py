"""Discounts, wherever they are: on a subscription, an invoice, or a checkout."""

from collections.abc import Iterable
from datetime import datetime

import strawberry

from gateway.billing.subscriptions.discounts import Reduction
from gateway.graphql.base import scalars as money
from gateway.graphql.base.context import Info
from gateway.graphql.base.decorators import object_type
from gateway.graphql.base.scalars import Money


@object_type
class Discount:
    """What is taken off: a percentage, or an amount."""

    coupon_id: strawberry.ID = strawberry.field(description="Stripe's id of the coupon.")
    name: str | None = strawberry.field(description="Its name, as the invoices have it; null without.")
    percent_off: float | None = strawberry.field(description="Per cent; null when it is an amount.")
    amount_off: Money | None = strawberry.field(description="The amount; null when it is a percentage.")
    once: bool = strawberry.field(description="Whether it counts for one invoice alone.")
    ends_at: datetime | None = strawberry.field(description="When it ends; null without an end, and with `once`.")
    by_code: bool = strawberry.field(description="Whether a promotion code gave it, and not the seller.")

    @classmethod
    def of(cls, found: Reduction) -> "Discount":
        """Make a discount."""
        return cls(
            coupon_id=strawberry.ID(found.coupon_id),
            name=found.name,
            percent_off=found.percent_off,
            amount_off=money.of(found.amount_off, found.currency),
            once=found.once,
            ends_at=found.ends,
            by_code=found.promotion_code_id is not None,
        )

    @classmethod
    async def all_of(cls, info: Info, ids: Iterable[str]) -> "list[Discount]":
        """Return discounts by their ids; one that the mirror does not have is left out."""
        found = await info.context.loaders.discounts.load_many(list(ids))
        return [cls.of(each) for each in found if each is not None]
