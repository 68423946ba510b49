"""When a change happens: at once, or as the period ends that was paid for; and the phases of a schedule that makes it
then. Pure.

Source: Stripe, "Subscription schedules" and "Billing modes": a phase that begins as a period ends gives one renewal, at
the new price.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from gateway.billing.catalog.amounts import Direction, direction
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.subscriptions.access import will_cancel
from gateway.billing.subscriptions.pending import PendingChange
from gateway.billing.subscriptions.state import SubscriptionState
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.mirror.mapping import id_of
from gateway.models.mirrored import Price, SubscriptionItem


class ChangeTime(Enum):
    """When a change of a subscription happens; each value says what it means."""

    NOW = "At once; what is due is charged."
    AT_PERIOD_END = "When the period that was paid for ends; the renewal is billed at the new price."
    AUTOMATIC = "Up at once, down when the period ends. In a trial, where nothing is paid for, at once."


def waits(when: ChangeTime, present: SubscriptionState, target: Mapping[str, Any], snapshot: Snapshot) -> bool:
    """Return whether a change happens as the period ends.

    What costs an amount that nobody knows beforehand (a metered plan) changes with the period, too: its usage until
    then is billed as it was agreed.

    Args:
        when: as the caller wants it.
        present: the subscription.
        target: the item that changes, as the parameter of a change has it.
        snapshot: says what plans cost.
    """
    if when is not ChangeTime.AUTOMATIC:
        return when is ChangeTime.AT_PERIOD_END
    if present.subscription.status == "trialing":
        return False
    item, wanted = item_of(present, target), snapshot.prices[target["price"]]
    have = snapshot.prices.get(item.price_id)
    if have is None:
        return True
    found = direction((have, item.quantity), (wanted, target.get("quantity")), present.subscription.currency)
    return found in {None, Direction.DOWN}


def item_of(present: SubscriptionState, target: Mapping[str, Any]) -> SubscriptionItem:
    """Return the item that a change is of."""
    return next(item for item in present.items if item.id == target["id"])


def cannot_wait(present: SubscriptionState, field: str = "when") -> Problem | None:
    """Return why nothing can be planned for the end of the period; None where it can.

    Args:
        present: the subscription.
        field: of the input that plans it.
    """
    if present.subscription.status == "paused":
        message = "the subscription is paused and no period of it ends: resume it first"
        return Problem(ProblemCode.SUBSCRIPTION_PAUSED, message, field)
    if will_cancel(present.subscription):
        message = "the subscription ends: resume it first, so that there is a period after this one"
        return Problem(ProblemCode.SUBSCRIPTION_ENDING, message, field)
    return None


def planned(present: SubscriptionState, target: Mapping[str, Any]) -> PendingChange:
    """Return a change as it waits for the end of the period of the item that changes."""
    changed = target["price"], target.get("quantity")
    items = (changed if each.id == target["id"] else (each.price_id, each.quantity) for each in present.items)
    return PendingChange(tuple(items), item_of(present, target).current_period_end)


def phases(subscription: Mapping[str, Any], target: Mapping[str, Any], at: datetime, price: Price) -> list[Any]:
    """Return the phases that leave a subscription as it is until a moment, and change one of its items then.

    Both say all that the subscription says, because a phase without it is one without discounts, taxes and notes. The
    second lasts for one period of its plan; the schedule releases the subscription then.

    Args:
        subscription: as Stripe has it, with the schedule that has been made around it.
        target: the item that changes, as the parameter of a change has it.
        at: when.
        price: which it becomes.
    """
    shared = _shared(subscription)
    items = subscription["items"]["data"]
    kept = [_entry(item) for item in items]
    then = [_entry({**item, **_changed(target)} if item["id"] == target["id"] else item) for item in items]
    schedule, end = subscription["schedule"], int(at.timestamp())
    present = schedule["current_phase"] or schedule["phases"][0]
    first: dict[str, Any] = {**shared, "items": kept, "start_date": present["start_date"], "end_date": end}
    if subscription["status"] == "trialing":
        first["trial_end"] = subscription["trial_end"]
    duration = {"interval": price.interval, "interval_count": price.interval_count or 1}
    return [first, {**shared, "items": then, "duration": duration}]


def _shared(subscription: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both phases say of the subscription beside its items."""
    said: dict[str, Any] = {
        "proration_behavior": "none",
        "discounts": [{"discount": id_of(each)} for each in subscription["discounts"]],
        "default_tax_rates": [rate["id"] for rate in subscription["default_tax_rates"] or ()],
        "default_payment_method": id_of(subscription["default_payment_method"]),
        "description": subscription["description"],
        "metadata": subscription["metadata"],
    }
    if subscription["collection_method"] == "send_invoice":
        days = {"days_until_due": subscription["days_until_due"]}
        said |= {"collection_method": "send_invoice", "invoice_settings": days}
    return {name: value for name, value in said.items() if value}


def _changed(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an item has after a change."""
    return {"price": {"id": target["price"]}, "quantity": target.get("quantity")}


def _entry(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item of a subscription as a phase takes it; a metered one has no quantity."""
    said: dict[str, Any] = {
        "price": item["price"]["id"],
        "discounts": [{"discount": id_of(each)} for each in item.get("discounts") or ()],
        "metadata": item["metadata"],
        "tax_rates": [rate["id"] for rate in item["tax_rates"] or ()],
    }
    said = {name: value for name, value in said.items() if value}
    return said | ({} if item.get("quantity") is None else {"quantity": item["quantity"]})
