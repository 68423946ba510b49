"""Pending invoice items: prorations and one-off charges that wait for the next invoice.

Source: docs.stripe.com/api/invoiceitems
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import discounts, items, lines, prices
from gateway.sandbox.core import money
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def add(sandbox: Sandbox, customer: Obj, *, amount: int, currency: str, period: tuple[int, int], **fields: Any) -> Obj:
    """Make an invoice item; `fields` are further fields of it."""
    quantity = fields.get("quantity", 1)
    return sandbox.create(
        {
            "object": "invoiceitem",
            "amount": amount,
            "currency": currency,
            "customer": customer["id"],
            "date": sandbox.now(customer),
            "discountable": True,
            "discounts": [],
            "invoice": None,
            "metadata": {},
            "net_amount": amount,
            "parent": None,
            "period": {"end": period[1], "start": period[0]},
            "pricing": None,
            "proration": False,
            "quantity": quantity,
            "quantity_decimal": str(quantity),
            "tax_rates": [],
            "test_clock": customer.get("test_clock"),
            **fields,
        },
        "invoiceitem.created",
    )


def from_params(sandbox: Sandbox, customer: Obj, params: Obj, currency: str | None, param: str = "") -> Obj:
    """Return the fields of an invoice item that `POST /v1/invoiceitems` (or `add_invoice_items`) describes."""
    price = items.price_of(sandbox, params.get("pricing") or params, param or "pricing", recurring=False)
    quantity = params.get("quantity", 1)
    now = sandbox.now(customer)
    period = params.get("period") or {}
    fields: Obj = merge({"discountable": True, "metadata": {}}, params, "discountable", "metadata", "description")
    fields |= {
        "quantity": quantity,
        "period": (_moment(period.get("start"), now), _moment(period.get("end"), now)),
        "tax_rates": items.tax_rates(sandbox, params.get("tax_rates"), "tax_rates"),
        "discounts": discounts.redeem(sandbox, params.get("discounts"), customer),
    }
    if price:
        currency = currency or price["currency"]
        items.check_currency(price, currency, param or "pricing[price]")
        part = money.parts(price, quantity, currency)[0]
        fields |= {"amount": money.cost(price, quantity, currency), "pricing": lines.pricing(price, part.unit_amount)}
        fields.setdefault("description", lines.product_name(sandbox, price))
        return {**fields, "currency": currency.lower()}
    fields["amount"] = _plain_amount(params, quantity)
    if not currency and not params.get("currency"):
        raise parameter_missing("currency")
    fields["currency"] = (currency or params["currency"]).lower()
    unit = Decimal(str(params.get("unit_amount_decimal", params.get("unit_amount", fields["amount"]))))
    named = prices.implied(sandbox, unit, fields["currency"], params.get("description"))
    return {**fields, "pricing": lines.pricing(named, unit)}


def _moment(given: Any, now: int) -> int:
    """Return a period's bound: a timestamp, or `{type, timestamp}` in `add_invoice_items`."""
    if isinstance(given, dict):
        return int(given.get("timestamp") or now)
    return int(given or now)


def _plain_amount(params: Obj, quantity: int) -> int:
    unit = params.get("unit_amount_decimal", params.get("unit_amount"))
    if "amount" in params and unit is not None:
        raise invalid("You may only specify one of these parameters: amount, unit_amount_decimal.", "amount")
    if unit is not None:
        return money.rounded(Decimal(str(unit)) * quantity)
    if "amount" not in params:
        raise parameter_missing("amount")
    return int(params["amount"])


def of(sandbox: Sandbox, subscription: Obj) -> list[Obj]:
    """Return the items that wait for a subscription's next invoice: its own, and those of no subscription."""
    return [
        item
        for item in of_customer(sandbox, subscription["customer"], subscription["currency"])
        if owner(item) in (None, subscription["id"])
    ]


def of_customer(sandbox: Sandbox, customer: str, currency: str) -> list[Obj]:
    """Return all items of a customer that wait, oldest first."""
    found = sandbox.store.find("invoiceitem", customer=customer, currency=currency)
    return [item for item in reversed(found) if item["invoice"] is None]


def owner(item: Obj) -> str | None:
    """Return the subscription that an invoice item belongs to."""
    details: Obj = (item["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


def as_lines(sandbox: Sandbox, waiting: Sequence[Obj]) -> list[Obj]:
    """Return the lines that items become on an invoice."""
    return [lines.of_invoice_item(item, sandbox.new_id("il")) for item in waiting]


def attach(sandbox: Sandbox, waiting: Sequence[Obj], invoice: Obj) -> None:
    """Mark items as being on an invoice."""
    for item in waiting:
        sandbox.update(item | {"invoice": invoice["id"]})


def add_extra(sandbox: Sandbox, subscription: Obj, given: Sequence[Obj]) -> None:
    """Have the one-off charges of `add_invoice_items` wait for the subscription's next invoice."""
    customer = sandbox.need("customer", subscription["customer"])
    for number, entry in enumerate(given):
        fields = from_params(sandbox, customer, entry, subscription["currency"], f"add_invoice_items[{number}]")
        add(sandbox, customer, **fields, parent=belongs_to(subscription["id"]))


def belongs_to(subscription: str, item: str | None = None) -> Obj:
    """Return the `parent` of an invoice item of a subscription (and of one of its items)."""
    details = {"subscription": subscription, **({"subscription_item": item} if item else {})}
    return {"subscription_details": details, "type": "subscription_details"}
