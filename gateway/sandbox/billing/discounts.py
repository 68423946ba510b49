"""Discounts: coupons and promotion codes put on a customer, a subscription or an invoice.

Sources: docs.stripe.com/billing/subscriptions/coupons, docs.stripe.com/api/discounts
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing.totals import Discount
from gateway.sandbox.core import money, periods
from gateway.sandbox.core.errors import StripeError, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def resolve(
    sandbox: Sandbox, given: Obj, customer: Obj | None = None, param: str = "discounts"
) -> tuple[Obj, Obj | None]:
    """Return the coupon, and the promotion code if one was used, that an entry of a `discounts` parameter names.

    Raises:
        StripeError: Neither exists, or it can no longer be redeemed (by this customer).
    """
    if given.get("promotion_code"):
        code = sandbox.need("promotion_code", given["promotion_code"], f"{param}[promotion_code]")
        _check_code(sandbox, code, customer)
        coupon = sandbox.need("coupon", code["promotion"]["coupon"])
    elif given.get("coupon"):
        code, coupon = None, sandbox.need("coupon", given["coupon"], f"{param}[coupon]")
    else:
        discount = sandbox.need("discount", str(given.get("discount")), f"{param}[discount]")
        return discount["_coupon"], None
    if not redeemable(sandbox, coupon, customer):
        raise StripeError(f"Coupon {coupon['id']} is used up or expired.", code="coupon_expired", param=param)
    return coupon, code


def redeemable(sandbox: Sandbox, coupon: Obj, owner: Obj | None = None) -> bool:
    """Return whether a coupon (or promotion code) may be used once more."""
    last = coupon.get("redeem_by") or coupon.get("expires_at")
    most = coupon.get("max_redemptions")
    return (not last or sandbox.now(owner) <= last) and (not most or coupon["times_redeemed"] < most)


def _check_code(sandbox: Sandbox, code: Obj, customer: Obj | None) -> None:
    if not code["active"] or not redeemable(sandbox, code, customer):
        raise StripeError("This promotion code is invalid.", code="promotion_code_expired", param="promotion_code")
    if code["customer"] and (not customer or code["customer"] != customer["id"]):
        raise invalid("This promotion code cannot be redeemed by this customer.", "promotion_code")
    first_only = code["restrictions"]["first_time_transaction"]
    if first_only and customer and sandbox.store.first("charge", customer=customer["id"], status="succeeded"):
        raise invalid(
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
            "promotion_code",
        )


def reaches_minimum(code: Obj, amount: int, currency: str) -> bool:
    """Return whether an order is big enough for a promotion code's `minimum_amount` (in that currency)."""
    rules = code["restrictions"]
    if rules["minimum_amount_currency"] == currency:
        return bool(amount >= rules["minimum_amount"])
    option = (rules.get("currency_options") or {}).get(currency)
    return amount >= option["minimum_amount"] if option else not rules["minimum_amount"]


def redeem(
    sandbox: Sandbox,
    given: Iterable[Obj] | str | None,
    customer: Obj,
    *,
    replacing: Obj | None = None,
    **owner: Any,
) -> list[str]:
    """Make a discount of each entry of a `discounts` parameter.

    Args:
        sandbox: The account.
        given: Hashes with `coupon`, `promotion_code` or `discount` (which is kept as it is).
        customer: Who gets it.
        replacing: The discount whose place it takes.
        owner: What it is on: `subscription`, `subscription_item`, `invoice`, `checkout_session` ids.

    Returns:
        Ids of discounts.
    """
    return [
        entry["discount"] if entry.get("discount") else _redeem_one(sandbox, entry, customer, replacing, owner)["id"]
        for entry in given or []
        if isinstance(entry, dict)
    ]


def _redeem_one(sandbox: Sandbox, entry: Obj, customer: Obj, replacing: Obj | None, owner: Obj) -> Obj:
    coupon, code = resolve(sandbox, entry, customer)
    for used in (coupon, code):
        if used:
            used["times_redeemed"] += 1
            most = used["max_redemptions"]
            used["valid" if used is coupon else "active"] = not most or used["times_redeemed"] < most
            sandbox.update(used)
    start = sandbox.now(customer)
    months = coupon["duration_in_months"] if coupon["duration"] == "repeating" else None
    discount = {
        "object": "discount",
        "id": sandbox.new_id("di"),
        "checkout_session": None,
        "customer": customer["id"],
        "customer_account": None,
        "end": periods.shifted(start, "month", months) if months else None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": start,
        "subscription": None,
        "subscription_item": None,
        "_coupon": coupon,  # a coupon that is changed or deleted later leaves its discounts alone
        **owner,
    }
    sandbox.store.put(discount)
    sandbox.emit(f"customer.discount.{'updated' if replacing else 'created'}", discount, replacing)
    return discount


def active(sandbox: Sandbox, ids: Sequence[str], at: int) -> list[Discount]:
    """Return the discounts among `ids` that still count at a time, with their coupons."""
    found = (sandbox.store.get("discount", each) for each in ids)
    return [
        Discount(each["id"], each["_coupon"]) for each in found if each and (each["end"] is None or at < each["end"])
    ]


def spend(sandbox: Sandbox, ids: Sequence[str], at: int, *, once: bool) -> list[str]:
    """Return the ids of discounts after an invoice: without those that are over, nor, with `once`, those for one."""
    remaining = [each.id for each in active(sandbox, ids, at) if not once or each.coupon["duration"] != "once"]
    for each in ids:
        gone = each not in remaining and sandbox.store.get("discount", each)
        if gone:
            sandbox.emit("customer.discount.deleted", gone)
    return remaining


def reduced(sandbox: Sandbox, amount: int, ids: Sequence[str], *, currency: str, at: int, product: str) -> int:
    """Return what is left of an amount for a product after discounts; prorations are reckoned on it."""
    for discount in active(sandbox, ids, at):
        products = (discount.coupon.get("applies_to") or {}).get("products")
        if not products or product in products:
            amount -= money.discounted(discount.coupon, [amount], currency)[0]
    return amount


def expire_coupon(sandbox: Sandbox, id: str) -> None:
    """End a coupon whose `redeem_by` has passed."""
    coupon = sandbox.store.get("coupon", id)
    if coupon:
        sandbox.update({**coupon, "valid": False}, "coupon.updated")
