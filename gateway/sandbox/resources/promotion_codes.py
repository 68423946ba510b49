"""Promotion codes: what a buyer types to get a coupon. https://docs.stripe.com/api/promotion_codes."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("promotion_code", "promo", "promotion code")


def _before_clover(params: Obj) -> Obj:
    """Put the coupon by itself, as before."""
    if "coupon" not in params:
        return params
    rest = {key: value for key, value in params.items() if key != "coupon"}
    return {"promotion": {"type": "coupon", "coupon": params["coupon"]}, **rest}


@route("POST", "/v1/promotion_codes", params="PromotionCodeCreateParams", older=_before_clover)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a promotion code for a coupon."""
    params = request.params
    coupon_id = params["promotion"].get("coupon")
    if coupon_id is None:
        raise parameter_missing("promotion[coupon]")
    coupon = sandbox.need("coupon", coupon_id, "promotion[coupon]")
    if not coupon["valid"]:
        raise invalid(f"Coupon {coupon_id} is not valid.", "promotion[coupon]")
    if "customer" in params:
        sandbox.need("customer", params["customer"], "customer")
    code = params.get("code") or sandbox.choices(string.ascii_uppercase + string.digits, 8)
    if _is_taken(sandbox, code, params.get("customer")):
        raise invalid("An active promotion code with `code: " + code + "` already exists.", "code")
    promotion = {
        "object": "promotion_code",
        "active": True,
        "metadata": {},
        "restrictions": {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        "times_redeemed": 0,
    }
    promotion = merge(promotion, {**params, "code": code})
    promotion["promotion"] = {"type": "coupon", "coupon": coupon_id}
    return sandbox.create(promotion, "promotion_code.created")


@route("GET", "/v1/promotion_codes", params="PromotionCodeListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List promotion codes; `code` is matched in any case."""
    code, coupon = request.params.get("code"), request.params.get("coupon")

    def fits(promotion: Obj) -> bool:
        return (code is None or promotion["code"].lower() == code.lower()) and (
            coupon is None or promotion["promotion"]["coupon"] == coupon
        )

    return page(sandbox, request, "promotion_code", fits, code=None, coupon=None)


@route("GET", "/v1/promotion_codes/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a promotion code."""
    return sandbox.need("promotion_code", id)


@route("POST", "/v1/promotion_codes/{id}", params="PromotionCodeUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Switch a promotion code on or off, change its metadata or restrictions."""
    return sandbox.update(merge(sandbox.need("promotion_code", id), request.params), "promotion_code.updated")


def _is_taken(sandbox: Sandbox, code: str, customer_id: str | None) -> bool:
    """Return whether a code cannot be made: several customers may have codes of one text (docs, "Coupons", codes)."""
    same = (
        each
        for each in sandbox.store.scan("promotion_code")
        if each["active"] and each["code"].lower() == code.strip().lower()
    )
    return any(None in (customer_id, each["customer"]) or each["customer"] == customer_id for each in same)


def find(sandbox: Sandbox, code: str) -> Obj | None:
    """Return the active promotion code that a buyer typed, in any case, or None."""
    wanted = code.strip().lower()
    active = (each for each in sandbox.store.scan("promotion_code") if each["active"])
    return next((each for each in active if each["code"].lower() == wanted), None)
