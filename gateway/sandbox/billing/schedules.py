"""Subscription schedules: a subscription that starts later and changes by itself, phase after phase.

Source: docs.stripe.com/billing/subscriptions/subscription-schedules
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import (
    changes,
    invoices,
    pending,
    renewals,
    starting,
    subscriptions,
)
from gateway.sandbox.core import periods
from gateway.sandbox.core.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

LIVE = ("not_started", "active")
EXPIRY_WARNING = 7 * periods.DAY


def begin(sandbox: Sandbox, schedule: Obj) -> None:
    """Plan the schedule's start; one that starts now (or earlier) starts at once."""
    start = schedule["phases"][0]["start_date"]
    if start <= sandbox.now(schedule):
        enter(sandbox, schedule["id"])
    else:
        sandbox.clock.schedule(start, "subscription_schedule.phase", schedule)


def enter_due(sandbox: Sandbox, subscription: Obj) -> None:
    """Enter the phase that begins as a period ends, so that the renewal is billed at the new phase's prices.

    Source: docs.stripe.com/billing/subscriptions/billing-mode/compare, "Consolidated invoicing".
    """
    if subscription["schedule"]:
        enter(sandbox, subscription["schedule"])


def enter(sandbox: Sandbox, id: str) -> None:
    """Begin a phase, or complete the schedule after the last one; a phase that has begun and is the same goes on."""
    schedule = sandbox.need("subscription_schedule", id)
    if schedule["status"] not in LIVE:
        return
    now = sandbox.now(schedule)
    phase = next((each for each in schedule["phases"] if each["end_date"] > now), None)
    if phase is None:
        _complete(sandbox, schedule, now)
        return
    subscription = sandbox.store.get("subscription", schedule["subscription"] or "")
    if subscription is None:
        schedule |= {"status": "active", "subscription": _start(sandbox, schedule, phase)["id"]}
    elif subscription["status"] in subscriptions.FINAL:
        return
    elif schedule.get("_entered") != phase:
        _change(sandbox, schedule, subscription, phase)
    follow(sandbox, schedule, phase)


def follow(sandbox: Sandbox, schedule: Obj, phase: Obj) -> None:
    """Note the current phase, and plan its end and the warning before the schedule's."""
    schedule["current_phase"] = {"end_date": phase["end_date"], "start_date": phase["start_date"]}
    schedule["_entered"] = phase
    sandbox.update(schedule, "subscription_schedule.updated")
    sandbox.clock.schedule(phase["end_date"], "subscription_schedule.phase", schedule)
    last = schedule["phases"][-1]["end_date"]
    if not schedule.get("_warned"):
        sandbox.clock.schedule(last - EXPIRY_WARNING, "subscription_schedule.expiring", schedule)


def _start(sandbox: Sandbox, schedule: Obj, phase: Obj) -> Obj:
    """Start the subscription of a schedule: active at once, its first invoice with the usual hour as a draft."""
    customer = sandbox.need("customer", schedule["customer"])
    given = {"items": [_entry(item) for item in phase["items"]], **_shared(schedule, phase)}
    given = {name: value for name, value in given.items() if value not in ("", [])}
    subscription = starting.create(sandbox, customer, {**given, "billing_mode": schedule["billing_mode"]})
    subscription["schedule"] = schedule["id"]
    if subscription["status"] != "trialing":
        subscription["status"] = "active"
    subscriptions.save(sandbox, subscription, None)
    bought = starting.first_lines(sandbox, subscription, "create_prorations")
    pending.add_extra(sandbox, subscription, _extras(phase))
    invoice = subscriptions.bill(sandbox, subscription, bought, "subscription_create")
    sandbox.emit("customer.subscription.created", subscription)
    invoices.advance_later(sandbox, invoice)
    return subscription


def _change(sandbox: Sandbox, schedule: Obj, subscription: Obj, phase: Obj) -> None:
    """Make a subscription what a phase says: within a period with prorations, at its end before the renewal."""
    now = sandbox.now(schedule)
    change = {
        "items": _entries(subscription["items"]["data"], phase["items"]),
        "add_invoice_items": _extras(phase) if phase["start_date"] <= now else [],
        **_shared(schedule, phase),
    }
    anew = phase["billing_cycle_anchor"] == "phase_start" and phase["start_date"] == now
    over = all(item["current_period_end"] <= now for item in subscription["items"]["data"])
    if over and "trial_end" not in change:
        changes.at_period_end(sandbox, subscription, change, new_anchor=anew)
        return
    change["proration_behavior"] = phase["proration_behavior"]
    if anew:
        change["billing_cycle_anchor"] = {"type": "now"}
    changes.update(sandbox, subscription, change)


def _shared(schedule: Obj, phase: Obj) -> Obj:
    """Return what a phase says of a subscription besides its items; what it does not say is the schedule's default."""
    settings = schedule["default_settings"]
    said: Obj = {
        name: phase[name] or settings.get(name) or ""
        for name in ("collection_method", "default_payment_method", "description")
    }
    said = {name: value for name, value in said.items() if value or name != "collection_method"}
    said |= {"discounts": phase["discounts"], "metadata": phase["metadata"]}
    if phase.get("default_tax_rates") is not None:
        said["default_tax_rates"] = [rate["id"] for rate in phase["default_tax_rates"]]
    if phase["trial_end"] and phase["trial_end"] > phase["start_date"]:
        said["trial_end"] = phase["trial_end"]
    return said


def _entry(item: Obj) -> Obj:
    """Return an item of a phase as the `items` parameter has it."""
    entry: Obj = {name: item[name] for name in ("discounts", "metadata", "price", "quantity") if name in item}
    return {**entry, "tax_rates": [rate["id"] for rate in item["tax_rates"]]}


def _extras(phase: Obj) -> list[Obj]:
    return [{**each, "tax_rates": [rate["id"] for rate in each["tax_rates"]]} for each in phase["add_invoice_items"]]


def _entries(old: Sequence[Obj], wanted: Sequence[Obj]) -> list[Obj]:
    """Return the `items` parameter that puts a phase's items in the place of the old ones: first of the same price."""
    left = list(old)
    matched: dict[int, Obj] = {}
    for same_price in (True, False):
        for number, item in enumerate(wanted):
            fits = (each for each in left if not same_price or each["price"]["id"] == item["price"])
            found = None if number in matched else next(fits, None)
            if found:
                matched[number] = found
                left.remove(found)
    entries = [
        {**_entry(item), **({"id": matched[number]["id"]} if number in matched else {})}
        for number, item in enumerate(wanted)
    ]
    return [*entries, *({"id": gone["id"], "deleted": True} for gone in left)]


def _complete(sandbox: Sandbox, schedule: Obj, now: int) -> None:
    subscription = sandbox.need("subscription", schedule["subscription"])
    schedule |= {"status": "completed", "completed_at": now, "current_phase": None}
    sandbox.update(schedule)
    if schedule["end_behavior"] == "cancel" and subscription["status"] not in subscriptions.FINAL:
        renewals.end(sandbox, subscription)
    else:
        subscriptions.save(sandbox, subscription | {"schedule": None})
    sandbox.emit("subscription_schedule.completed", schedule)


def warn_of_end(sandbox: Sandbox, id: str) -> None:
    """Warn that the last phase ends in a week, as Stripe does."""
    schedule = sandbox.need("subscription_schedule", id)
    if schedule["status"] == "active" and not schedule.get("_warned"):
        sandbox.update(schedule | {"_warned": True})
        sandbox.emit("subscription_schedule.expiring", schedule)


def stop(sandbox: Sandbox, schedule: Obj, status: str, **fields: Any) -> Obj:
    """End a schedule before its time (`canceled`, `released`)."""
    if schedule["status"] not in LIVE:
        raise invalid(f"You cannot do this with a subscription schedule that is {schedule['status']}.")
    for name in ("subscription_schedule.phase", "subscription_schedule.expiring"):
        sandbox.clock.cancel(name, schedule)
    schedule |= {"status": status, f"{status}_at": sandbox.now(schedule), "current_phase": None, **fields}
    return sandbox.update(schedule, f"subscription_schedule.{status}")
