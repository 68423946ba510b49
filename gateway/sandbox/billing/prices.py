"""Prices: made from the parameters of a price or a plan, and told of under both names.

Source: https://docs.stripe.com/api/prices
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import products, usage
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.plans import plan_of
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


_FRACTION_DIGITS = 12


def make(sandbox: Sandbox, params: Obj) -> Obj:
    """Create a price from the parameters of `POST /v1/prices` (or of a plan translated to them)."""
    if params.get("aggregate_usage", "sum") not in usage.AGGREGATES:
        raise invalid(f"Invalid aggregate_usage: must be one of {', '.join(usage.AGGREGATES)}", "aggregate_usage")
    product = _product(sandbox, params)
    currency = params["currency"].lower()
    recurring = _recurring(sandbox, params.get("recurring"))
    own = amounts(params, "")
    options = {
        key.lower(): {"tax_behavior": "unspecified", **value, **amounts(value, f"currency_options[{key}]")}
        for key, value in params.get("currency_options", {}).items()
    }
    price = {
        "object": "price",
        **({"id": params["id"]} if "id" in params else {}),
        "active": params.get("active", True),
        "billing_scheme": params.get("billing_scheme", "tiered" if params.get("tiers") else "per_unit"),
        "currency": currency,
        "lookup_key": lookup_key(sandbox, params),
        "metadata": merge({}, params, "metadata").get("metadata", {}),
        "nickname": params.get("nickname"),
        "product": product["id"],
        "recurring": recurring,
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params.get("tiers_mode"),
        "transform_quantity": params.get("transform_quantity"),
        "type": "recurring" if recurring else "one_time",
        **own,
        **({"_aggregate_usage": params["aggregate_usage"]} if params.get("aggregate_usage") else {}),
    }
    price["currency_options"] = {currency: {"tax_behavior": price["tax_behavior"], **own}, **options}
    if price["billing_scheme"] == "tiered" and not params.get("tiers"):
        raise parameter_missing("tiers")
    if params.get("tiers") and not params.get("tiers_mode"):
        raise parameter_missing("tiers_mode")
    price = sandbox.create(price)
    announce(sandbox, "created", price)
    return price


def implied(sandbox: Sandbox, unit_amount: Decimal, currency: str, name: str | None) -> Obj:
    """Return the inactive price that Stripe keeps for an amount which was given without one.

    The same amount under the same name has the same price for years, and no event tells of it (recorded: pay,
    stripe_can_create_an_invoice #1 to #25).
    """
    plain = f"{unit_amount.normalize():f}"
    key = f"{currency} {plain} {name or ''}"
    known = sandbox.store.first("price", _implied=key)
    if known:
        return known
    product: Obj = {"object": "product", "active": False, "images": [], "marketing_features": [], "metadata": {}}
    product = sandbox.create(product | {"name": name or "Invoice item", "type": "service", "updated": sandbox.now()})
    whole = int(unit_amount) if unit_amount == unit_amount.to_integral_value() else None
    own: Obj = {"custom_unit_amount": None, "unit_amount": whole, "unit_amount_decimal": plain}
    return sandbox.create(
        {
            "object": "price",
            "active": False,
            "billing_scheme": "per_unit",
            "currency": currency,
            "currency_options": {currency: {"tax_behavior": "unspecified", **own}},
            "metadata": {},
            "product": product["id"],
            "tax_behavior": "unspecified",
            "type": "one_time",
            "_implied": key,
            **own,
        }
    )


def check_meter(recurring: Obj, version: str | None, param: str) -> None:
    """Refuse a metered price without a meter since basil (changelog 2025-03-31: legacy usage-based billing is gone)."""
    metered = recurring.get("usage_type") == "metered" and not recurring.get("meter")
    if metered and (version or API_VERSION)[:10] >= "2025-03-31":
        raise invalid("Prices with usage_type `metered` must be backed by a meter.", param)


def announce(sandbox: Sandbox, what: str, price: Obj, before: Obj | None = None) -> None:
    """Emit `price.*`, and `plan.*` for a recurring price: the two are views of one thing."""
    sandbox.emit(f"price.{what}", price, before)
    if price["recurring"]:
        sandbox.emit(f"plan.{what}", plan_of(price), before and plan_of(before))


def _product(sandbox: Sandbox, params: Obj) -> Obj:
    if "product_data" in params:
        return products.make(sandbox, params["product_data"])
    if "product" not in params:
        raise parameter_missing("product")
    return sandbox.need("product", params["product"], "product")


def lookup_key(sandbox: Sandbox, params: Obj, own: str | None = None) -> str | None:
    """Return the lookup key of the parameters, taken off another price if `transfer_lookup_key` says so."""
    key = params.get("lookup_key") or None
    holder = sandbox.store.first("price", lookup_key=key) if key else None
    if holder and holder["id"] != own:
        if not params.get("transfer_lookup_key"):
            raise invalid(
                f"A price (`{holder['id']}`) already uses that lookup key. Use `transfer_lookup_key=true` to move it.",
                "lookup_key",
            )
        sandbox.store.put({**holder, "lookup_key": None})
        announce(sandbox, "updated", {**holder, "lookup_key": None}, holder)
    return key


def _recurring(sandbox: Sandbox, given: Obj | None) -> Obj | None:
    if not given:
        return None
    if given.get("meter"):
        sandbox.need("billing.meter", given["meter"], "recurring[meter]")
    defaults = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
    return {**defaults, **given}


def amounts(params: Obj, path: str) -> Obj:
    """Return the unit amount in both its forms, the custom amount and the tiers, as a price shows them."""
    whole, decimal = _both(params, "unit_amount", path)
    amounts: Obj = {"custom_unit_amount": None, "unit_amount": whole, "unit_amount_decimal": decimal}
    if params.get("tiers"):
        amounts["tiers"] = [_tier(tier, f"{path}tiers[{index}]") for index, tier in enumerate(params["tiers"])]
        if params["tiers"][-1]["up_to"] != "inf":
            raise invalid("The last tier must have `up_to` set to `inf`.", "tiers")
    elif params.get("custom_unit_amount"):
        custom = params["custom_unit_amount"]
        amounts["custom_unit_amount"] = {name: custom.get(name) for name in ("maximum", "minimum", "preset")}
    elif whole is None and decimal is None:
        raise parameter_missing(f"{path}[unit_amount]" if path else "unit_amount")
    return amounts


def _tier(tier: Obj, path: str) -> Obj:
    flat, flat_decimal = _both(tier, "flat_amount", path)
    unit, unit_decimal = _both(tier, "unit_amount", path)
    return {
        "flat_amount": flat,
        "flat_amount_decimal": flat_decimal,
        "unit_amount": unit,
        "unit_amount_decimal": unit_decimal,
        "up_to": None if tier["up_to"] == "inf" else tier["up_to"],
    }


def _both(params: Obj, name: str, path: str) -> tuple[int | None, str | None]:
    """Return an amount as an integer where it is one, and as a decimal string; refuse both at once."""
    whole: Any = params.get(name)
    decimal = params.get(f"{name}_decimal")
    where = f"{path}[{name}]" if path else name
    if whole is not None and decimal is not None:
        raise invalid(f"You may only specify one of these parameters: {name}, {name}_decimal.", where)
    if whole is None and decimal is None:
        return None, None
    exact = Decimal(decimal if decimal is not None else whole)
    if exact < 0:
        raise invalid("This value must be greater than or equal to 0.", where, "parameter_invalid_integer")
    if -int(exact.as_tuple().exponent) > _FRACTION_DIGITS:
        raise invalid(f"This value may have at most {_FRACTION_DIGITS} decimal places.", f"{where}_decimal")
    plain = f"{exact.normalize():f}"
    return (int(exact) if exact == exact.to_integral_value() else None), plain
