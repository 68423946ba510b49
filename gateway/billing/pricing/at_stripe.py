"""What is sold at Stripe, read whole and told by the keys of a file.

Read from Stripe and not from the copy: the copy leaves out what no client needs, and lags.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from gateway.billing.pricing.catalogue import REPLACES, Catalogue, Price, described
from gateway.mirror.mapping import Json, id_of
from gateway.mirror.reader import Reader

AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class AtStripe:
    """What Stripe has.

    Attributes:
        products: by id, ended ones too.
        prices: by id, without those that Stripe made for an amount alone.
        meters: by the name of their events; of several the active one.
        features: by lookup key.
        bonds: for each product the id of its bond to each feature, by lookup key.
    """

    products: dict[str, Json]
    prices: dict[str, Json]
    meters: dict[str, Json]
    features: dict[str, Json]
    bonds: dict[str, dict[str, str]] = field(default_factory=dict)

    def by_key(self) -> dict[str, Json]:
        """Return the prices that have a lookup key, by it."""
        return {price["lookup_key"]: price for price in self.prices.values() if price["lookup_key"]}

    def replaced(self) -> dict[str, str]:
        """Return for each price that another one has replaced, which."""
        marks = {price["metadata"].get(REPLACES): price["id"] for price in self.prices.values()}
        return {old: new for old, new in marks.items() if old in self.prices}

    def event_name(self, meter_id: str | None) -> str | None:
        """Return the events that a meter counts."""
        return next((name for name, meter in self.meters.items() if meter_id in {meter["id"], *meter["_older"]}), None)


async def read(reader: Reader) -> AtStripe:
    """Read everything that is sold.

    Raises:
        StripeUnavailable: Stripe stays out of reach.
    """
    products = {each["id"]: each for each in await _all(reader, "/v1/products")}
    prices = await _all(reader, "/v1/prices", expand=["data.tiers", "data.currency_options"])
    features = await _all(reader, "/v1/entitlements/features") + await _all(
        reader, "/v1/entitlements/features", archived=True
    )
    meters: dict[str, Json] = {}
    for each in sorted(await _all(reader, "/v1/billing/meters"), key=lambda meter: meter["status"] == "active"):
        older = meters.get(each["event_name"])
        meters[each["event_name"]] = {**each, "_older": [older["id"], *older["_older"]] if older else []}
    bonds = await _bonds(reader, products) if features else {}
    return AtStripe(
        products,
        {each["id"]: each for each in prices},
        meters,
        {each["lookup_key"]: each for each in features},
        bonds,
    )


async def _bonds(reader: Reader, products: Iterable[str]) -> dict[str, dict[str, str]]:
    limit = asyncio.Semaphore(AT_A_TIME)

    async def of(product_id: str) -> tuple[str, dict[str, str]]:
        async with limit:
            bonds = await _all(reader, f"/v1/products/{product_id}/features")
        return product_id, {each["entitlement_feature"]["lookup_key"]: each["id"] for each in bonds}

    return dict(await asyncio.gather(*map(of, products)))


async def _all(reader: Reader, path: str, **params: Any) -> list[Json]:
    return [each async for answer in reader.pages(path, **params) for each in answer.object["data"]]


@dataclass(frozen=True, slots=True)
class Pulled:
    """Stripe's catalogue as a file would say it, and what no file can."""

    catalogue: Catalogue
    left_out: tuple[str, ...]


def pull(at_stripe: AtStripe) -> Pulled:
    """Return what Stripe has as a file.

    Prices without a lookup key are left out, and so are ended products that have no other price.
    """
    left_out: list[str] = []
    products = {}
    for product in sorted(at_stripe.products.values(), key=lambda each: (each["created"], each["id"])):
        prices = {}
        for price in sorted(at_stripe.by_key().values(), key=lambda each: (each["created"], each["lookup_key"])):
            if id_of(price["product"]) != product["id"]:
                continue
            try:
                prices[price["lookup_key"]] = Price.model_validate(price_of(at_stripe, price))
            except ValidationError as error:
                left_out.append(f"price {price['lookup_key']}: {error.errors()[0]['msg']}")
        if product["active"] or prices:
            products[product["id"]] = product_of(at_stripe, product) | {"prices": prices}
    left_out += [
        f"price {price['id']} of {id_of(price['product'])}: it has no lookup key"
        for price in at_stripe.prices.values()
        if not price["lookup_key"] and price["active"]
    ]
    used = {price.meter for each in products.values() for price in each["prices"].values()}
    meters = {
        name: {"name": meter["display_name"], "aggregation": meter["default_aggregation"]["formula"]}
        for name, meter in sorted(at_stripe.meters.items())
        if meter["status"] == "active" or name in used
    }
    named = {name for each in products.values() for name in each["features"]}
    features = {key: each["name"] for key, each in sorted(at_stripe.features.items()) if each["active"] or key in named}
    return Pulled(
        Catalogue.model_validate({"meters": meters, "features": features, "products": products}), tuple(left_out)
    )


def product_of(at_stripe: AtStripe, product: Json) -> Json:
    """Return a product by the keys of a file, without its prices."""
    default = at_stripe.prices.get(id_of(product.get("default_price")) or "")
    own = default is not None and default["active"] and id_of(default["product"]) == product["id"]
    return {
        "name": product["name"],
        "description": product["description"],
        "active": product["active"],
        "unit_label": product.get("unit_label"),
        "url": product.get("url"),
        "tax_code": id_of(product.get("tax_code")),
        "statement_descriptor": product.get("statement_descriptor"),
        "images": product["images"],
        "marketing_features": [each["name"] for each in product["marketing_features"] if each.get("name")],
        "features": sorted(at_stripe.bonds.get(product["id"], ())),
        "default_price": default["lookup_key"] if default is not None and own else None,
        **described(product["metadata"]),
    }


def price_of(at_stripe: AtStripe, price: Json) -> Json:
    """Return a price by the keys of a file.

    Its own currency is among its options too, with the same amount.
    """
    recurring = price.get("recurring") or {}
    package = price.get("transform_quantity")
    options = price.get("currency_options") or {}
    if recurring.get("usage_type") == "metered" and not recurring.get("meter"):
        return {"usage": "metered"}  # no price can be made so any more (changelog, 2025-03-31)
    return {
        "currency": price["currency"],
        **_money(price),
        "tiers_mode": price.get("tiers_mode"),
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count") or 1,
        "trial_days": recurring.get("trial_period_days"),
        "meter": at_stripe.event_name(recurring.get("meter")),
        "package": {"size": package["divide_by"], "round": package["round"]} if package else None,
        "currencies": {key: _money(each) for key, each in sorted(options.items()) if key != price["currency"]},
        "nickname": price["nickname"],
        "active": price["active"],
        **described(price["metadata"]),
    }


def _money(obj: Json) -> Json:
    custom, tiers = obj.get("custom_unit_amount"), obj.get("tiers")
    tax = obj.get("tax_behavior")
    return {
        "amount": None if tiers or custom else _amount(obj, "unit_amount"),
        "tiers": [
            {
                "up_to": tier["up_to"] or "inf",
                "amount": _amount(tier, "unit_amount"),
                "flat": _amount(tier, "flat_amount"),
            }
            for tier in tiers or ()
        ],
        "custom_amount": {name: custom.get(name) for name in ("minimum", "maximum", "preset")} if custom else None,
        "tax": None if tax == "unspecified" else tax,
    }


def _amount(obj: Json, name: str) -> int | str | None:
    whole: int | None = obj[name]
    decimal: str | None = obj.get(f"{name}_decimal")
    return decimal if whole is None else whole
