"""Invoice lines: what a subscription's items and a customer's invoice items look like on an invoice.

Source: docs.stripe.com/api/invoice-line-item
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from babel.numbers import format_currency

from gateway.sandbox.core import money
from gateway.sandbox.core.money import exponent

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def line(sandbox: Sandbox, *, amount: int, currency: str, period: tuple[int, int], **fields: Any) -> Obj:
    """Return a line item before discounts and taxes."""
    quantity = fields.get("quantity")
    return {
        "id": sandbox.new_id("il"),
        "object": "line_item",
        "amount": amount,
        "currency": currency,
        "description": None,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": {"end": period[1], "start": period[0]},
        "pretax_credit_amounts": [],
        "pricing": None,
        "subscription": None,
        "subtotal": amount,
        "taxes": [],
        **fields,
        # A whole number for clients of before the decimal one.
        "quantity": None if quantity is None else int(quantity),
        "quantity_decimal": None if quantity is None else plain(Decimal(quantity)),
    }


def of_item(
    sandbox: Sandbox, subscription: Obj, item: Obj, period: tuple[int, int], *, quantity: int | Decimal | None = None
) -> list[Obj]:
    """Return the lines of a subscription item for a period: `quantity` is the usage of a metered one."""
    price = sandbox.need("price", item["price"]["id"])
    units = item.get("quantity", 1) if quantity is None else quantity
    name = product_name(sandbox, price)
    return [
        line(
            sandbox,
            amount=part.amount,
            currency=subscription["currency"],
            period=period,
            quantity=part.quantity,
            description=described(part, name, unit_label(sandbox, price), price, subscription["currency"]),
            pricing=pricing(price, part.unit_amount),
            **_belonging(subscription, item),
        )
        for part in money.parts(price, units, subscription["currency"])
    ]


def of_trial(sandbox: Sandbox, subscription: Obj, item: Obj, period: tuple[int, int]) -> Obj:
    """Return the free line of an item in trial."""
    price = sandbox.need("price", item["price"]["id"])
    name = product_name(sandbox, price)
    return line(
        sandbox,
        amount=0,
        currency=subscription["currency"],
        period=period,
        quantity=item.get("quantity", 1),
        description=f"Free trial for {_counted(item.get('quantity', 1), unit_label(sandbox, price), name)}",
        pricing=pricing(price, Decimal(0)),
        **_belonging(subscription, item),
    )


def of_invoice_item(item: Obj, line_id: str) -> Obj:
    """Return the line that a pending invoice item (a proration, a one-off) becomes."""
    details = (item["parent"] or {}).get("subscription_details") or {}
    subscription = details.get("subscription")
    return {
        "id": line_id,
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discount_amounts": [],
        "discountable": item["discountable"],
        "discounts": item["discounts"],
        "invoice": item["invoice"],
        "livemode": False,
        "metadata": item["metadata"] or {},
        "parent": _parent(item, subscription, details.get("subscription_item")),
        "period": item["period"],
        "pretax_credit_amounts": [],
        "pricing": item["pricing"],
        "quantity": item["quantity"],
        "quantity_decimal": item["quantity_decimal"],
        "subscription": subscription,
        "subtotal": item["amount"],
        "taxes": [],
        "_tax_rates": item["tax_rates"],
    }


def _parent(item: Obj, subscription: str | None, subscription_item: str | None) -> Obj:
    details = {
        "invoice_item": item["id"],
        "proration": item["proration"],
        "proration_details": {"credited_items": item.get("_credited")},
        "subscription": subscription,
    }
    if subscription_item:
        named = {**details, "subscription_item": subscription_item}
        return {"invoice_item_details": None, "subscription_item_details": named, "type": "subscription_item_details"}
    return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}


def _belonging(subscription: Obj, item: Obj) -> Obj:
    return {
        "discounts": item["discounts"],
        "metadata": {**subscription["metadata"], **item["metadata"]},
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "subscription": subscription["id"],
        "_tax_rates": item["tax_rates"],
    }


def pricing(price: Obj, unit_amount: Decimal | None) -> Obj:
    """Return the `pricing` of a line: the price and what a unit of it costs."""
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": None if unit_amount is None else plain(unit_amount),
    }


def product_name(sandbox: Sandbox, price: Obj) -> str:
    """Return the name of a price's product, also after the product was deleted."""
    product = sandbox.store.get("product", price["product"])
    return str(product["name"]) if product else str(price["product"])


def unit_label(sandbox: Sandbox, price: Obj) -> str | None:
    """Return how the product of a price calls a unit of it (`unit_label`), if it says so."""
    product = sandbox.store.get("product", price["product"]) or {}
    return product.get("unit_label")


def _counted(quantity: int | Decimal, unit: str | None, name: str) -> str:
    """Return how many of a product: "10 user x Pro" (recorded: pay, the unit is never in the plural)."""
    label = f" {unit}" if unit else ""
    return f"{plain(Decimal(quantity))}{label} × {name}"  # noqa: RUF001 -- Stripe's own sign


def described(part: money.Part, name: str, unit: str | None, price: Obj, currency: str) -> str:
    """Describe a line as Stripe does: "1 seat x Pro (at $19.00 / month)"; a graduated price names the tier."""
    every = _interval(price.get("recurring"))
    tier = f"Tier {part.tier} " if part.tier else ""
    if part.flat:
        return f"{name} ({tier}flat fee at {amount_text(part.unit_amount, currency)}{every})"
    return f"{_counted(part.quantity, unit, name)} ({tier}at {amount_text(part.unit_amount, currency)}{every})"


def _interval(recurring: Obj | None) -> str:
    if not recurring:
        return ""
    count = recurring["interval_count"]
    return f" / {recurring['interval']}" if count == 1 else f" / every {count} {recurring['interval']}s"


@lru_cache(maxsize=4096)
def amount_text(amount: Decimal, currency: str) -> str:
    """Return an amount in minor units with its symbol, fractions of the unit included."""
    value = amount.scaleb(-exponent(currency))
    whole = amount == amount.to_integral_value()
    return str(format_currency(value, currency.upper(), locale="en_US", decimal_quantization=whole))


def plain(value: Decimal) -> str:
    """Return a decimal without exponent or trailing zeros: `1900`, `0.125`."""
    return f"{value.normalize():f}"
