"""What a subscription becomes, as clients say it: one plan, or several changes of its items."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final

import strawberry

from gateway.billing.subscriptions.change_request import ChangeTime, ItemChange, PlanChange
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.graphql.base.decorators import input_type, one_of_type

SHORT: Final = "Until 2027-12-01: `to` takes exactly one of `plan` and `items`."
TO: Final = "What it becomes."
PLAN: Final = "The plan to change to; the present one to change the quantity."
QUANTITY: Final = "The quantity; the present one if left out."
WHICH: Final = "Of several items the one that changes; else the one whose product is of its group."
ITEMS: Final = "Several changes in one: add-ons that come or go, quantities, another plan."


@input_type
class PlanChangeInput:
    """Another plan, or another quantity of the present one."""

    price_id: strawberry.ID = strawberry.field(description=PLAN)
    quantity: int | None = strawberry.field(default=None, description=QUANTITY)
    item_id: strawberry.ID | None = strawberry.field(default=None, description=WHICH)


@input_type
class SubscriptionItemInput:
    """An item as it is to be: named by its id, by its price, or by both where it gets another price.

    A price that none of the items has, nor one of its product or group, is added: an add-on, for example.
    """

    item_id: strawberry.ID | None = strawberry.field(
        default=None, description="The item; left out, the one of the same price, product or group, if there is one."
    )
    price_id: strawberry.ID | None = strawberry.field(
        default=None, description="What the item becomes, or what is added; left out, only the quantity changes."
    )
    quantity: int | None = strawberry.field(
        default=None, description="The quantity; the present one if left out, and 1 of what is added."
    )


@one_of_type
class SubscriptionItemRefInput:
    """An item of a subscription, by exactly one of its names."""

    item_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Its id, which is unknown once it is gone."
    )
    price_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="Its price.")


@one_of_type
class ItemChangeInput:
    """One of several changes: exactly one of the two."""

    set: SubscriptionItemInput | None = strawberry.field(
        default=strawberry.UNSET, description="What an item becomes, or what is added."
    )
    remove: SubscriptionItemRefInput | None = strawberry.field(
        default=strawberry.UNSET, description="What goes; what is not there has gone already."
    )

    def change(self) -> ItemChange:
        """Return the change as the use case takes it."""
        if self.set:
            return ItemChange(self.set.price_id, self.set.quantity, self.set.item_id)
        gone = self.remove or SubscriptionItemRefInput()
        price_id, item_id = (None if each is strawberry.UNSET else each for each in (gone.price_id, gone.item_id))
        return ItemChange(price_id, None, item_id, remove=True)


@one_of_type
class SubscriptionChangeInput:
    """What a subscription becomes: exactly one of the two."""

    plan: PlanChangeInput | None = strawberry.field(default=strawberry.UNSET, description="One plan.")
    items: list[ItemChangeInput] | None = strawberry.field(default=strawberry.UNSET, description=ITEMS)


@input_type
class SubscriptionItemChangeInput:
    """A change as `items` took it before there was `to`."""

    item_id: strawberry.ID | None = strawberry.field(
        default=None, description="The item; left out, the one of the same price, product or group, if there is one."
    )
    price_id: strawberry.ID | None = strawberry.field(
        default=None, description="What the item becomes, or what is added; left out, only the quantity changes."
    )
    quantity: int | None = strawberry.field(
        default=None, description="The quantity; the present one if left out, and 1 of what is added."
    )
    remove: bool = strawberry.field(
        default=False,
        description="Whether it goes.",
        deprecation_reason="Until 2027-12-01: `ItemChangeInput.remove` takes exactly one of `itemId` and `priceId`.",
    )


To = Annotated[SubscriptionChangeInput | None, strawberry.argument(description=TO)]
ToPrice = Annotated[strawberry.ID | None, strawberry.argument(description=PLAN, deprecation_reason=SHORT)]
ToQuantity = Annotated[int | None, strawberry.argument(description=QUANTITY, deprecation_reason=SHORT)]
ItemToChange = Annotated[strawberry.ID | None, strawberry.argument(description=WHICH, deprecation_reason=SHORT)]
ItemsToChange = Annotated[
    list[SubscriptionItemChangeInput] | None, strawberry.argument(description=ITEMS, deprecation_reason=SHORT)
]


def plan_change(
    to: SubscriptionChangeInput | None,
    short: PlanChange,
    short_items: list[SubscriptionItemChangeInput] | None = None,
    *,
    when: ChangeTime | None,
    proration_date: datetime | None = None,
) -> PlanChange:
    """Make a change of what a client has given.

    Args:
        to: what the subscription becomes.
        short: the same by the short names.
        short_items: and several of them.
        when: it happens.
        proration_date: the moment that the preview counted from.

    Raises:
        Rejected: it is said in both ways.
    """
    if to is None:
        several = tuple(
            ItemChange(each.price_id, each.quantity, each.item_id, each.remove) for each in short_items or ()
        )
        return replace(short, items=several, when=when, proration_date=proration_date)
    if short != PlanChange() or short_items is not None:
        message = "say it once, by `to`: `priceId`, `quantity`, `subscriptionItemId` and `items` are its old names"
        raise Rejected(Problem(ProblemCode.LINE_ITEMS_INVALID, message, "to"))
    if to.plan:
        return PlanChange(to.plan.price_id, to.plan.quantity, to.plan.item_id, proration_date, when)
    items = tuple(each.change() for each in to.items or ())
    return PlanChange(items=items, proration_date=proration_date, when=when)


_OF_PLAN = {"priceId": "priceId", "quantity": "quantity", "subscriptionItemId": "itemId"}
_OF_ENTRY = re.compile(r"items\.(\d+)\.(\w+)")


@contextmanager
def problems_at(to: SubscriptionChangeInput | None) -> Iterator[None]:
    """Tell problems at the names that the client has written: the use case tells them at the short ones.

    Raises:
        Rejected: as it was raised.
    """
    try:
        yield
    except Rejected as rejected:
        if to is None:
            raise
        problems = (replace(each, field=_place(each.field, to)) for each in rejected.problems)
        raise Rejected(*problems, current=rejected.current) from None


def _place(field: str | None, to: SubscriptionChangeInput) -> str | None:
    """Return where in `to` a problem is."""
    if field is None or not (field in _OF_PLAN or field.startswith("items")):
        return field
    if to.plan:
        return f"to.plan.{_OF_PLAN[field]}" if field in _OF_PLAN else "to.plan"
    entry = _OF_ENTRY.fullmatch(field)
    return f"to.items.{entry[1]}.set.{entry[2]}" if entry else "to.items"
