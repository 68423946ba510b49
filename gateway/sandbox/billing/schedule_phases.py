"""The phases of a subscription schedule: as a request gives them, and as Stripe shows them.

Source: docs.stripe.com/billing/subscriptions/subscription-schedules
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import discounts, items
from gateway.sandbox.core import periods
from gateway.sandbox.core.errors import invalid, parameter_missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


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
    # https://docs.stripe.com/api/subscription_schedules/object#subscription_schedule_object-phases-add_invoice_items
    shared.setdefault("period", {"start": {"type": "max_item_period_start"}, "end": {"type": "min_item_period_end"}})
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
