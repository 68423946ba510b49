"""Plan changes that wait for the end of the period, as a portal's configuration asks for (`schedule_at_period_end`).

Source: docs.stripe.com/customer-management/configure-portal, docs.stripe.com/api/customer_portal/configurations
"""

from typing import Any

from starlette.requests import Request

from gateway.sandbox.core import money, periods
from gateway.sandbox.pages.calls import call

Json = dict[str, Any]


def waits(feature: Json, subscription: Json, price: Json, quantity: int | None) -> bool:
    """Return whether one of the conditions for waiting holds of a change of the only item.

    Args:
        feature: The configuration's `subscription_update`.
        subscription: As it is.
        price: The price that is wanted.
        quantity: How many of it; None for a metered price.
    """
    (item,) = subscription["items"]["data"]
    currency = subscription["currency"]
    now = money.cost(item["price"], item.get("quantity") or 0, currency)
    holds = {
        "decreasing_item_amount": money.cost(price, quantity or 0, currency) < now,
        "shortening_interval": _length(price) < _length(item["price"]),
    }
    conditions = (feature.get("schedule_at_period_end") or {}).get("conditions") or []
    return any(holds[each["type"]] for each in conditions)


def plan(http: Request, subscription: Json, wanted: Json, price: Json) -> None:
    """Have a schedule change the only item as the period ends, and release the subscription one interval later."""
    made = call(http, "POST", "/v1/subscription_schedules", {"from_subscription": subscription["id"]})
    present = made["phases"][0]
    item = present["items"][0]
    copied = {name: item[name] for name in ("price", "quantity") if item.get(name) is not None}
    discounts = [
        {name: each[name] for name in ("coupon", "discount", "promotion_code") if each.get(name)}
        for each in present["discounts"]
    ]
    shared = {"discounts": discounts, "metadata": present["metadata"]}
    begun = {"items": [copied], "start_date": present["start_date"], "end_date": present["end_date"], **shared}
    then = {name: wanted[name] for name in ("price", "quantity") if wanted.get(name) is not None}
    duration = {name: price["recurring"][name] for name in ("interval", "interval_count")}
    later = {"items": [then], "duration": duration, "proration_behavior": "none", **shared}
    phases = [begun, later]
    call(http, "POST", f"/v1/subscription_schedules/{made['id']}", {"phases": phases, "end_behavior": "release"})


def _length(price: Json) -> int:
    recurring = price["recurring"]
    return periods.shifted(0, recurring["interval"], recurring["interval_count"])
