"""Metered usage: what a customer's meter events come to in a period.

Source: docs.stripe.com/billing/subscriptions/usage-based
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

# How a meter makes one figure of its events, which come in order of time.
FORMULAS: dict[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "sum": lambda values: sum(values, Decimal(0)),
    "count": lambda values: Decimal(len(values)),
    "last": lambda values: values[-1] if values else Decimal(0),
}


# What older versions make of the usage records of a period (`aggregate_usage`), which come in order of time.
AGGREGATES: dict[str, Callable[[Sequence[int]], int]] = {
    "last_during_period": lambda values: values[-1] if values else 0,
    "last_ever": lambda values: values[-1] if values else 0,
    "max": lambda values: max(values, default=0),
    "sum": sum,
}


def metered_quantity(sandbox: Sandbox, item: str, price: Obj, customer: str, period: tuple[int, int]) -> int | Decimal:
    """Return the usage of a metered price from the start to before the end of a period.

    It is what a meter has counted for the customer; without a meter, what was recorded for the subscription item.
    """
    meter = sandbox.store.get("billing.meter", price["recurring"].get("meter") or "")
    if meter is None:
        return recorded(sandbox, item, price, period)
    counted = total(sandbox, meter, customer, period)
    return int(counted) if counted == counted.to_integral_value() else counted


def recorded(sandbox: Sandbox, item: str, price: Obj, period: tuple[int, int]) -> int:
    """Return what the usage records of a subscription item come to in a period."""
    aggregate = price.get("_aggregate_usage") or "sum"
    start = 0 if aggregate == "last_ever" else period[0]
    found = [
        record
        for record in sandbox.store.find("usage_record", subscription_item=item)
        if start <= record["timestamp"] < period[1]
    ]
    found.sort(key=lambda record: record["timestamp"])
    return AGGREGATES[aggregate]([record["quantity"] for record in found])


def total(sandbox: Sandbox, meter: Obj, customer: str, period: tuple[int, int]) -> Decimal:
    """Return the aggregated value of a meter for a customer in a period."""
    key = meter["customer_mapping"]["event_payload_key"]
    value = meter["value_settings"]["event_payload_key"]
    found = [
        event
        for event in sandbox.store.find("billing.meter_event", _customer=customer)
        if event["event_name"] == meter["event_name"]
        and event["payload"].get(key) == customer
        and period[0] <= event["timestamp"] < period[1]
        and not event.get("_canceled")
    ]
    found.sort(key=lambda event: event["timestamp"])
    values = [Decimal(event["payload"].get(value, "0")) for event in found]
    return FORMULAS[meter["default_aggregation"]["formula"]](values)
