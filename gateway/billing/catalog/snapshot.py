"""The catalogue as it stood at one moment: what is on sale, in which currencies, in which order. Pure and immutable.

On sale is an active price of an active product, in each currency for which Stripe knows what it costs.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from gateway.billing.catalog.product_features import Features
from gateway.billing.pagination import PagedList, encode_cursor
from gateway.errors import BadInput
from gateway.models.mirrored import Price, Product

INTERVAL_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
"""Stripe's billing intervals, each with a length to sort by."""

FALLBACK_CURRENCY = "usd"  # of an empty catalogue
LAST = Decimal("Infinity")

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Amount:
    """What one unit of a price costs in one currency.

    Attributes:
        currency: lower case, as Stripe writes it.
        unit_amount: in minor units; None when it is tiered, chosen by the buyer, or no whole minor unit.
        unit_amount_decimal: in minor units, with up to 12 decimals.
        tiers: Stripe's tiers in this currency.
    """

    currency: str
    unit_amount: int | None
    unit_amount_decimal: str | None
    tiers: Sequence[Mapping[str, Any]]


def amount_in(price: Price, currency: str | None = None) -> Amount:
    """Return what a price costs in a currency; in its own one when it is not offered in this one, or none is named."""
    option = price.currency_options.get(currency or "")
    if option is None or currency is None or currency == price.currency:
        return Amount(price.currency, price.unit_amount, price.unit_amount_decimal, price.tiers)
    return Amount(currency, option.get("unit_amount"), option.get("unit_amount_decimal"), option.get("tiers") or ())


def currencies_of(price: Price) -> list[str]:
    """Return the currencies in which a price can be bought, its own one first."""
    return [price.currency, *sorted(price.currency_options.keys() - {price.currency})]


def is_offered(price: Price, currency: str) -> bool:
    """Return whether a price can be bought in a currency."""
    return currency == price.currency or currency in price.currency_options


def group_of(product: Product) -> str | None:
    """Return the group whose plans exclude each other that a product is of; None for what stands beside everything.

    Metadata `group` names it, else it is the default group; `addon: true` is of no group.
    """
    return None if product.meta.get("addon", "").lower() == "true" else product.meta.get("group", "")


def is_active(row: Product | Price) -> bool:
    """Return whether Stripe still sells it."""
    return row.active and not row.deleted


@dataclass(frozen=True, slots=True)
class PricedProduct:
    """A product and what it costs: its plans and its one-off prices, in display order."""

    product: Product
    plans: tuple[Price, ...]
    one_time: tuple[Price, ...]


def cursor_of(item: Product | Price) -> str:
    """Return the opaque cursor of an item."""
    return encode_cursor(item.id)


@dataclass(frozen=True, eq=False)  # two readings are two snapshots
class Snapshot:
    """The catalogue at one moment. Build it with `build_snapshot`.

    Attributes:
        version: of `CatalogVersion`.
        as_of: when the catalogue last changed.
        currency: what `pricing` answers in when the client names no currency.
        currencies: those in which anything is on sale.
        products: by id, also the inactive ones, which existing subscribers still have.
        prices: by id, also the inactive ones.
        by_lookup_key: the active prices.
        active_prices: by the product's id, in display order.
        on_sale: the products on sale, in display order.
        features: what each product says about features.
    """

    version: int
    as_of: datetime
    currency: str
    currencies: tuple[str, ...]
    products: Mapping[str, Product]
    prices: Mapping[str, Price]
    by_lookup_key: Mapping[str, Price]
    active_prices: Mapping[str, tuple[Price, ...]]
    on_sale: PagedList[Product]
    features: Features
    # Filtered lists, each made once: as many as there are currencies times intervals.
    _memo: dict[tuple[object, ...], Any] = field(default_factory=dict, repr=False)

    def pricing(self, currency: str, interval: str | None = None) -> tuple[PricedProduct, ...]:
        """Return what is on sale in a currency, in display order.

        Args:
            currency: lower case.
            interval: only plans that are billed by this interval; one-off prices stay.

        Raises:
            BadInput: when nothing is on sale in this currency.
        """
        self._check(currency)
        return self._memoized(("pricing", currency, interval), lambda: tuple(self._offers(currency, interval)))

    def intervals(self, currency: str) -> tuple[str, ...]:
        """Return the intervals by which anything is billed in a currency, the shortest first."""

        def found() -> tuple[str, ...]:
            names = {price.interval for offer in self._offers(currency, None) for price in offer.plans}
            return tuple(name for name in INTERVAL_DAYS if name in names)

        return self._memoized(("intervals", currency), found)

    def plans(
        self, *, product_id: str | None = None, interval: str | None = None, currency: str | None = None
    ) -> PagedList[Price]:
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

        def fits(price: Price) -> bool:
            return _is_plan(price, interval) and (currency is None or is_offered(price, currency))

        def of(products: Iterable[Product]) -> PagedList[Price]:
            return PagedList(price for product in products for price in self.active_prices[product.id] if fits(price))

        if product_id is None:
            return self._memoized(("plans", interval, currency), lambda: of(self.on_sale.items))
        product = self.products.get(product_id)
        return of([product] if product is not None and is_active(product) else [])

    def standing(self, price_id: str) -> tuple[int, int]:
        """Return the rank of a price's group (2 the default one, 1 another, 0 none) and its place in display order.

        What is no longer sold has a place, too; a price that is not in the catalogue comes first.
        """
        return self._memoized(("standing",), self._standings).get(price_id, (0, 0))

    def _standings(self) -> Mapping[str, tuple[int, int]]:
        of: dict[str, list[Price]] = {}
        for price in self.prices.values():
            of.setdefault(price.product_id, []).append(price)
        products = [self.products[product_id] for product_id in of]
        products.sort(key=lambda each: _product_place(each, self.active_prices[each.id] or of[each.id], self.currency))
        ordered = (
            (each, price)
            for each in products
            for price in sorted(of[each.id], key=lambda price: _price_place(price, self.currency))
        )
        ranks = {None: 0, "": 2}
        return {price.id: (ranks.get(group_of(each), 1), place) for place, (each, price) in enumerate(ordered, 1)}

    def _offers(self, currency: str, interval: str | None) -> Iterable[PricedProduct]:
        for product in self.on_sale.items:
            prices = [price for price in self.active_prices[product.id] if is_offered(price, currency)]
            plans = tuple(price for price in prices if _is_plan(price, interval))
            one_time = tuple(price for price in prices if price.interval is None)
            if plans or one_time:
                yield PricedProduct(product, plans, one_time)

    def _check(self, currency: str) -> None:
        if currency not in self.currencies and (self.currencies or currency != self.currency):
            there = ", ".join(self.currencies).upper() or "nothing yet; run `gateway sync`"
            raise BadInput(f"nothing is on sale in {currency.upper()}; the catalogue has {there}")

    def _memoized(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        if key not in self._memo:
            self._memo[key] = make()
        made: Made = self._memo[key]
        return made


def build_snapshot(
    products: Iterable[Product], prices: Iterable[Price], *, version: int, as_of: datetime, currency: str | None
) -> Snapshot:
    """Return the snapshot of these rows.

    Args:
        products: every mirrored product.
        prices: every mirrored price; one whose product has not arrived yet is left out.
        version: of the catalogue.
        as_of: when it last changed.
        currency: the configured default; else, or when nothing is on sale in it, the one with the most prices.
    """
    by_id = {product.id: product for product in products}
    known = {price.id: price for price in prices if price.product_id in by_id}
    active: dict[str, list[Price]] = {product_id: [] for product_id in by_id}
    for price in filter(is_active, known.values()):
        active[price.product_id].append(price)
    on_sale = [product for product in by_id.values() if is_active(product) and active[product.id]]
    offered = Counter(code for product in on_sale for price in active[product.id] for code in currencies_of(price))
    main = _main_currency(offered, [price for product in on_sale for price in active[product.id]], currency)
    ordered = {
        product_id: tuple(sorted(each, key=lambda price: _price_place(price, main)))
        for product_id, each in active.items()
    }
    return Snapshot(
        version=version,
        as_of=as_of,
        currency=main,
        currencies=tuple(sorted(offered)),
        products=by_id,
        prices=known,
        by_lookup_key={price.lookup_key: price for each in active.values() for price in each if price.lookup_key},
        active_prices=ordered,
        on_sale=PagedList(sorted(on_sale, key=lambda product: _product_place(product, ordered[product.id], main))),
        features=Features(by_id),
    )


def _main_currency(offered: Counter[str], prices: Sequence[Price], wanted: str | None) -> str:
    if wanted and (wanted.lower() in offered or not offered):
        return wanted.lower()
    own = Counter(price.currency for price in prices)  # breaks the tie: every option has a price of another currency
    return min(offered, key=lambda code: (-offered[code], -own[code], code), default=FALLBACK_CURRENCY)


def _is_plan(price: Price, interval: str | None) -> bool:
    return price.interval is not None and interval in {None, price.interval}


def _product_place(product: Product, prices: Sequence[Price], currency: str) -> tuple[Decimal, Decimal, str, str]:
    """Metadata `sort_order` first, then the lowest price, then the name."""
    lowest = min(_lowest_amount(price, currency) for price in prices)  # what is on sale has a price
    return _sort_order(product.meta.get("sort_order")), lowest, product.name, product.id


def _price_place(price: Price, currency: str) -> tuple[int, Decimal, str]:
    """Return the length of the interval, then the amount."""
    days = INTERVAL_DAYS.get(price.interval or "", 0) * (price.interval_count or 1)
    return days, _lowest_amount(price, currency), price.id


def _lowest_amount(price: Price, currency: str) -> Decimal:
    """Return the amount of one unit; of tiers, what the first unit costs."""
    amount = amount_in(price, currency)
    if amount.tiers:
        parts = [amount.tiers[0].get(key) for key in ("unit_amount_decimal", "flat_amount_decimal")]
        return sum((Decimal(str(part)) for part in parts if part is not None), Decimal(0))
    text = amount.unit_amount_decimal if amount.unit_amount is None else str(amount.unit_amount)
    return LAST if text is None else Decimal(text)


def _sort_order(text: str | None) -> Decimal:
    """Return the number in metadata `sort_order`; a product without one, or with another word there, comes last."""
    try:
        number = Decimal(text) if text else LAST
    except InvalidOperation:
        return LAST
    return LAST if number.is_nan() else number
