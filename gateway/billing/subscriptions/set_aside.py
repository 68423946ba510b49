"""What a schedule has planned, while its customer leaves: the schedule keeps it, and it comes back when he stays. Pure.

Stripe ends a subscription that a schedule manages by that schedule alone, whose later phases have to go then. What the
seller has promised (a cheaper phase) is not lost by that, and nobody is rid of what was planned (a rise) by leaving and
coming back.

Source: docs.stripe.com/api/subscription_schedules/update (each phase is given anew), and docs.stripe.com/api/metadata
(50 keys, with values of 500 characters).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.billing.subscriptions.as_given import SHOWN_ONLY, given
from gateway.billing.subscriptions.timing import present_phase
from gateway.mirror.schedules import CUSTOMER_MAY_CHANGE, ENDED_BY_CUSTOMER

_Json = dict[str, Any]
_KEY = "set_aside_"
_MOST_KEYS, _LONGEST = 40, 500
_PHASE = {"add_invoice_items", "application_fee_percent", "automatic_tax", "billing_cycle_anchor", "billing_thresholds"}
_PHASE |= {"collection_method", "currency", "default_payment_method", "default_tax_rates", "description", "discounts"}
_PHASE |= {"end_date", "invoice_settings", "items", "metadata", "on_behalf_of", "proration_behavior", "transfer_data"}
_PHASE |= {"trial_end"}
_ITEM = {"billing_thresholds", "discounts", "metadata", "price", "quantity", "tax_rates"}
"""What a phase and an item of it say and can be given (Stripe API of 2026-10-28)."""


def set_aside(schedule: Mapping[str, Any], end: datetime) -> dict[str, str]:
    """Return the metadata that keep what a schedule has planned while its customer ends it.

    What cannot be given back exactly is not kept: then the end is final.

    Args:
        schedule: as Stripe has it.
        end: when the subscription ends instead.
    """
    present, final = schedule["current_phase"], {CUSTOMER_MAY_CHANGE: "false"}
    later = [each for each in schedule["phases"] if present and each["start_date"] > present["start_date"]]
    if not present or schedule["end_behavior"] not in {"cancel", "release"} or any(map(_is_unknown, later)):
        return final
    saved = {"until": present["end_date"], "then": schedule["end_behavior"], "phases": [given(each) for each in later]}
    text = orjson.dumps(saved).decode().replace(" ", "\\u0020")  # which Stripe might trim
    parts = [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST)]
    if len(parts) + len(schedule["metadata"] or ()) > _MOST_KEYS:
        return final
    named = {f"{_KEY}{number}": part for number, part in enumerate(parts)}
    return {ENDED_BY_CUSTOMER: str(int(end.timestamp())), **named}


def brought_back(subscription: Mapping[str, Any], now: datetime) -> _Json:
    """Return the parameters by which a schedule plans again what was set aside; what is due by now begins now.

    Args:
        subscription: as Stripe has it, with its schedule.
        now: the present, by Stripe's clock.

    Raises:
        KeyError: a part of it is gone.
        ValueError: it cannot be read.
    """
    said = subscription["schedule"]["metadata"]
    saved = _saved(said)
    present = present_phase(subscription, datetime.fromtimestamp(saved["until"], UTC))
    if saved["until"] <= now.timestamp():
        present["end_date"] = "now"
    later = _still_due(saved["phases"], int(now.timestamp()), int(said[ENDED_BY_CUSTOMER]))
    forgotten = dict.fromkeys((ENDED_BY_CUSTOMER, *(name for name in said if name.startswith(_KEY))), "")
    phases = {"phases": [present, *later], "end_behavior": saved["then"], "proration_behavior": "none"}
    return {**phases, "metadata": forgotten}


def _saved(said: Mapping[str, str]) -> _Json:
    names = [name for name in said if name.startswith(_KEY)]
    found: _Json = orjson.loads("".join(said[f"{_KEY}{number}"] for number in range(len(names))))
    return found


def coming_back(subscription: Mapping[str, Any]) -> set[str]:
    """Return the prices of the phases that are set aside; none where none are, or nobody can read them.

    Args:
        subscription: as Stripe has it, with its schedule.
    """
    try:
        phases = _saved((subscription["schedule"] or {})["metadata"])["phases"]
        return {item["price"] for phase in phases for item in phase["items"]}
    except (KeyError, ValueError):
        return set()


def _still_due(phases: list[_Json], now: int, end: int) -> list[_Json]:
    """Return what is left of phases that were set aside: where all have run out, the last one until the planned end.

    What a passed phase would have billed beside its items is billed with the one that begins now.

    Args:
        phases: as they were kept, in their order.
        now: the present.
        end: what the customer had planned instead, with the period that was paid for.
    """
    passed = [each for each in phases if each["end_date"] <= now]
    left = phases[len(passed) :]
    if passed and not left:
        left = [passed.pop() | {"end_date": end}]
    if extra := [item for phase in passed for item in phase.get("add_invoice_items", ())]:
        left[0] = left[0] | {"add_invoice_items": [*extra, *left[0].get("add_invoice_items", ())]}
    return left


def _is_unknown(phase: Mapping[str, Any]) -> bool:
    """Return whether a phase says something that nobody knows here how to give back."""
    said = {name for name, value in phase.items() if value} | {name for item in phase["items"] for name in item}
    return not said <= _PHASE | _ITEM | SHOWN_ONLY
