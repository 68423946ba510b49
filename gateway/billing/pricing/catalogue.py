"""What a file of prices may say: its keys, their types, and what must fit together.

Limits, credits and languages have keys of their own here; at Stripe they stand in the metadata of products and prices,
and both ways lead back to the same.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

TRANSLATED = ("name", "description", "call_to_action", "unit_label", "marketing_features", "nickname")
"""Metadata that have a twin for each language, such as `name_de`."""
REPLACES = "gateway_replaces"
"""Metadata of a price: the one whose lookup key it took over. It says what a push that was killed has still to do."""
LANGUAGE = re.compile(rf"({'|'.join(TRANSLATED)})_([a-z]{{2,3}}(?:_[a-z]{{2}})?)")
WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")


def text(value: Any) -> Any:
    """Return a value of a file as text, where that is what is wanted: `2023`, `true`."""
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value


def amount(value: Any) -> Any:
    """Return an amount in minor units: an integer, or a decimal as text where it has a fraction.

    Raises:
        ValueError: it is none; a float is never one.
    """
    if value is None:
        return None
    said = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(said, str) or not re.fullmatch(r"\d{1,15}(\.\d{1,12})?", said):
        raise ValueError("must be an amount in the currency's smallest unit, such as 2900 or 0.5")
    exact = Decimal(said)
    return int(exact) if exact == exact.to_integral_value() else f"{exact.normalize():f}"


Text = Annotated[str, BeforeValidator(text), StringConstraints(min_length=1)]
Amount = Annotated[int | str, BeforeValidator(amount)]
Key = Annotated[str, StringConstraints(pattern=r"^\S{1,200}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]


class Said(BaseModel):
    """What has keys, of which no other may be there."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Tier(Said):
    """One step of a price that depends on the quantity."""

    up_to: Annotated[int, Field(gt=0)] | Literal["inf"]
    amount: Amount | None = None
    flat: Amount | None = None


class CustomAmount(Said):
    """An amount that the buyer chooses."""

    minimum: int | None = None
    maximum: int | None = None
    preset: int | None = None


class Money(Said):
    """What one unit costs in one currency: exactly one of the three."""

    amount: Amount | None = None
    tiers: list[Tier] = []
    custom_amount: CustomAmount | None = None
    tax: Literal["inclusive", "exclusive"] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum((self.amount is not None, bool(self.tiers), self.custom_amount is not None)) != 1:
            raise ValueError("must have exactly one of amount, tiers and custom_amount")
        if self.tiers and [tier.up_to for tier in self.tiers].index("inf") != len(self.tiers) - 1:
            raise ValueError("the last tier, and no other, must be up_to: inf")
        return self


def money(value: Any) -> Any:
    """Return `eur: 2700` as what it is short for."""
    return value if isinstance(value, dict) else {"amount": value}


class Package(Said):
    """So many units are sold as one."""

    size: Annotated[int, Field(gt=1)]
    round: Literal["up", "down"]


class Described(Said):
    """What metadata hold: each key of its own is short for some of them."""

    credits: int | None = None
    credits_of: dict[Key, int] = {}
    limits: dict[Key, int] = {}
    languages: dict[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[a-z]{2})?$")], dict[str, Text]] = {}
    metadata: dict[Annotated[str, StringConstraints(max_length=40)], Text] = {}

    @model_validator(mode="after")
    def _says_nothing_twice(self) -> Self:
        for language, words in self.languages.items():
            if unknown := [name for name in words if name not in TRANSLATED]:
                raise ValueError(f"languages.{language}: {unknown[0]} is none of {', '.join(TRANSLATED)}")
        twice = self._short().keys() & self.metadata.keys()
        if twice or REPLACES in self.metadata:
            raise ValueError(f"metadata.{min(twice or {REPLACES})} is said by another key of this file")
        return self

    def all_metadata(self) -> dict[str, str]:
        """Return the metadata at Stripe."""
        return {**self.metadata, **self._short()}

    def _short(self) -> dict[str, str]:
        numbers = {f"limit_{name}": value for name, value in self.limits.items()}
        numbers |= {f"credits_{kind}": value for kind, value in self.credits_of.items()}
        numbers |= {} if self.credits is None else {"credits": self.credits}
        words = {f"{name}_{key}": each for key, said in self.languages.items() for name, each in said.items()}
        return {name: str(value) for name, value in numbers.items()} | words


def described(metadata: dict[str, str]) -> dict[str, Any]:
    """Return Stripe's metadata by the keys of a file."""
    said: dict[str, Any] = {"limits": {}, "credits_of": {}, "languages": {}, "metadata": {}}
    for name, value in sorted(metadata.items()):
        is_whole = bool(WHOLE.fullmatch(value))
        if name == REPLACES:
            continue
        if found := LANGUAGE.fullmatch(name):
            said["languages"].setdefault(found[2], {})[found[1]] = value
        elif is_whole and name == "credits":
            said["credits"] = int(value)
        elif is_whole and (found := re.fullmatch(r"(limit|credits)_(\S+)", name)):
            said["limits" if found[1] == "limit" else "credits_of"][found[2]] = int(value)
        else:
            said["metadata"][name] = value
    return said


class Price(Money, Described):
    """A price, by its lookup key."""

    currency: Currency
    tiers_mode: Literal["graduated", "volume"] | None = None
    interval: Literal["day", "week", "month", "year"] | None = None
    interval_count: Annotated[int, Field(gt=0)] = 1
    trial_days: Annotated[int, Field(gt=0)] | None = None
    meter: Key | None = None
    package: Package | None = None
    currencies: dict[Currency, Annotated[Money, BeforeValidator(money)]] = {}
    nickname: Text | None = None
    active: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.tiers) != bool(self.tiers_mode):
            raise ValueError("tiers and tiers_mode belong together")
        if self.interval is None and (self.interval_count != 1 or self.trial_days or self.meter):
            raise ValueError("interval_count, trial_days and meter need an interval")
        if self.currency in self.currencies:
            raise ValueError(f"currencies.{self.currency} is the price's own currency")
        return self


class Product(Described):
    """A product, by its id at Stripe."""

    name: Text
    description: Text | None = None
    active: bool = True
    unit_label: Text | None = None
    url: Text | None = None
    tax_code: Text | None = None
    statement_descriptor: Text | None = None
    images: list[Text] = []
    marketing_features: list[Text] = []
    features: list[Key] = []
    default_price: Key | None = None
    prices: dict[Key, Price] = {}


class Meter(Said):
    """What counts usage, by the name of its events."""

    name: Text
    aggregation: Literal["sum", "count", "last"] = "sum"


class Catalogue(Said):
    """A whole file."""

    meters: dict[Key, Meter] = {}
    features: dict[Key, Text] = {}
    products: dict[Key, Product] = {}

    def unfit(self) -> list[tuple[tuple[str, ...], str]]:
        """Return what does not fit together: where, and what is wrong."""
        found: list[tuple[tuple[str, ...], str]] = []
        whose: dict[str, str] = {}
        for product_id, product in self.products.items():
            place = ("products", product_id)
            found += [
                ((*place, "features"), f"{name} is not among the file's features")
                for name in product.features
                if name not in self.features
            ]
            default = product.prices.get(product.default_price or "")
            if product.default_price and (default is None or not default.active):
                found.append(((*place, "default_price"), "must be an active price of this product"))
            for key, price in product.prices.items():
                if key in whose:
                    found.append(((*place, "prices", key), f"is a price of {whose[key]} already"))
                whose[key] = product_id
                if price.meter and price.meter not in self.meters:
                    where = (*place, "prices", key, "meter")
                    found.append((where, f"{price.meter} is not among the file's meters"))
        return found
