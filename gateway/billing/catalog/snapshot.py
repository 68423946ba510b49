"""The catalogue as it stood at one moment, and what a change makes of it. Pure; a snapshot is immutable.

A change makes a new snapshot that shares with the one before whatever did not change: `Snapshot.changed` looks at the
rows that it is given and at their products alone.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, islice
from typing import Any, NamedTuple, TypeVar

from gateway.billing.catalog.layered import LayeredMap
from gateway.billing.catalog.listing import Listing, place_of
from gateway.billing.catalog.product_features import Features
from gateway.billing.catalog.product_prices import (
    INTERVAL_DAYS,
    ProductPrices,
    currencies_of,
    group_of,
    is_active,
    price_place,
)
from gateway.errors import BadInput
from gateway.models.mirrored import Price, Product

FALLBACK_CURRENCY = "usd"  # of an empty catalogue
MAX_FILTERS = 16
"""So many filtered lists, the last that were asked for, are kept up to date over a change; others are made again."""

Made = TypeVar("Made")
Standing = tuple[int, tuple[Any, ...]]
NOWHERE: Standing = (0, ())

_marks = count(1)


class Filter(NamedTuple):
    """Which products a list has: those of which something fits.

    Args:
        currency: only what can be bought in it.
        interval: only plans that are billed by it.
        plans_only: whether one-off prices do not count.
    """

    currency: str | None = None
    interval: str | None = None
    plans_only: bool = False

    def lets(self, product: ProductPrices) -> bool:
        """Return whether a product is in the list."""
        return bool(
            product.plans(self.interval, self.currency) or (not self.plans_only and product.one_time(self.currency))
        )


@dataclass(frozen=True, slots=True)
class PricedProduct:
    """A product and what it costs: its plans and its one-off prices, in display order."""

    product: Product
    plans: tuple[Price, ...]
    one_time: tuple[Price, ...]


@dataclass(frozen=True, eq=False)  # two readings are two snapshots
class Snapshot:
    """The catalogue at one moment. Build it with `build_snapshot`, or from another one with `changed`.

    Attributes:
        version: of `CatalogVersion`.
        as_of: when the catalogue last changed.
        wanted: the configured currency.
        currency: what `pricing` answers in when the client names no currency.
        by_product: every mirrored product with its prices, also those that are sold no longer.
        prices: by id, also the inactive ones; not those whose product has not arrived yet.
        by_lookup_key: the active prices.
        features: what each product says about features; the same object as long as no product says another thing.
        orphans: the prices whose product has not arrived yet, by id.
        rivals: active prices whose lookup key a later one has.
        offered: how many prices are on sale in each currency.
        own: the same, each price in its own currency alone.
        mark: no other snapshot has this number, or had it in this process.
    """

    version: int
    as_of: datetime
    wanted: str | None
    currency: str
    by_product: LayeredMap[ProductPrices]
    prices: LayeredMap[Price]
    by_lookup_key: LayeredMap[Price]
    features: Features
    orphans: Mapping[str, Price]
    rivals: Mapping[str, tuple[Price, ...]]
    offered: Mapping[str, int]
    own: Mapping[str, int]
    mark: int = field(default_factory=_marks.__next__)
    _lists: dict[Filter, tuple[ProductPrices, ...]] = field(default_factory=dict, repr=False)
    _memo: dict[tuple[object, ...], Any] = field(default_factory=dict, repr=False)

    @property
    def currencies(self) -> tuple[str, ...]:
        """The currencies in which anything is on sale."""
        return self.memoized(("currencies",), lambda: tuple(sorted(self.offered)))

    @property
    def products(self) -> Mapping[str, Product]:
        """The products by id, also the inactive ones, which existing subscribers still have."""
        return _Products(self.by_product)

    @property
    def on_sale(self) -> Listing[Product]:
        """The products on sale, in display order."""
        return Listing(self._list(Filter()), lambda each: (each.product,), self.by_product.get)

    def pricing(self, currency: str, interval: str | None = None) -> tuple[PricedProduct, ...]:
        """Return what is on sale in a currency, in display order.

        Args:
            currency: lower case.
            interval: only plans that are billed by this interval; one-off prices stay.

        Raises:
            BadInput: when nothing is on sale in this currency.
        """
        return tuple(
            PricedProduct(each.product, each.plans(interval, currency), each.one_time(currency))
            for each in self.priced(currency, interval)
        )

    def priced(self, currency: str, interval: str | None = None) -> tuple[ProductPrices, ...]:
        """Return the products of `pricing` with all of their prices."""
        self._check(currency)
        return self._list(Filter(currency, interval))

    def intervals(self, currency: str) -> tuple[str, ...]:
        """Return the intervals by which anything is billed in a currency, the shortest first."""

        def found() -> tuple[str, ...]:
            offers = self._list(Filter(currency))
            names = {price.interval for product in offers for price in product.plans(None, currency)}
            return tuple(name for name in INTERVAL_DAYS if name in names)

        return self.memoized(("intervals", currency), found)

    def plans(
        self, *, product_id: str | None = None, interval: str | None = None, currency: str | None = None
    ) -> Listing[Price]:
        """Return the plans on sale, in display order.

        Args:
            product_id: only those of this product.
            interval: only those that are billed by it.
            currency: only those that can be bought in it (lower case).

        Raises:
            BadInput: when nothing is on sale in this currency.
        """
        if currency is not None:
            self._check(currency)
        wanted = Filter(currency, interval, plans_only=True)
        if product_id is None:
            products = self._list(wanted)
        else:
            product = self.by_product.get(product_id)
            products = (product,) if product and wanted.lets(product) else ()
        return Listing(products, lambda each: each.plans(interval, currency), self.product_of)

    def product_of(self, price_id: str) -> ProductPrices | None:
        """Return the product of a price with all of its prices; None where the price is not in the catalogue."""
        price = self.prices.get(price_id)
        return None if price is None else self.by_product[price.product_id]

    def standing(self, price_id: str) -> Standing:
        """Return the rank of a price's group (2 the default one, 1 another, 0 none) and its place in display order.

        What is no longer sold has a place, too; a price that is not in the catalogue comes first.
        """
        product = self.product_of(price_id)
        if product is None:
            return NOWHERE
        rank = {None: 0, "": 2}.get(group_of(product.product), 1)
        return rank, (*product.place, *price_place(self.prices[price_id], self.currency))

    def memoized(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Return what others make of this snapshot, each once."""
        if key not in self._memo:
            self._memo[key] = make()
        made: Made = self._memo[key]
        return made

    def changed(
        self, products: Iterable[Product], prices: Iterable[Price], *, version: int, as_of: datetime
    ) -> "Snapshot":
        """Return the snapshot in which these rows are as given, and all else is as here.

        Args:
            products: the rows that changed or are new.
            prices: the same.
            version: of the catalogue now.
            as_of: when it last changed.
        """
        rows, orphans = self._touched({product.id: product for product in products}, prices)
        offered, own = Counter(self.offered), Counter(self.own)
        for product_id, (product, its) in rows.items():
            before = self.by_product.get(product_id)
            sold = [price for price in its.values() if is_active(price)] if is_active(product) else []
            _count(offered, own, before.on_sale if before else (), -1)
            _count(offered, own, sold, 1)
        currency = _main_currency(offered, own, self.wanted)
        lists: dict[Filter, tuple[ProductPrices, ...]] = {}
        if currency != self.currency:  # by which everything is ordered
            others = [each for each in self.by_product.values() if each.product.id not in rows]
            rows |= {each.product.id: (each.product, {price.id: price for price in each.prices}) for each in others}
        new = {key: ProductPrices.of(product, its.values(), currency) for key, (product, its) in rows.items()}
        old = [before for key in rows if (before := self.by_product.get(key))]
        if currency == self.currency:
            recent = islice(self._lists.items(), max(0, len(self._lists) - MAX_FILTERS), None)
            lists = {wanted: _replaced(listed, old, new.values(), wanted) for wanted, listed in recent}
        by_lookup_key, rivals = self._keys(old, new.values())
        by_product = self.by_product.with_changes(new)
        moved: dict[str, Price | None] = {key: None for key in orphans if key in self.prices}
        moved |= {price.id: price for each in new.values() for price in each.prices}
        return Snapshot(
            version=version,
            as_of=as_of,
            wanted=self.wanted,
            currency=currency,
            by_product=by_product,
            prices=self.prices.with_changes(moved),
            by_lookup_key=by_lookup_key,
            features=self.features.changed(_Products(by_product), new),
            orphans=orphans,
            rivals=rivals,
            offered=offered,
            own=own,
            _lists=lists,
        )

    def _touched(
        self, products: Mapping[str, Product], prices: Iterable[Price]
    ) -> tuple[dict[str, tuple[Product, dict[str, Price]]], dict[str, Price]]:
        """Return the products of changed rows, each with its prices as they are now, and the prices without one."""
        rows: dict[str, tuple[Product, dict[str, Price]]] = {}

        def touch(product_id: str) -> dict[str, Price] | None:
            if product_id not in rows:
                before = self.by_product.get(product_id)
                product = products.get(product_id) or (before.product if before else None)
                if product is None:
                    return None
                rows[product_id] = product, {price.id: price for price in before.prices} if before else {}
            return rows[product_id][1]

        for product_id in products:
            touch(product_id)
        new = {each.id: each for each in self.orphans.values() if each.product_id in products}
        new |= {price.id: price for price in prices}
        orphans = dict(self.orphans)
        for price in new.values():
            orphans.pop(price.id, None)
            before = self.prices.get(price.id)
            if before is not None and before.product_id != price.product_id and (left := touch(before.product_id)):
                left.pop(price.id, None)
            its = touch(price.product_id)
            if its is None:
                orphans[price.id] = price
            else:
                its[price.id] = price
        return rows, orphans

    def _keys(
        self, old: Iterable[ProductPrices], new: Iterable[ProductPrices]
    ) -> tuple[LayeredMap[Price], Mapping[str, tuple[Price, ...]]]:
        """Return which price has each lookup key, and which had it before.

        A key moves from one price to another in two events, and may be seen with both: it belongs to the one of which
        it was said last.
        """
        gone = {price.id for each in old for price in each.active}
        claims: dict[str, list[Price]] = {
            price.lookup_key: [] for each in old for price in each.active if price.lookup_key
        }
        for price in (price for each in new for price in each.active):
            if price.lookup_key:
                claims.setdefault(price.lookup_key, []).append(price)
        holders: dict[str, Price | None] = {}
        rivals = dict(self.rivals)
        for key, its in claims.items():
            holder = self.by_lookup_key.get(key)
            its += [each for each in (*((holder,) if holder else ()), *rivals.pop(key, ())) if each.id not in gone]
            last, *others = sorted(its, key=lambda price: (price.as_of, price.id), reverse=True) or (None,)
            holders[key] = last
            if others:
                rivals[key] = tuple(others)
        return self.by_lookup_key.with_changes(holders), rivals

    def _list(self, wanted: Filter) -> tuple[ProductPrices, ...]:
        """Return the products that a filter lets through, in display order."""
        listed = self._lists.pop(wanted, None)
        if listed is None:
            listed = tuple(sorted(filter(wanted.lets, self.by_product.values()), key=place_of))
        self._lists[wanted] = listed  # as the last that was asked for
        return listed

    def _check(self, currency: str) -> None:
        if currency not in self.offered and (self.offered or currency != self.currency):
            there = ", ".join(self.currencies).upper() or "nothing yet; run `gateway sync`"
            raise BadInput(f"nothing is on sale in {currency.upper()}; the catalogue has {there}")


def build_snapshot(
    products: Iterable[Product], prices: Iterable[Price], *, version: int, as_of: datetime, currency: str | None
) -> Snapshot:
    """Return the snapshot of these rows.

    Args:
        products: every mirrored product.
        prices: every mirrored price.
        version: of the catalogue.
        as_of: when it last changed.
        currency: the configured default; else, or when nothing is on sale in it, the one with the most prices.
    """
    empty = Snapshot(
        version=0,
        as_of=datetime.min.replace(tzinfo=UTC),
        wanted=currency.lower() if currency else None,
        currency="",
        by_product=LayeredMap({}),
        prices=LayeredMap({}),
        by_lookup_key=LayeredMap({}),
        features=Features({}),
        orphans={},
        rivals={},
        offered={},
        own={},
    )
    return empty.changed(products, prices, version=version, as_of=as_of)


class _Products(Mapping[str, Product]):
    """The products of a snapshot without their prices."""

    __slots__ = ("_by_product",)

    def __init__(self, by_product: LayeredMap[ProductPrices]) -> None:
        self._by_product = by_product

    def __getitem__(self, key: str) -> Product:
        return self._by_product[key].product

    def __iter__(self) -> Any:
        return iter(self._by_product)

    def __len__(self) -> int:
        return len(self._by_product)


def _count(offered: Counter[str], own: Counter[str], prices: Iterable[Price], step: int) -> None:
    """Add prices on sale to the counts, or take them off; a currency without any is left out."""
    for price in prices:
        own[price.currency] += step
        for code in currencies_of(price):
            offered[code] += step
            if not offered[code]:
                del offered[code]


def _main_currency(offered: Mapping[str, int], own: Mapping[str, int], wanted: str | None) -> str:
    if wanted and (wanted in offered or not offered):
        return wanted
    # its own breaks the tie: every option has a price of another currency
    return min(offered, key=lambda code: (-offered[code], -own.get(code, 0), code), default=FALLBACK_CURRENCY)


def _replaced(
    listed: tuple[ProductPrices, ...], old: Iterable[ProductPrices], new: Iterable[ProductPrices], wanted: Filter
) -> tuple[ProductPrices, ...]:
    """Return a list with some products replaced."""
    leaving, coming = list(filter(wanted.lets, old)), list(filter(wanted.lets, new))
    if not leaving and not coming:
        return listed
    changed = list(listed)
    for each in leaving:
        del changed[bisect_left(changed, each.place, key=place_of)]
    for each in coming:
        insort(changed, each, key=place_of)
    return tuple(changed)
