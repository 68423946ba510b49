"""Prorations: a credit for the unused time of what goes, a charge for the remaining time of what comes.

Stripe counts seconds; discounts are included in the amounts. Source: docs.stripe.com/billing/subscriptions/prorations
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import discounts, items, lines, pending, subscriptions
from gateway.sandbox.billing.debits import open_debits
from gateway.sandbox.core import money, periods

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_UNBILLED = ("trialing", "incomplete", "paused")


def credit_and_charge(sandbox: Sandbox, before: Obj, after: Obj, at: int, *, fresh: bool = False) -> list[Obj]:
    """Make the pending invoice items that turn one state of a subscription into another at a time.

    Args:
        sandbox: The account.
        before: The subscription as it was.
        after: As it will be.
        at: When the change counts.
        fresh: New periods begin and are charged in full elsewhere: everything old is credited, nothing charged.
    """
    if before["status"] in _UNBILLED:
        return []
    old = {item["id"]: item for item in before["items"]["data"]}
    new = {item["id"]: item for item in after["items"]["data"]}
    made = []
    for key, item in old.items():
        if fresh or after["status"] == "trialing" or not _same(item, new.get(key)):
            made += _credit(sandbox, before, item, at)
    if not fresh and after["status"] != "trialing":
        for key, item in new.items():
            if not _same(item, old.get(key)):
                made += _charge(sandbox, after, item, at)
    return made


def fit_to_end(sandbox: Sandbox, subscription: Obj, *, prorate: bool) -> None:
    """Let the periods of a subscription end with it, or go on in full: what that takes off is credited, what it adds
    is charged.

    Source: docs.stripe.com/api/subscriptions/update, `cancel_at`.
    """
    for item in subscription["items"]["data"]:
        before, after = item["current_period_end"], items.fitted_end(subscription, item)
        billed = prorate and subscription["status"] not in _UNBILLED
        if billed and after < before:
            _credit(sandbox, subscription, item, after)
        item["current_period_end"] = after
        if billed and after > before:
            _charge(sandbox, subscription, item, before)


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


def _credit(sandbox: Sandbox, subscription: Obj, item: Obj, at: int) -> list[Obj]:
    """Credit the time after a moment: flexible for each debit its share, classic what the item costs at present."""
    if items.metered(item) or at >= item["current_period_end"]:
        return []
    debits = open_debits(sandbox, subscription, item, at)
    if subscription["billing_mode"]["type"] == "flexible":
        return [
            _add(
                sandbox,
                subscription,
                item,
                amount=-money.prorated(debit.amount, debit.start, debit.end, at),
                period=(max(at, debit.start), debit.end),
                quantity=debit.quantity,
                pricing={**debit.pricing, "unit_amount_decimal": None},
                tax_rates=debit.tax_rates,
                proration_details={"credited_items": debit.credited_items, "discount_amounts": []},
                _credits=debit.keys,
                _credited=debit.lines,
            )
            for debit in debits
        ]
    price = sandbox.need("price", item["price"]["id"])
    return [
        _add(
            sandbox,
            subscription,
            item,
            amount=-unused(sandbox, subscription, item, at),
            period=(at, item["current_period_end"]),
            quantity=item["quantity"],
            pricing=lines.pricing(price, None),
            tax_rates=item["tax_rates"],
            _credits=[key for debit in debits for key in debit.keys],
        )
    ]


def _charge(sandbox: Sandbox, subscription: Obj, item: Obj, at: int) -> list[Obj]:
    """Charge the time after a moment at the item's price."""
    if items.metered(item) or at >= item["current_period_end"]:
        return []
    price = sandbox.need("price", item["price"]["id"])
    return [
        _add(
            sandbox,
            subscription,
            item,
            amount=unused(sandbox, subscription, item, at),
            period=(at, item["current_period_end"]),
            quantity=item["quantity"],
            pricing=lines.pricing(price, None),
            tax_rates=item["tax_rates"],
        )
    ]


def _add(sandbox: Sandbox, subscription: Obj, item: Obj, *, quantity: int, pricing: Obj, **fields: Any) -> Obj:
    """Make the invoice item of a credit (which has `_credits`) or of a charge."""
    customer = sandbox.need("customer", subscription["customer"])
    price = sandbox.need("price", pricing["price_details"]["price"])
    name = lines.product_name(sandbox, price)
    what = name if quantity == 1 else f"{quantity} × {name}"  # noqa: RUF001 -- Stripe's own sign
    kind = "Unused" if "_credits" in fields else "Remaining"
    return pending.add(
        sandbox,
        customer,
        currency=subscription["currency"],
        description=f"{kind} time on {what} after {periods.day_name(fields['period'][0])}",
        discountable=False,
        parent=pending.belongs_to(subscription["id"], item["id"]),
        pricing=pricing,
        proration=True,
        quantity=quantity,
        **{"proration_details": {"credited_items": None, "discount_amounts": []}, **fields},
    )


def unused(sandbox: Sandbox, subscription: Obj, item: Obj, at: int) -> int:
    """Return the part of an item's price, after discounts, that falls to the rest of its period."""
    price = sandbox.need("price", item["price"]["id"])
    customer = sandbox.need("customer", subscription["customer"])
    amount = discounts.reduced(
        sandbox,
        money.cost(price, item["quantity"], subscription["currency"]),
        [*item["discounts"], *subscriptions.discount_ids(sandbox, subscription, customer, at)],
        currency=subscription["currency"],
        at=at,
        product=price["product"],
    )
    start, end = items.full_period(item, subscription["billing_cycle_anchor"])
    return money.scaled(amount, item["current_period_end"] - max(at, start), end - start)
