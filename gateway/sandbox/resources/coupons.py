"""Coupons. https://docs.stripe.com/api/coupons."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import hidden, kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("coupon", "co", path="coupon")
hidden("coupon", "applies_to", "currency_options")

_WHOLE = 100


@route("POST", "/v1/coupons", params="CouponCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a coupon that takes off a percentage or an amount."""
    params = request.params
    if ("percent_off" in params) == ("amount_off" in params):
        raise invalid("Must provide either percent_off or amount_off, but not both.", code="parameter_missing")
    if not 0 < params.get("percent_off", _WHOLE) <= _WHOLE:
        raise invalid("Percent off must be greater than 0 and at most 100.", "percent_off")
    if "amount_off" in params and "currency" not in params:
        raise parameter_missing("currency")
    duration = params.get("duration", "once")
    if (duration == "repeating") != ("duration_in_months" in params):
        raise invalid("duration_in_months is for repeating coupons, and required for them.", "duration_in_months")
    coupon_id = params.get("id") or sandbox.choices(string.ascii_letters + string.digits, 8)
    if sandbox.store.get("coupon", coupon_id):
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    coupon = {"object": "coupon", "duration": duration, "metadata": {}, "times_redeemed": 0, "valid": True}
    coupon = sandbox.create(merge(coupon, {**params, "id": coupon_id}), "coupon.created")
    if "redeem_by" in params:
        sandbox.clock.schedule(params["redeem_by"] + 1, "coupon.expire", coupon)
    return coupon


@route("GET", "/v1/coupons", params="CouponListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List coupons."""
    return page(sandbox, request, "coupon")


@route("GET", "/v1/coupons/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a coupon."""
    return sandbox.need("coupon", id)


@route("POST", "/v1/coupons/{id}", params="CouponUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change name, metadata or further currencies."""
    return sandbox.update(merge(sandbox.need("coupon", id), request.params), "coupon.updated")


@route("DELETE", "/v1/coupons/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a coupon; discounts that were given stay."""
    return sandbox.remove(sandbox.need("coupon", id), "coupon.deleted")
