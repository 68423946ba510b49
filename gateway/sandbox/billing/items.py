"""Subscription items: made and changed from the `items` parameter, and their billing periods.

Source: docs.stripe.com/api/subscription_items
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import discounts, prices
from gateway.sandbox.core import money, periods
from gateway.sandbox.core.errors import invalid, parameter_missing, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.plans import plan_of

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def price_of(sandbox: Sandbox, given: Obj, param: str, *, recurring: bool = True) -> Obj | None:
    """Return the price that an entry names by `price`, `plan` or `price_data`; None if it names none."""
    if given.get("price_data"):
        return prices.make(sandbox, {**given["price_data"], "active": False})
    price_id = given.get("price") or given.get("plan")
    if not price_id:
        return None
    where = f"{param}[price]" if given.get("price") else "plan"
    if not given.get("price") and not sandbox.store.get("price", price_id):
        raise resource_missing("plan", price_id, where)  # recorded: pay, 2020-08-27
    price = sandbox.need("price", price_id, where)
    if not price["active"]:
        raise invalid("The price specified is inactive. This field only accepts active prices.", where)
    if recurring and price["type"] != "recurring":
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.",
            where,
        )
    return price


def check_currency(price: Obj, currency: str, param: str) -> None:
    """Refuse a price that is not sold in a currency."""
    if money.in_currency(price, currency) is None:
        raise invalid(
            f"The price specified only supports `{price['currency']}`. This doesn't match the expected currency: "
            f"`{currency}`.",
            param,
        )


def make(sandbox: Sandbox, subscription: Obj, customer: Obj, given: Obj, param: str) -> Obj:
    """Make an item of a subscription; its period is not set yet."""
    price = price_of(sandbox, given, param)
    if price is None:
        raise parameter_missing(f"{param}[price]")
    check_currency(price, subscription["currency"], f"{param}[price]")
    item: Obj = {
        "id": sandbox.new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": sandbox.now(customer),
        "current_period_end": 0,
        "current_period_start": 0,
        "current_trial": None,
        "discounts": [],
        "metadata": merge({}, given, "metadata").get("metadata", {}),
        "subscription": subscription["id"],
        "tax_rates": _tax_rates(sandbox, given),
    }
    item["discounts"] = discounts.redeem(
        sandbox, given.get("discounts"), customer, subscription=subscription["id"], subscription_item=item["id"]
    )
    return _priced(item, price, given, param)


def patch(sandbox: Sandbox, customer: Obj, item: Obj, given: Obj, *, currency: str, param: str) -> Obj:
    """Return a copy of an item with the changes of an `items` entry."""
    changed = merge(item, given, "metadata")
    price = price_of(sandbox, given, param) or sandbox.need("price", item["price"]["id"])
    check_currency(price, currency, f"{param}[price]")
    if "tax_rates" in given:
        changed["tax_rates"] = _tax_rates(sandbox, given)
    if "discounts" in given:
        changed["discounts"] = discounts.redeem(
            sandbox, given["discounts"], customer, subscription=item["subscription"], subscription_item=item["id"]
        )
    return _priced(changed, price, {"quantity": item.get("quantity", 1), **given}, param)


def _priced(item: Obj, price: Obj, given: Obj, param: str) -> Obj:
    item |= {"price": price, "plan": plan_of(price)}
    if not metered(item):
        item["quantity"] = given.get("quantity", 1)
    elif "quantity" in item:
        del item["quantity"]
    if item.get("quantity", 0) < 0:
        raise invalid("This value must be greater than or equal to 0.", f"{param}[quantity]")
    return item


def _tax_rates(sandbox: Sandbox, given: Obj) -> list[Obj]:
    return tax_rates(sandbox, given.get("tax_rates"), "tax_rates")


def tax_rates(sandbox: Sandbox, ids: Any, param: str) -> list[Obj]:
    """Return the tax rates that a parameter names ("" is none)."""
    return [sandbox.need("tax_rate", each, param) for each in ids or []]


def metered(item: Obj) -> bool:
    """Return whether an item is billed by usage, in arrears."""
    return bool(item["price"]["recurring"]["usage_type"] == "metered")


def rhythm(item: Obj) -> tuple[str, int]:
    """Return an item's (interval, interval_count)."""
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def check_intervals(subscription: Obj) -> None:
    """Refuse items with different billing intervals, which only a flexible subscription has.

    Source: docs.stripe.com/billing/subscriptions/mixed-interval; the words: stripe/stripe-node issue 682.
    """
    mixed = len({rhythm(item) for item in subscription["items"]["data"]}) > 1
    if mixed and subscription["billing_mode"]["type"] == "classic":
        raise invalid(
            "Currency and interval fields must match across all plans on this subscription. Found mismatch in interval "
            "field."
        )


def start_period(item: Obj, anchor: int, at: int) -> None:
    """Put an item into the billing period, counted from the anchor, that contains a time; it begins then."""
    end = periods.period_at(anchor, *rhythm(item), at)[1]
    item |= {"current_period_start": at, "current_period_end": end}


def full_period(item: Obj, anchor: int) -> tuple[int, int]:
    """Return the whole period that an item's present one, perhaps begun late, is part of."""
    return periods.period_at(anchor, *rhythm(item), item["current_period_start"])


def full_end(subscription: Obj, item: Obj) -> int:
    """Return when an item's period ends if the subscription does not end before."""
    if subscription["status"] == "trialing":
        return int(subscription["trial_end"])
    return full_period(item, subscription["billing_cycle_anchor"])[1]


def fitted_end(subscription: Obj, item: Obj) -> int:
    """Return when an item's period ends: with the subscription at the latest."""
    return min(full_end(subscription, item), subscription["cancel_at"] or full_end(subscription, item))
