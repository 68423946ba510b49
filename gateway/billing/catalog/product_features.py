"""What a product says about features, parsed once for a snapshot of the catalogue. Pure.

Its metadata name them: `features` is a comma-separated list of keys, `limit_<feature>` a whole number, and
`limit_<feature>_per_unit: true` says that it is for each unit; `feature_<feature>` is its name. Beside these are
Stripe's own features of products (https://docs.stripe.com/billing/entitlements).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gateway.models.mirrored import Product

_LIMIT, _PER_UNIT, _NAME = "limit_", "_per_unit", "feature_"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a feature a product gives.

    Attributes:
        amount: a limit that is no number is 0: a slip in the metadata must not give away without bound.
        per_unit: whether it is for each unit that is bought.
    """

    amount: int
    per_unit: bool


@dataclass(frozen=True, slots=True)
class ProductFeatures:
    """The features of a product.

    Attributes:
        named: those in its metadata.
        at_stripe: those at Stripe; None where they were not read yet.
        limits: by the feature's key.
    """

    named: frozenset[str] = frozenset()
    at_stripe: frozenset[str] | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)


def features_of(product: Product | None) -> ProductFeatures:
    """Return the features of a product; nothing is known of those of an unknown one."""
    if product is None:
        return ProductFeatures()
    meta = product.meta
    known = product.entitlements
    limits = {key.removeprefix(_LIMIT): _limit(meta, key) for key in meta if key.startswith(_LIMIT)}
    return ProductFeatures(frozenset(_named(meta)), None if known is None else frozenset(known), limits)


@dataclass(frozen=True, slots=True)
class ListedFeature:
    """A feature of a product as a comparison table lists it.

    Attributes:
        key: the feature's.
        name: for buyers.
        limit: how much of it; None without a limit.
    """

    key: str
    name: str
    limit: Limit | None


def listed_features(product: Product) -> list[ListedFeature]:
    """Return a product's features: in the order of its metadata, then those that it has at Stripe alone."""
    known, names = features_of(product), product.entitlement_names or {}
    keys = dict.fromkeys([*_named(product.meta), *sorted(known.at_stripe or ())])
    return [
        ListedFeature(key, product.meta.get(_NAME + key) or names.get(key) or key, known.limits.get(key))
        for key in keys
    ]


class Features(dict[str, ProductFeatures]):
    """The features of products by their ids, each parsed when it is asked for first; also of those sold no longer.

    Args:
        products: of one snapshot.
    """

    def __init__(self, products: Mapping[str, Product]) -> None:
        super().__init__()
        self._products = products

    @cached_property
    def names(self) -> frozenset[str]:
        """The features of all products that are sold, or were."""
        offers = [self[product_id] for product_id in self._products]
        return frozenset(name for offer in offers for name in (*offer.named, *(offer.at_stripe or ())))

    def __missing__(self, product_id: str) -> ProductFeatures:
        """Parse a product's."""
        found = self[product_id] = features_of(self._products.get(product_id))
        return found


def _named(meta: Mapping[str, str]) -> list[str]:
    return [name for each in meta.get("features", "").split(",") if (name := each.strip())]


def _limit(meta: Mapping[str, str], key: str) -> Limit:
    text = meta[key].strip()
    return Limit(int(text) if text.isdecimal() else 0, meta.get(key + _PER_UNIT, "").lower() == "true")
