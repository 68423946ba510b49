"""Random files of prices, for tests that push and pull them."""

import random
from collections.abc import Callable
from typing import Any

from gateway.billing.pricing.catalogue import Catalogue

WORDS = ("Pro", "Éclair", "日本", "no", "true", "2023", "0.5", "a: b", "#1", "- x", "'q'", "~")


class Maker:
    """Makes random catalogues, and changes them.

    Args:
        seed: the same number gives the same ones.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a test's
        self._keys = iter(range(10_000))

    def catalogue(self) -> Catalogue:
        meters = {f"calls_{n}": {"name": self._word(), "aggregation": self._one("sum", "count")} for n in range(2)}
        features = {f"feature_{n}": self._word() for n in range(3)}
        products = {f"prod_{n}": self._product([*features], [*meters]) for n in range(self.random.randint(1, 3))}
        return Catalogue.model_validate({"meters": meters, "features": features, "products": products})

    def changed(self, file: Catalogue) -> Catalogue:
        """The same with a few differences, each of which somebody may make."""
        said = file.model_dump()
        for product in said["products"].values():
            for change in self.random.sample(self._changes(), 3):
                change(product)
        if self.random.random() < 0.5:
            said["products"]["prod_new"] = self._product([*said["features"]], [*said["meters"]])
        return Catalogue.model_validate(said)

    def _changes(self) -> list[Callable[[dict[str, Any]], Any]]:
        return [
            lambda product: product.update(name=self._word(), description=self._one(None, "Better")),
            lambda product: product.update(features=[] if product["features"] else ["feature_0"]),
            lambda product: product.update(limits={}, credits=7, languages={"pt_br": {"name": self._word()}}),
            lambda product: product.update(images=[], marketing_features=[]),
            self._cost_other,
            self._cost_other,
            self._close,
            lambda product: product["prices"].update([self._price([])]),
            lambda product: self._any(product).update(nickname=self._one(None, "Nick"), credits=9),
            self._sell_in_yen,
        ]

    def _any(self, product: dict[str, Any]) -> dict[str, Any]:
        return self.random.choice([*product["prices"].values()])

    def _cost_other(self, product: dict[str, Any]) -> None:
        price = self._any(product)
        if price.get("amount") is not None:
            price["amount"] = self.random.randint(1, 9_999)
        elif price.get("tiers"):
            price["tiers"][0]["amount"] = self.random.randint(1, 9_999)

    def _sell_in_yen(self, product: dict[str, Any]) -> None:
        price = self._any(product)
        if price.get("amount") is not None:
            price["currencies"].setdefault("jpy", {"amount": 300})

    def _close(self, product: dict[str, Any]) -> None:
        product["default_price"] = None
        self._any(product)["active"] = False

    def _product(self, features: list[str], meters: list[str]) -> dict[str, Any]:
        prices = dict(self._price(meters) for _ in range(self.random.randint(1, 4)))
        return {
            "name": self._word(),
            "description": self._one(None, self._word()),
            "active": self.random.random() < 0.9,
            "unit_label": self._one(None, "seat"),
            "url": self._one(None, "https://shop.example/pro"),
            "images": self._one([], ["https://shop.example/pro.png"]),
            "marketing_features": self._one([], [self._word(), "50 GB"]),
            "features": sorted(self.random.sample(features, self.random.randint(0, 2))),
            "limits": self._one({}, {"projects": self.random.randint(0, 99)}),
            "credits": self._one(None, self.random.randint(0, 999)),
            "credits_of": self._one({}, {"ai": 5}),
            "languages": self._one({}, {"de": {"name": self._word(), "description": "Für viele"}, "no": {"name": "x"}}),
            "metadata": self._one({}, {"group": self._word(), "limit_seats": "many"}),
            "default_price": self._one(None, self.random.choice([*prices])),
            "prices": prices,
        }

    def _price(self, meters: list[str]) -> tuple[str, dict[str, Any]]:
        kind = self._one("flat", "decimal", "tiered", "chosen")
        price: dict[str, Any] = {"currency": "usd", "nickname": self._one(None, self._word())}
        if kind == "chosen":
            return self._key(), price | {"custom_amount": {"minimum": 100, "preset": 500}}
        price |= self._money(kind) | ({"tiers_mode": self._one("graduated", "volume")} if kind == "tiered" else {})
        if self.random.random() < 0.8:
            price |= {"interval": self._one("month", "year"), "interval_count": self._one(1, 3)}
            price["trial_days"] = self._one(None, 14)
            price["meter"] = self._one(None, self.random.choice(meters)) if meters else None
        elif kind == "flat":
            price["package"] = self._one(None, {"size": 10, "round": "up"})
        price["currencies"] = {name: self._money(kind) for name in self.random.sample(["eur", "gbp"], 1)}
        price["tax"] = self._one(None, "inclusive")
        price["metadata"] = self._one({}, {"lifetime": "true"})
        return self._key(), price

    def _money(self, kind: str) -> dict[str, Any]:
        if kind == "tiered":
            first = {"up_to": self.random.randint(1, 50), "amount": self.random.randint(0, 900), "flat": 100}
            return {"tiers": [first, {"up_to": "inf", "amount": "0.25"}]}
        return {"amount": self.random.randint(0, 9_999) if kind == "flat" else f"{self.random.randint(0, 9)}.5"}

    def _key(self) -> str:
        return f"price_{next(self._keys)}"

    def _word(self) -> str:
        return self.random.choice(WORDS)

    def _one(self, *values: Any) -> Any:
        return self.random.choice(values)
