"""What a product says about features, parsed once for a snapshot of the catalogue. Pure.

Its metadata name them: `features` is a comma-separated list of keys, `limit_<feature>` a whole number, and
`limit_<feature>_per_unit: true` says that it is for each unit; `feature_<feature>` is its name. `use_<feature>` says
what counts its use: `counter`, `meter:<event name>` of a meter at Stripe, `credits`, or `credits:<kind>`;
`overage_<feature>: true` lets it go beyond the limit. Beside these are Stripe's own features of products
(https://docs.stripe.com/billing/entitlements).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from gateway.billing.catalog.credit_kinds import is_kind
from gateway.models.mirrored import Product

MAX_LIMIT = 2**53 - 1
"""The highest limit: what JavaScript's numbers hold exactly. A higher one in metadata is this one."""
_LIMIT, _PER_UNIT, _USE, _OVERAGE = "limit_", "_per_unit", "use_", "overage_"
NAME = "feature_"
"""What the key of the metadata begins with that has a feature's name."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a feature a product gives.

    Attributes:
        amount: a limit that is no number is 0: a slip in the metadata must not give away without bound.
        per_unit: whether it is for each unit that is bought.
    """

    amount: int
    per_unit: bool


class UseKind(Enum):
    """What the use of a feature is counted by."""

    COUNTER = "counter"
    METER = "meter"
    CREDITS = "credits"


@dataclass(frozen=True, slots=True)
class Use:
    """How the use of a feature is counted.

    Attributes:
        kind: by what.
        name: of a meter its event name, of credits their kind, else empty.
    """

    kind: UseKind
    name: str = ""


@dataclass(frozen=True, slots=True)
class ProductFeatures:
    """The features of a product.

    Attributes:
        named: those in its metadata.
        at_stripe: those at Stripe; None where they were not read yet.
        limits: by the feature's key.
        uses: how the use of those is counted that are counted.
        overage: those that may be used beyond their limit.
    """

    named: frozenset[str] = frozenset()
    at_stripe: frozenset[str] | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    uses: Mapping[str, Use] = field(default_factory=dict)
    overage: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return self.named | (self.at_stripe or frozenset())


def features_of(product: Product | None) -> ProductFeatures:
    """Return the features of a product; nothing is known of those of an unknown one."""
    if product is None:
        return ProductFeatures()
    meta = product.meta
    known = product.entitlements
    limits = {key.removeprefix(_LIMIT): _limit(meta, key) for key in meta if key.startswith(_LIMIT)}
    uses = {key.removeprefix(_USE): use for key in meta if key.startswith(_USE) and (use := _use(meta[key]))}
    overage = (key.removeprefix(_OVERAGE) for key in meta if key.startswith(_OVERAGE) and _is_true(meta[key]))
    at_stripe = None if known is None else frozenset(known)
    return ProductFeatures(frozenset(_named(meta)), at_stripe, limits, uses, frozenset(overage))


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
        ListedFeature(key, product.meta.get(NAME + key) or names.get(key) or key, known.limits.get(key)) for key in keys
    ]


class Features(dict[str, ProductFeatures]):
    """The features of products by their ids, each parsed when it is asked for first; also of those sold no longer.

    Args:
        products: the products.
        counts: of how many products each feature is, if that is known.
    """

    def __init__(self, products: Mapping[str, Product], counts: Counter[str] | None = None) -> None:
        super().__init__()
        self._products = products
        self._counts = counts

    @property
    def names(self) -> Collection[str]:
        """The features of all products that are sold, or were."""
        if self._counts is None:
            self._counts = Counter(name for product_id in self._products for name in self[product_id].names)
        return self._counts.keys()

    @cached_property
    def metered(self) -> Mapping[str, Collection[str]]:
        """The features of which a meter counts the use, by the meter's event name."""
        found: dict[str, set[str]] = {}
        for product_id in self._products:
            for feature, use in self[product_id].uses.items():
                if use.kind is UseKind.METER:
                    found.setdefault(use.name, set()).add(feature)
        return found

    def changed(self, products: Mapping[str, Product], ids: Iterable[str]) -> "Features":
        """Return the features after a change: these, if it has not changed any product's.

        Args:
            products: all products after it.
            ids: those that may have others.
        """
        if not self._products:
            return Features(products)
        new = {product_id: features_of(products[product_id]) for product_id in ids}
        changed = {product_id: found for product_id, found in new.items() if found != self[product_id]}
        if not changed:
            self._products = products  # which say the same, without keeping the old ones
            return self
        counts = None
        if self._counts is not None:
            counts = Counter(self._counts)
            for product_id, found in changed.items():
                counts.subtract(self[product_id].names)
                counts.update(found.names)
            counts = +counts
        return Features(products, counts)

    def __missing__(self, product_id: str) -> ProductFeatures:
        """Parse a product's."""
        found = self[product_id] = features_of(self._products.get(product_id))
        return found


def _named(meta: Mapping[str, str]) -> list[str]:
    return [name for each in meta.get("features", "").split(",") if (name := each.strip())]


def _limit(meta: Mapping[str, str], key: str) -> Limit:
    text = meta[key].strip()
    amount = min(int(text), MAX_LIMIT) if text.isascii() and text.isdecimal() else 0
    return Limit(amount, _is_true(meta.get(key + _PER_UNIT, "")))


def _is_true(text: str) -> bool:
    return text.lower() == "true"


def _use(text: str) -> Use | None:
    """Return what counts a feature; None for what is misspelt: what nobody counts is not given away by the unit.

    A meter whose name begins as those of other counters do (`credits:`, `counter:`) would be counted as one of them.
    """
    kind, _, name = (part.strip() for part in text.partition(":"))
    if kind == UseKind.METER.value and name and not name.startswith(("credits:", "counter:")):
        return Use(UseKind.METER, name)
    if kind == UseKind.CREDITS.value and (not name or is_kind(name)):
        return Use(UseKind.CREDITS, name)
    return Use(UseKind.COUNTER) if kind == UseKind.COUNTER.value and not name else None
