"""Pure arithmetic of Stripe Billing: what a price costs, what a discount, a tax and a proration come to.

Amounts are integers in the currency's minor unit; fractions of it (`unit_amount_decimal`, percentages) are
`Decimal` and are rounded once, at the end, half away from zero, so that a credit cancels its charge exactly.

Sources: Stripe's "Pricing models", "Prorations", "Coupons" and "Tax rates" documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]
ONE = Decimal(1)
HUNDRED = Decimal(100)
# https://docs.stripe.com/currencies#zero-decimal and #three-decimal. These are the exponents of
# Stripe's amounts, which differ from ISO 4217 and CLDR in a few currencies (ISK, UGX: amounts of two decimals).
ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])


def exponent(currency: str) -> int:
    """Return how many decimals Stripe's integer amounts of a currency have."""
    code = currency.lower()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


_SYMBOLS = {"aud": "A$", "cad": "CA$", "eur": "€", "gbp": "£", "jpy": "¥", "usd": "$"}


def in_words(amount: int, currency: str) -> str:
    """Return an amount in minor units as Stripe's errors write it: `$11.00`."""
    places = exponent(currency)
    number = f"{amount / 10**places:,.{places}f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {currency.upper()}"


def rounded(value: Decimal) -> int:
    """Return `value` in whole minor units, halves away from zero."""
    return int(value.quantize(ONE, rounding=ROUND_HALF_UP))


def scaled(amount: int, numerator: int, denominator: int) -> int:
    """Return `amount * numerator / denominator` in whole minor units; 0 if the denominator is 0."""
    return rounded(Decimal(amount) * numerator / denominator) if denominator else 0


def percentage(amount: int, percent: float | str | Decimal) -> int:
    """Return `percent` per cent of `amount`."""
    return rounded(Decimal(amount) * Decimal(str(percent)) / HUNDRED)


def prorated(amount: int, start: int, end: int, at: int) -> int:
    """Return the share of `amount`, paid for `start` to `end`, that falls after `at`: Stripe counts whole seconds."""
    return scaled(amount, max(0, end - max(at, start)), end - start)


def distributed(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` out in proportion to `weights`, to the last unit: the largest remainders get what is left.

    All weights 0 share nothing.
    """
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


# --- Prices -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One line's worth of a price: `quantity` units at `unit_amount`, which comes to `amount`.

    `tier` counts from 1 where the price is graduated, `flat` marks a tier's flat fee; else both are empty.
    """

    quantity: int | Decimal
    unit_amount: Decimal
    amount: int
    tier: int | None = None
    flat: bool = False


def in_currency(price: Json, currency: str) -> Json | None:
    """Return the amounts of `price` in `currency`: the price itself, one of its currency options, or None."""
    if price["currency"] == currency:
        return price
    option: Json | None = (price.get("currency_options") or {}).get(currency)
    return option


def decimal_of(holder: Json, field: str) -> Decimal | None:
    """Return `<field>_decimal` or `<field>` of a price, tier or currency option."""
    for name in (f"{field}_decimal", field):
        if holder.get(name) is not None:
            return Decimal(str(holder[name]))
    return None


def packages(quantity: int | Decimal, transform: Json | None) -> int | Decimal:
    """Return the units that are billed for `quantity` under a price's `transform_quantity`."""
    if not transform:
        return quantity
    whole, rest = divmod(quantity, int(transform["divide_by"]))
    return int(whole) + (1 if rest and transform["round"] == "up" else 0)


def parts(price: Json, quantity: int | Decimal, currency: str) -> list[Part]:
    """Return what `quantity` of `price` costs in `currency`, in the lines that Stripe writes on an invoice.

    A graduated price gives a line for each tier that is touched and one for each flat fee; every other price
    gives one line. Raises KeyError if the price is not sold in `currency`.
    """
    amounts = in_currency(price, currency)
    if amounts is None:
        raise KeyError(currency)
    units = packages(quantity, price.get("transform_quantity"))
    tiers = amounts.get("tiers") or []
    if price.get("billing_scheme") != "tiered" or not tiers:
        unit = decimal_of(amounts, "unit_amount") or Decimal(0)
        return [Part(quantity, unit, rounded(unit * units))]
    if price.get("tiers_mode") == "volume":
        return [_volume(tiers, units)]
    return _graduated(tiers, units)


def cost(price: Json, quantity: int, currency: str) -> int:
    """Return what `quantity` of `price` costs in `currency`: the sum of its `parts`."""
    return sum(part.amount for part in parts(price, quantity, currency))


def _reaches(tier: Json, units: int | Decimal) -> bool:
    return tier["up_to"] is None or units <= tier["up_to"]


def _volume(tiers: Sequence[Json], units: int | Decimal) -> Part:
    """Charge every unit what the tier of the whole quantity says."""
    tier = next(tier for tier in tiers if _reaches(tier, units))
    unit = decimal_of(tier, "unit_amount") or Decimal(0)
    flat = decimal_of(tier, "flat_amount") or Decimal(0)
    return Part(units, unit, rounded(unit * units + flat))


def _graduated(tiers: Sequence[Json], units: int | Decimal) -> list[Part]:
    """Charge each unit what its own tier says; a tier's flat fee is due once it is touched, the first one always."""
    found: list[Part] = []
    below: int | Decimal = 0
    for number, tier in enumerate(tiers, 1):
        if number > 1 and units <= below:
            break
        top = units if _reaches(tier, units) else int(tier["up_to"])
        unit, flat = decimal_of(tier, "unit_amount"), decimal_of(tier, "flat_amount")
        if unit is not None or flat is None:
            unit = unit or Decimal(0)
            found.append(Part(top - below, unit, rounded(unit * (top - below)), number))
        if flat is not None:
            found.append(Part(1, flat, rounded(flat), number, flat=True))
        below = top
    return found


# --- Discounts ----------------------------------------------------------------------------------------------


def amount_off(coupon: Json, currency: str) -> int | None:
    """Return how much a coupon takes off in `currency`; None for a percentage or a currency that it does not know."""
    if coupon.get("currency") == currency:
        off: int | None = coupon.get("amount_off")
        return off
    option = (coupon.get("currency_options") or {}).get(currency)
    return int(option["amount_off"]) if option else None


def discounted(coupon: Json, amounts: Sequence[int], currency: str) -> list[int]:
    """Return what `coupon` takes off each of `amounts` (negative amounts are never discounted).

    The discount is reckoned on the sum and shared out, so that "20 % off" is right to the cent on the total.
    """
    positive = [max(0, amount) for amount in amounts]
    base = sum(positive)
    off = amount_off(coupon, currency)
    if coupon.get("percent_off") is not None:
        off = percentage(base, coupon["percent_off"])
    return distributed(min(off or 0, base), positive)


# --- Taxes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax rate's share of an amount; an inclusive tax is contained in the amount, another comes on top."""

    rate: str
    amount: int
    taxable: int
    inclusive: bool


def taxes(amount: int, rates: Sequence[Json]) -> list[Tax]:
    """Return the taxes on `amount` (after discounts) under `rates`; several inclusive rates share one net amount."""
    inside = sum((Decimal(str(rate["percentage"])) for rate in rates if rate["inclusive"]), Decimal(0))
    found: list[Tax] = []
    for rate in rates:
        percent = Decimal(str(rate["percentage"]))
        tax = rounded(amount * percent / (HUNDRED + inside))
        found.append(Tax(rate["id"], tax, amount, rate["inclusive"]))
    net = amount - sum(tax.amount for tax in found if tax.inclusive)
    return [Tax(tax.rate, tax.amount, net, tax.inclusive) for tax in found]
