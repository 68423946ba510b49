"""Subscription schedules: a subscription that starts later and changes by itself, phase after phase.

Source: docs.stripe.com/billing/subscriptions/subscription-schedules
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import (
    changes,
    discounts,
    invoices,
    items,
    pending,
    renewals,
    starting,
    subscriptions,
)
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
    for number, each in enumerate(given):
        phase = dict(each)
        if not phase.get("items"):
            raise parameter_missing(f"phases[{number}][items]")
        phase["items"] = [_priced(sandbox, entry, f"phases[{number}][items][0]") for entry in phase["items"]]
        end = _end(sandbox, phase, start, f"phases[{number}]")
        made.append(_phase(sandbox, phase, start, end, f"phases[{number}]"))
        start = end
    return made


def present_phase(sandbox: Sandbox, subscription: Obj) -> Obj:
    """Return the phase that a subscription is in: what it is now, up to the end of its period."""
    data = subscription["items"]["data"]
    given = {
        "items": [
            {
                **{name: item[name] for name in ("metadata", "quantity") if name in item},
                "discounts": [{"discount": each} for each in item["discounts"]],
                "price": item["price"]["id"],
                "tax_rates": [rate["id"] for rate in item["tax_rates"] or []],
            }
            for item in data
        ],
        "default_tax_rates": [rate["id"] for rate in subscription["default_tax_rates"] or []],
        "discounts": [{"discount": each} for each in subscription["discounts"]],
        "metadata": subscription["metadata"],
        "trial_end": subscription["trial_end"] if subscription["status"] == "trialing" else None,
    }
    start = min(item["current_period_start"] for item in data)
    end = min(item["current_period_end"] for item in data)
    return _phase(sandbox, given, start, end, "phases[0]")


def _phase(sandbox: Sandbox, given: Obj, start: int, end: int, param: str) -> Obj:
    for entry in given.get("discounts") or []:
        discounts.resolve(sandbox, entry, param=f"{param}[discounts]")
    if given.get("default_payment_method"):
        sandbox.need("payment_method", given["default_payment_method"], f"{param}[default_payment_method]")
    trial_end = end if given.get("trial") else given.get("trial_end")
    phase = {
        "add_invoice_items": [_extra(sandbox, each, param) for each in given.get("add_invoice_items") or []],
        "billing_cycle_anchor": given.get("billing_cycle_anchor"),
        "collection_method": given.get("collection_method"),
        "currency": sandbox.need("price", given["items"][0]["price"])["currency"],
        "default_payment_method": given.get("default_payment_method"),
        "description": given.get("description") or None,
        "discounts": given.get("discounts") or [],
        "end_date": end,
        "items": [_item(sandbox, entry, param) for entry in given["items"]],
        "metadata": given.get("metadata") or {},
        "proration_behavior": given.get("proration_behavior", "create_prorations"),
        "start_date": start,
        "trial_end": start if trial_end == "now" else trial_end,
    }
    if "default_tax_rates" in given:
        phase["default_tax_rates"] = items.tax_rates(sandbox, given["default_tax_rates"], f"{param}[default_tax_rates]")
    return phase


def _item(sandbox: Sandbox, entry: Obj, param: str) -> Obj:
    price = entry["price"]
    metered = sandbox.need("price", price)["recurring"]["usage_type"] == "metered"
    return {
        "discounts": entry.get("discounts") or [],
        "metadata": entry.get("metadata") or {},
        "plan": price,
        "price": price,
        **({} if metered else {"quantity": int(entry.get("quantity", 1))}),
        "tax_rates": items.tax_rates(sandbox, entry.get("tax_rates"), f"{param}[items][0][tax_rates]"),
    }


def _extra(sandbox: Sandbox, entry: Obj, param: str) -> Obj:
    """Return an entry of `add_invoice_items` as a phase shows it."""
    price = items.price_of(sandbox, entry, f"{param}[add_invoice_items][0]", recurring=False)
    if price is None:
        raise parameter_missing(f"{param}[add_invoice_items][0][price]")
    shared: Obj = {name: entry[name] for name in ("metadata", "period", "discounts") if name in entry}
    rates = items.tax_rates(sandbox, entry.get("tax_rates"), f"{param}[add_invoice_items][0][tax_rates]")
    shared.setdefault("discounts", [])
    shared["discountable"] = entry.get("discountable", True)
    return {**shared, "price": price["id"], "quantity": entry.get("quantity", 1), "tax_rates": rates}


def _priced(sandbox: Sandbox, entry: Obj, param: str) -> Obj:
    """Return an entry of a phase's items with the id of its price, which `plan` or `price_data` may describe."""
    price = items.price_of(sandbox, entry, param)
    if price is None:
        raise parameter_missing(f"{param}[price]")
    return {**entry, "price": price["id"]}


def _end(sandbox: Sandbox, phase: Obj, start: int, param: str) -> int:
    if phase.get("end_date") == "now":
        return sandbox.now()
    if phase.get("end_date"):
        end = int(phase["end_date"])
        if end <= start:
            raise invalid("The end date of a phase must be after its start.", f"{param}[end_date]")
        return end
    recurring = sandbox.need("price", phase["items"][0]["price"])["recurring"]
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
    kept: dict[int, Obj] = {}
    for same_price in (True, False):
        for number, item in enumerate(wanted):
            fits = (each for each in left if not same_price or each["price"]["id"] == item["price"])
            found = None if number in kept else next(fits, None)
            if found:
                kept[number] = found
                left.remove(found)
    entries = [
        {**_entry(item), **({"id": kept[number]["id"]} if number in kept else {})} for number, item in enumerate(wanted)
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
