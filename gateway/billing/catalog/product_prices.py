"""A product with its prices: what is on sale of it, in which currencies, in which order. Pure and immutable.

On sale is an active price of an active product, in each currency for which Stripe knows what it costs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import count
from operator import itemgetter
from typing import Any

from gateway.models.mirrored import Price, Product

INTERVAL_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
"""Stripe's billing intervals, each with a length to sort by."""

LAST = Decimal("Infinity")

ProductPlace = tuple[Decimal, Decimal, str, str]
PricePlace = tuple[int, Decimal, str]

_marks = count(1)


@dataclass(frozen=True, slots=True)
class Amount:
    """What one unit of a price costs in one currency.

    Attributes:
        currency: lower case, as Stripe writes it.
        unit_amount: in minor units; None when it is tiered, chosen by the buyer, or no whole minor unit.
        unit_amount_decimal: in minor units, with up to 12 decimals.
        tiers: Stripe's tiers in this currency.
        limits: `minimum`, `maximum` and `preset` of what the buyer chooses, each in minor units or None; None where
            nothing is chosen, or nothing is known of it.
    """

    currency: str
    unit_amount: int | None
    unit_amount_decimal: str | None
    tiers: Sequence[Mapping[str, Any]]
    limits: Mapping[str, int | None] | None = None


def amount_in(price: Price, currency: str | None = None) -> Amount:
    """Return what a price costs in a currency; in its own one when it is not offered in this one, or none is named."""
    option = price.currency_options.get(currency or "")
    if option is None or currency is None or currency == price.currency:
        own = price.unit_amount, price.unit_amount_decimal, price.tiers
        return Amount(price.currency, *own, price.custom_amount_limits)
    its = option.get("unit_amount"), option.get("unit_amount_decimal"), option.get("tiers") or ()
    return Amount(currency, *its, option.get("custom_unit_amount"))


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


@dataclass(frozen=True, eq=False, slots=True)
class ProductPrices:
    """A product with its prices, as all snapshots of the catalogue show them between two changes of either.

    Attributes:
        product: the product.
        prices: all of its prices, in display order.
        active: those that Stripe still sells.
        place: where the product stands among others.
        mark: no other one has this number, or had it in this process.
        memo: what others make of it, each once, under a key of their own.
    """

    product: Product
    prices: tuple[Price, ...]
    active: tuple[Price, ...]
    place: ProductPlace
    mark: int = field(default_factory=_marks.__next__)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, product: Product, prices: Iterable[Price], currency: str) -> "ProductPrices":
        """Return a product with these prices, in the order that they have in a currency."""
        placed = sorted(((price_place(price, currency), price) for price in prices), key=itemgetter(0))
        ordered = tuple(price for _, price in placed)
        active = tuple(filter(is_active, ordered))
        lowest = min((amount for (_, amount, _), price in placed if is_active(price) or not active), default=LAST)
        place = _sort_order(product.meta.get("sort_order")), lowest, product.name, product.id
        return cls(product, ordered, active, place)

    @property
    def on_sale(self) -> tuple[Price, ...]:
        """The prices that can be bought."""
        return self.active if is_active(self.product) else ()

    def plans(self, interval: str | None, currency: str | None) -> tuple[Price, ...]:
        """Return the plans on sale, in display order.

        Args:
            interval: only those that are billed by it.
            currency: only those that can be bought in it (lower case).
        """
        return tuple(
            price
            for price in self.on_sale
            if price.interval is not None
            and interval in {None, price.interval}
            and (currency is None or is_offered(price, currency))
        )

    def one_time(self, currency: str | None) -> tuple[Price, ...]:
        """Return the one-off prices on sale, in display order."""
        return tuple(
            price
            for price in self.on_sale
            if price.interval is None and (currency is None or is_offered(price, currency))
        )


def price_place(price: Price, currency: str) -> PricePlace:
    """Return where a price stands among those of its product: by the length of the interval, then the amount."""
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
