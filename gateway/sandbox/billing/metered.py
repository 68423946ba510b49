"""Metered items on invoices: billed in arrears, complete when the invoice is finalized.

Source: docs.stripe.com/billing/subscriptions/usage-based, .../configure-grace-period
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import items, lines, pending, usage

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def used(sandbox: Sandbox, subscription: Obj, item: Obj, period: tuple[int, int]) -> list[Obj]:
    """Return the lines of a metered item's usage in a period."""
    price = sandbox.need("price", item["price"]["id"])
    quantity = usage.metered_quantity(sandbox, item["id"], price, subscription["customer"], period)
    return lines.of_item(sandbox, subscription, item, period, quantity=quantity)


def last_usage(sandbox: Sandbox, subscription: Obj, at: int) -> list[Obj]:
    """Return the lines of what was used up to a subscription's end."""
    bought: list[Obj] = []
    for item in subscription["items"]["data"]:
        if items.metered(item):
            bought += used(sandbox, subscription, item, (item["current_period_start"], at))
    return bought if any(line["amount"] for line in bought) else []


def refresh(sandbox: Sandbox, invoice: Obj) -> None:
    """Bring the usage on a draft up to date: what is reported in its hour for the period that ended counts too."""
    subscription = sandbox.store.get("subscription", invoice.get("_subscription") or "")
    if subscription is None:
        return
    data: list[Obj] = []
    known: set[tuple[str, int, int]] = set()
    for line in invoice["lines"]["data"]:
        item = _metered_item(sandbox, line)
        if item is None:
            data.append(line)
            continue
        key = (item["id"], line["period"]["start"], line["period"]["end"])
        if key not in known:
            known.add(key)
            fresh = used(sandbox, subscription, item, key[1:])
            data += [each | {"invoice": invoice["id"]} for each in fresh]
    if [_figures(line) for line in data] != [_figures(line) for line in invoice["lines"]["data"]]:
        invoice["lines"]["data"] = data
        sandbox.update(invoice)


def _metered_item(sandbox: Sandbox, line: Obj) -> Obj | None:
    """Return what a line of a metered item was made of; None for any other line."""
    details: Obj = (line["parent"] or {}).get("subscription_item_details") or {}
    price_id = ((line["pricing"] or {}).get("price_details") or {}).get("price")
    price = sandbox.store.get("price", price_id or "")
    if not details or details["invoice_item"] or price is None or not items.metered({"price": price}):
        return None
    return {
        "id": details["subscription_item"],
        "discounts": line["discounts"],
        "metadata": line["metadata"],
        "price": price,
        "tax_rates": line.get("_tax_rates") or [],
    }


def _figures(line: Obj) -> tuple[str | None, int]:
    return line["quantity_decimal"], line["amount"]


def bill_replaced(sandbox: Sandbox, before: Obj, after: Obj, at: int) -> None:
    """Have the usage of metered items wait for the next invoice whose price, period or being a change ends.

    It is billed at the price that it was used at; an item that goes on counts from then.
    """
    if before["status"] == "trialing":
        return
    new = {item["id"]: item for item in after["items"]["data"]}
    customer = sandbox.need("customer", before["customer"])
    for item in before["items"]["data"]:
        now = new.get(item["id"])
        if not items.metered(item) or (now is not None and _goes_on(item, now)):
            continue
        for line in used(sandbox, before, item, (item["current_period_start"], at)):
            if line["amount"]:
                copied = ("amount", "currency", "description", "discountable", "metadata", "pricing")
                pending.add(
                    sandbox,
                    customer,
                    **{name: line[name] for name in copied},
                    period=(item["current_period_start"], at),
                    quantity=line["quantity"],
                    quantity_decimal=line["quantity_decimal"],
                    tax_rates=item["tax_rates"],
                    parent=pending.belongs_to(before["id"], item["id"]),
                )
        if now is not None and items.metered(now):
            now["current_period_start"] = at


def _goes_on(item: Obj, now: Obj) -> bool:
    same_period = item["current_period_start"] == now["current_period_start"]
    return bool(item["price"]["id"] == now["price"]["id"] and same_period)
