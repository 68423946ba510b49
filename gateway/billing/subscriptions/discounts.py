"""Discounts as the mirror has them, and the promotion codes that give them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.mirror.mapping import id_of
from gateway.models.mirrored import Coupon, Discount
from gateway.stripe_api.client import Stripe

COUPONS, DISCOUNTS = table_for(Coupon), table_for(Discount)
MAX_CODE = 500
"""Of a promotion code (Stripe API, "Create a promotion code": letters, digits and dashes)."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """What a discount takes off.

    Attributes:
        coupon_id: Stripe's id.
        name: what customers read on their invoices; None without, or while the coupon is not in the mirror.
        percent_off: per cent.
        amount_off: minor units of `currency`.
        currency: lower case.
        once: whether it counts for one invoice alone.
        ends: when it ends; None where it does not, or is of one invoice.
        promotion_code_id: of the code that gave it; None where the seller did.
    """

    coupon_id: str
    name: str | None = None
    percent_off: float | None = None
    amount_off: int | None = None
    currency: str | None = None
    once: bool = False
    ends: datetime | None = None
    promotion_code_id: str | None = None


def of_discounts(connection: sa.Connection, ids: Collection[str]) -> dict[str, Reduction]:
    """Return what discounts take off, also those that are over."""
    joined = DISCOUNTS.outerjoin(COUPONS, COUPONS.c.id == DISCOUNTS.c.coupon_id)
    known = DISCOUNTS.c.id, DISCOUNTS.c.ends, DISCOUNTS.c.promotion_code_id
    query = sa.select(*known, DISCOUNTS.c.coupon_id, *_COUPON).select_from(joined).where(DISCOUNTS.c.id.in_(ids))
    return {row.id: _reduction(row, row.ends, row.promotion_code_id) for row in connection.execute(query)}


def of_coupons(connection: sa.Connection, ids: Collection[str]) -> dict[str, Reduction]:
    """Return what coupons take off."""
    query = sa.select(COUPONS.c.id.label("coupon_id"), *_COUPON).where(COUPONS.c.id.in_(ids))
    return {row.coupon_id: _reduction(row) for row in connection.execute(query)}


_COUPON = [COUPONS.c[name] for name in ("name", "percent_off", "amount_off", "currency", "duration")]


def _reduction(row: Any, ends: datetime | None = None, code: str | None = None) -> Reduction:
    said = row.name, row.percent_off, row.amount_off, row.currency
    return Reduction(row.coupon_id, *said, row.duration == "once", ends, code)


async def promotion_code(stripe: Stripe, code: str, customer_id: str | None) -> dict[str, Any] | None:
    """Return the active promotion code of this text: the customer's own, else one that is for everybody.

    Several customers may have a code of one text each (Stripe, "Coupons and promotion codes").

    Raises:
        StripeUnavailable: Stripe cannot be reached.
    """
    if not code.strip() or len(code) > MAX_CODE:
        return None
    asked = {"code": code.strip(), "active": "true", "limit": 100}
    page = (await stripe.get("/v1/promotion_codes", **asked)).object
    by_customer: dict[str | None, dict[str, Any]] = {}
    while True:
        for found in page["data"]:
            by_customer.setdefault(id_of(found["customer"]), found)
        if customer_id in by_customer or not page["has_more"]:
            return by_customer.get(customer_id) or by_customer.get(None)
        page = (await stripe.get("/v1/promotion_codes", **asked, starting_after=page["data"][-1]["id"])).object


async def used_before(database: Database, customer_id: str, coupon_id: str) -> bool:
    """Return whether a customer has or had a discount of a coupon."""
    query = sa.select(DISCOUNTS.c.id).where(DISCOUNTS.c.customer_id == customer_id, DISCOUNTS.c.coupon_id == coupon_id)
    return await database.read(lambda connection: connection.execute(query.limit(1)).first()) is not None


def code_stands_against(discounts: Iterable[dict[str, Any]]) -> Problem | None:
    """Return that a subscription has a discount by a code already: codes are not combined, as at the checkout.

    Args:
        discounts: of the subscription, as Stripe has them, expanded.
    """
    if not any(each.get("promotion_code") for each in discounts):
        return None
    return _invalid("the subscription has a discount by a code already: use another one when it is over")


def invalid_code(message: str) -> Rejected:
    """Return the error for a promotion code that its buyer cannot use."""
    return Rejected(_invalid(message))


def _invalid(message: str) -> Problem:
    return Problem(ProblemCode.PROMOTION_CODE_INVALID, message, "promotionCode")
