"""What somebody wants a subscription to become, and when. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum


class ChangeTime(Enum):
    """When a change of a subscription happens; each value says what it means."""

    NOW = "At once; what is due is charged."
    AT_PERIOD_END = "When the period that was paid for ends; the renewal is billed at the new price."
    AUTOMATIC = "Up at once, down when the period ends. In a trial, where nothing is paid for, at once."


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One of several changes.

    Attributes:
        price_id: what the item becomes, or what is added; of what is removed, its price.
        quantity: None keeps the present one, and is 1 of what is added.
        item_id: the item; None leaves it to the price.
        remove: whether it goes.
    """

    price_id: str | None = None
    quantity: int | None = None
    item_id: str | None = None
    remove: bool = False


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What somebody wants to change to: one plan, or several items at once.

    Attributes:
        price_id: the new plan, or the present one to change only the quantity; None with `items`.
        quantity: None keeps the present one.
        item_id: which item of the subscription changes; None leaves it to the plan.
        proration_date: the moment that the preview counted from; None is now.
        when: it happens; None leaves it to the setting.
        items: several changes in one.
    """

    price_id: str | None = None
    quantity: int | None = None
    item_id: str | None = None
    proration_date: datetime | None = None
    when: ChangeTime | None = None
    items: tuple[ItemChange, ...] = ()
