"""What Stripe sells, as its API has it, for tables of rules about files of prices."""

from typing import Any

from gateway.billing.pricing.at_stripe import AtStripe

Json = dict[str, Any]


def product(id: str, **told: Any) -> Json:
    given = {"object": "product", "name": id.capitalize(), "description": None, "active": True, "images": []}
    return {"id": id, **given, "marketing_features": [], "metadata": {}, "created": 0, "default_price": None, **told}


def price(id: str, lookup_key: str | None, **told: Any) -> Json:
    """A monthly price of the product `pro`; `currency_options` has an amount and a tax behaviour by currency."""
    given: Json = {"object": "price", "product": "pro", "currency": "usd", "nickname": None, "active": True}
    given |= {"metadata": {}, "created": 0, "tax_behavior": None, "unit_amount": 900, "unit_amount_decimal": "900"}
    given["recurring"] = {"interval": "month", "interval_count": 1, "usage_type": "licensed", "meter": None}
    given = {"id": id, "lookup_key": lookup_key, **given, **told}
    own = {given["currency"]: (given["unit_amount"], given["tax_behavior"])}
    options = {**own, **given.get("currency_options", {})}
    given["currency_options"] = {
        name: {"unit_amount": amount, "unit_amount_decimal": f"{amount}", "tax_behavior": tax}
        for name, (amount, tax) in options.items()
    }
    return given


def meter(id: str, name: str, formula: str = "sum", **told: Any) -> Json:
    given = {"display_name": name, "default_aggregation": {"formula": formula}, "status": "active", "_older": []}
    return {"id": id, **given, **told}


def at_stripe(*objects: Json, **more: Any) -> AtStripe:
    """Products and prices, and by their names `meters`, `features` and `bonds`."""
    kinds = ("product", "price")
    products, prices = ({each["id"]: each for each in objects if each["object"] == kind} for kind in kinds)
    return AtStripe(products, prices, **{"meters": {}, "features": {}, **more})
