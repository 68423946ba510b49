"""What a checkout session sells: its line items, their amounts, and what the buyer may change while it is open.

Source: docs.stripe.com/api/checkout/sessions/line_items
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from gateway.sandbox.billing import discounts, items, lines, totals
from gateway.sandbox.billing.starting import trial_end_of
from gateway.sandbox.core import money
from gateway.sandbox.core.errors import invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def item(sandbox: Sandbox, entry: Obj, price: Obj, currency: str | None, param: str) -> Obj:
    """Return a line item of a session; its amounts come from `reckon`."""
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    if not metered and "quantity" not in entry:
        raise invalid("Quantity is required. Add `quantity` to `line_items[0]`.".replace("line_items[0]", param), param)
    if metered and "quantity" in entry:
        raise invalid("Quantity should not be specified where usage_type is `metered`.", f"{param}[quantity]")
    items.check_currency(price, currency or price["currency"], f"{param}[price]")
    return {
        "id": sandbox.new_id("li"),
        "object": "item",
        "adjustable_quantity": _adjustable(entry.get("adjustable_quantity")),
        "currency": currency,
        "description": lines.product_name(sandbox, price),
        "metadata": entry.get("metadata") or {},
        "price": price,
        "quantity": None if metered else entry["quantity"],
        "_tax_rates": items.tax_rates(sandbox, entry.get("tax_rates"), f"{param}[tax_rates]"),
    }


def _adjustable(given: Obj | None) -> Obj | None:
    return {"enabled": False, "maximum": 99, "minimum": 0, **given} if given else None


def discount(sandbox: Sandbox, session: Obj, entry: Obj, customer: Obj | None) -> Obj:
    """Return the discount that an entry of `discounts` puts on a session, if the order is big enough for it."""
    coupon, code = discounts.resolve(sandbox, entry, customer)
    subtotal = sum(_amount(session, item) for item in session["_items"])
    if code and not discounts.reaches_minimum(code, subtotal, session["currency"]):
        raise invalid("This order does not meet the promotion code's minimum amount.", "promotion_code")
    return {"coupon": coupon["id"], "promotion_code": code["id"] if code else None}


def _trial(session: Obj) -> int | None:
    data = session["_params"].get("subscription_data", {})
    return trial_end_of(data, [], session["created"])


def _amount(session: Obj, item: Obj) -> int:
    """Return what is due today for a line item: nothing for metered prices, nor for recurring ones in a trial."""
    if item["quantity"] is None or (item["price"]["type"] == "recurring" and _trial(session)):
        return 0
    return money.cost(item["price"], item["quantity"], session["currency"])


def reckon(sandbox: Sandbox, session: Obj) -> Obj:
    """Reckon the amounts of a session and of its line items."""
    if session["mode"] == "setup":
        return session
    rows = [_row(session, item) for item in session["_items"]]
    coupons = [totals.Discount(each["coupon"], sandbox.need("coupon", each["coupon"])) for each in session["discounts"]]
    rates = items.tax_rates(
        sandbox, session["_params"].get("subscription_data", {}).get("default_tax_rates"), "default_tax_rates"
    )
    customer = sandbox.store.get("customer", session["customer"] or "") or {}
    rules = totals.Rules(session["currency"], coupons, {}, rates, customer.get("tax_exempt") or "none")
    sums = totals.reckon(rows, rules)
    for item, row in zip(session["_items"], rows, strict=True):
        exclusive = sum(tax["amount"] for tax in row["taxes"] if tax["tax_behavior"] == "exclusive")
        item |= {
            "amount_discount": sum(each["amount"] for each in row["discount_amounts"]),
            "amount_subtotal": row["amount"],
            "amount_tax": sum(tax["amount"] for tax in row["taxes"]),
            "amount_total": totals.net(row) + exclusive,
        }
    return session | {
        "amount_subtotal": sums["subtotal"],
        "amount_total": sums["total"],
        "total_details": {
            "amount_discount": sum(each["amount"] for each in sums["total_discount_amounts"]),
            "amount_shipping": 0,
            "amount_tax": sum(tax["amount"] for tax in sums["total_taxes"]),
        },
    }


def _row(session: Obj, item: Obj) -> Obj:
    return {
        "amount": _amount(session, item),
        "discountable": True,
        "discounts": [],
        "pricing": lines.pricing(item["price"], Decimal(0)),
        "_tax_rates": item["_tax_rates"],
    }


def apply_promotion_code(sandbox: Sandbox, session_id: str, code: str | None) -> Obj:
    """Put a promotion code (as the buyer types it) on an open session, or take it off (None).

    Raises:
        StripeError: There is no such code, or it does not fit this order.
    """
    session = _open(sandbox, session_id)
    session["discounts"] = []
    if code:
        known = [each for each in sandbox.store.find("promotion_code") if _same_code(each, code)]
        if not known:
            raise invalid("This code is invalid.", "promotion_code", "resource_missing")
        found = next((each for each in known if each["customer"] == session["customer"]), known[0])
        customer = sandbox.store.get("customer", session["customer"] or "")
        session["discounts"] = [discount(sandbox, session, {"promotion_code": found["id"]}, customer)]
    return sandbox.update(reckon(sandbox, session))


def _same_code(found: Obj, typed: str) -> bool:
    return bool(found["active"]) and str(found["code"]).lower() == typed.strip().lower()


def change_quantity(sandbox: Sandbox, session_id: str, item_id: str, quantity: int) -> Obj:
    """Change the quantity of an adjustable line item of an open session, within its bounds; 0 removes the item.

    Source: docs.stripe.com/payments/checkout/adjustable-quantity
    """
    session = _open(sandbox, session_id)
    item = next((each for each in session["_items"] if each["id"] == item_id), None)
    bounds = (item or {}).get("adjustable_quantity")
    if item is None or not bounds or not bounds["enabled"]:
        raise invalid("The quantity of this item cannot be changed.", "quantity")
    if not bounds["minimum"] <= quantity <= bounds["maximum"]:
        raise invalid(f"The quantity must be between {bounds['minimum']} and {bounds['maximum']}.", "quantity")
    if not quantity:
        session["_items"].remove(item)
        if not session["_items"]:
            raise invalid("The last item cannot be removed.", "quantity")
    item["quantity"] = quantity
    return sandbox.update(reckon(sandbox, session))


def _open(sandbox: Sandbox, id: str) -> Obj:
    session = sandbox.need("checkout.session", id)
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is {session['status']}.", "session")
    return session
