"""Subscription schedules: a subscription that starts later and changes by itself, phase after phase.

Source: docs.stripe.com/billing/subscriptions/subscription-schedules
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import changes, invoices, starting, subscriptions
from gateway.sandbox.core import periods
from gateway.sandbox.core.errors import invalid, parameter_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

LIVE = ("not_started", "active")
EXPIRY_WARNING = 7 * periods.DAY


def phases(sandbox: Sandbox, given: Sequence[Obj], start: int) -> list[Obj]:
    """Return the phases of the parameter, each with its start and end, one after the other.

    A phase lasts to its `end_date`, for its `duration`, or (before 2026) for some `iterations` of its price.
    """
    if not given:
        raise parameter_missing("phases")
    made = []
    for number, phase in enumerate(given):
        if not phase.get("items"):
            raise parameter_missing(f"phases[{number}][items]")
        end = _end(sandbox, phase, start, f"phases[{number}]")
        made.append(
            {
                "add_invoice_items": [],
                "billing_cycle_anchor": None,
                "currency": _price(sandbox, phase, f"phases[{number}]")["currency"],
                "default_payment_method": phase.get("default_payment_method"),
                "description": phase.get("description"),
                "discounts": phase.get("discounts") or [],
                "end_date": end,
                "items": [_item(entry) for entry in phase["items"]],
                "metadata": phase.get("metadata") or {},
                "proration_behavior": phase.get("proration_behavior", "create_prorations"),
                "start_date": start,
                "trial_end": None,
            }
        )
        start = end
    return made


def _item(entry: Obj) -> Obj:
    price = entry.get("price") or entry.get("plan")
    return {"metadata": {}, "plan": price, "price": price, "quantity": int(entry.get("quantity", 1)), "tax_rates": []}


def _price(sandbox: Sandbox, phase: Obj, param: str) -> Obj:
    first = phase["items"][0]
    price = sandbox.need("price", first.get("price") or first.get("plan") or "", f"{param}[items][0][price]")
    if not price["recurring"]:
        raise invalid("The price of a phase must be recurring.", f"{param}[items][0][price]")
    return price


def _end(sandbox: Sandbox, phase: Obj, start: int, param: str) -> int:
    if phase.get("end_date") == "now":
        return sandbox.now()
    if phase.get("end_date"):
        end = int(phase["end_date"])
        if end <= start:
            raise invalid("The end date of a phase must be after its start.", f"{param}[end_date]")
        return end
    recurring = _price(sandbox, phase, param)["recurring"]
    length = phase.get("duration") or {"interval": recurring["interval"], "interval_count": recurring["interval_count"]}
    count = int(length.get("interval_count", 1)) * int(phase.get("iterations", 1))
    return periods.shifted(start, length["interval"], count)


def begin(sandbox: Sandbox, schedule: Obj) -> None:
    """Plan the schedule's start; one that starts now (or earlier) starts at once."""
    start = schedule["phases"][0]["start_date"]
    if start <= sandbox.now(schedule):
        enter(sandbox, schedule["id"])
    else:
        sandbox.clock.schedule(start, "subscription_schedule.phase", schedule)


def enter(sandbox: Sandbox, id: str) -> None:
    """Begin a phase, or complete the schedule after the last one."""
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
    else:
        changes.update(sandbox, subscription, _as_change(subscription, phase))
    follow(sandbox, schedule, phase)


def follow(sandbox: Sandbox, schedule: Obj, phase: Obj) -> None:
    """Note the current phase, and plan its end and the warning before the schedule's."""
    schedule["current_phase"] = {"end_date": phase["end_date"], "start_date": phase["start_date"]}
    sandbox.update(schedule, "subscription_schedule.updated")
    sandbox.clock.schedule(phase["end_date"], "subscription_schedule.phase", schedule)
    last = schedule["phases"][-1]["end_date"]
    if not schedule.get("_warned"):
        sandbox.clock.schedule(last - EXPIRY_WARNING, "subscription_schedule.expiring", schedule)


def _start(sandbox: Sandbox, schedule: Obj, phase: Obj) -> Obj:
    """Start the subscription of a schedule: active at once, its first invoice with the usual hour as a draft."""
    customer = sandbox.need("customer", schedule["customer"])
    given = {
        "items": [{"price": item["price"], "quantity": item["quantity"]} for item in phase["items"]],
        "discounts": phase["discounts"],
        "metadata": phase["metadata"],
    }
    if phase["default_payment_method"]:
        given["default_payment_method"] = phase["default_payment_method"]
    subscription = starting.create(sandbox, customer, given)
    subscription |= {"schedule": schedule["id"], "status": "active"}
    bought = starting.first_lines(sandbox, subscription, "create_prorations")
    invoice = subscriptions.bill(sandbox, subscription, bought, "subscription_create")
    sandbox.emit("customer.subscription.created", subscription)
    invoices.advance_later(sandbox, invoice)
    return subscription


def _as_change(subscription: Obj, phase: Obj) -> Obj:
    """Return the update that makes a subscription what a phase says: its items take the place of the old ones."""
    old = subscription["items"]["data"]
    entries: list[Obj] = []
    for number, item in enumerate(phase["items"]):
        entry = {"price": item["price"], "quantity": item["quantity"]}
        entries.append({"id": old[number]["id"], **entry} if number < len(old) else entry)
    entries += [{"id": gone["id"], "deleted": True} for gone in old[len(phase["items"]) :]]
    return {"items": entries, "metadata": phase["metadata"], "proration_behavior": phase["proration_behavior"]}


def _complete(sandbox: Sandbox, schedule: Obj, now: int) -> None:
    subscription = sandbox.need("subscription", schedule["subscription"])
    schedule |= {"status": "completed", "completed_at": now, "current_phase": None}
    sandbox.update(schedule)
    if schedule["end_behavior"] == "cancel" and subscription["status"] not in subscriptions.FINAL:
        subscriptions.end(sandbox, subscription)
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
