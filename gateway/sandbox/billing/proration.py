"""Prorations: a credit for the unused time of what goes, a charge for the remaining time of what comes.

Stripe counts seconds; discounts are included in the amounts. Source: docs.stripe.com/billing/subscriptions/prorations
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import discounts, items, lines, pending, subscriptions
from gateway.sandbox.core import money, periods

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def credit_and_charge(sandbox: Sandbox, before: Obj, after: Obj, at: int, *, fresh: bool = False) -> list[Obj]:
    """Make the pending invoice items that turn one state of a subscription into another at a time.

    Args:
        sandbox: The account.
        before: The subscription as it was.
        after: As it will be.
        at: When the change counts.
        fresh: New periods begin and are charged in full elsewhere: everything old is credited, nothing charged.
    """
    if before["status"] in ("trialing", "incomplete", "paused"):
        return []
    old = {item["id"]: item for item in before["items"]["data"]}
    new = {item["id"]: item for item in after["items"]["data"]}
    made = []
    for key, item in old.items():
        if fresh or after["status"] == "trialing" or not _same(item, new.get(key)):
            made += _prorate(sandbox, before, item, at, sign=-1)
    if not fresh and after["status"] != "trialing":
        for key, item in new.items():
            if not _same(item, old.get(key)):
                made += _prorate(sandbox, after, item, at, sign=1)
    return made


def is_free(subscription: Obj) -> bool:
    """Return whether nothing is ever charged for a subscription's items (metered prices do charge)."""
    return all(
        not items.metered(item) and not money.cost(item["price"], item["quantity"], subscription["currency"])
        for item in subscription["items"]["data"]
    )


def _same(item: Obj, other: Obj | None) -> bool:
    return (
        other is not None
        and item["price"]["id"] == other["price"]["id"]
        and item.get("quantity") == other.get("quantity")
    )


def _prorate(sandbox: Sandbox, subscription: Obj, item: Obj, at: int, *, sign: int) -> list[Obj]:
    if items.metered(item):
        return []
    amount = unused(sandbox, subscription, item, at)
    end = item["current_period_end"]
    if at >= end:
        return []
    customer = sandbox.need("customer", subscription["customer"])
    price = sandbox.need("price", item["price"]["id"])
    quantity = item["quantity"]
    name = lines.product_name(sandbox, price)
    what = name if quantity == 1 else f"{quantity} × {name}"  # noqa: RUF001 -- Stripe's own sign
    return [
        pending.add(
            sandbox,
            customer,
            amount=sign * amount,
            currency=subscription["currency"],
            period=(at, end),
            description=f"{'Unused' if sign < 0 else 'Remaining'} time on {what} after {periods.day_name(at)}",
            discountable=False,
            parent=pending.belongs_to(subscription["id"], item["id"]),
            pricing=lines.pricing(price, None),
            proration=True,
            proration_details={"credited_items": None, "discount_amounts": []},
            quantity=quantity,
            tax_rates=item["tax_rates"],
        )
    ]


def unused(sandbox: Sandbox, subscription: Obj, item: Obj, at: int) -> int:
    """Return the part of an item's price, after discounts, that falls to the rest of its period."""
    price = sandbox.need("price", item["price"]["id"])
    customer = sandbox.need("customer", subscription["customer"])
    amount = discounts.reduced(
        sandbox,
        money.cost(price, item["quantity"], subscription["currency"]),
        [*item["discounts"], *subscriptions.discount_ids(subscription, customer)],
        currency=subscription["currency"],
        at=at,
        product=price["product"],
    )
    full = items.full_period(item, subscription["billing_cycle_anchor"])
    return money.prorated(amount, full[0], item["current_period_end"], at)
