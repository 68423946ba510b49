"""What a quantity of a price comes to, as Stripe bills it, and which of two plans is the bigger one. Pure.

Fractions of a minor unit are rounded once for each line of the invoice, half away from zero. Source: Stripe, "Pricing
models" (packages, graduated and volume tiers) and "Price", `unit_amount_decimal`.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum, auto
from fractions import Fraction
from typing import Any

from gateway.billing.catalog.product_prices import INTERVAL_DAYS, amount_in
from gateway.models.mirrored import Price

PERIODS_A_YEAR = {"day": Fraction(365), "week": Fraction(365, 7), "month": Fraction(12), "year": Fraction(1)}
"""How often Stripe's billing intervals fit into a year."""


MAX_QUANTITY = 1_000_000
"""The largest quantity whose amount is computed for whoever asks."""


class Direction(Enum):
    """What a change of plan is to the customer: more, less, or as much of something else."""

    UP = auto()
    DOWN = auto()
    LEVEL = auto()


def amount_for(price: Price, quantity: int, currency: str | None = None) -> int | None:
    """Return what a quantity costs for a billing period, before discounts and taxes, in minor units.

    None where nobody knows beforehand: the price is metered, or the buyer chooses the amount.

    Args:
        price: which.
        quantity: how many.
        currency: lower case; the price's own where it is not offered in this one, or none is named.
    """
    if price.usage_type == "metered" or price.custom_unit_amount:
        return None
    amount = amount_in(price, currency)
    units = _packages(quantity, price.transform_quantity)
    if price.billing_scheme == "tiered":
        tiers = amount.tiers
        if not tiers:
            return None
        lines = [_volume(tiers, units)] if price.tiers_mode == "volume" else _graduated(tiers, units)
        return sum(map(_rounded, lines))
    unit = amount.unit_amount_decimal if amount.unit_amount is None else amount.unit_amount
    return None if unit is None else _rounded(Decimal(unit) * units)


def a_year(price: Price, quantity: int, currency: str) -> Fraction | None:
    """Return what a quantity of a plan costs a year, in minor units, exactly; None where nobody knows beforehand."""
    amount = amount_for(price, quantity, currency)
    if amount is None or price.interval is None:
        return None
    return amount * PERIODS_A_YEAR[price.interval] / (price.interval_count or 1)


def monthly_equivalent(price: Price, currency: str) -> int | None:
    """Return what one unit of a plan costs a month, in whole minor units; None where nobody knows beforehand."""
    yearly = a_year(price, 1, currency)
    return None if yearly is None else _rounded(Decimal(yearly.numerator) / (yearly.denominator * 12))


def saving_percent(price: Price, monthly: Price, currency: str) -> int | None:
    """Return how many per cent one unit of a plan is cheaper than by the month, rounded down; None where it is not.

    Args:
        price: the plan.
        monthly: the same product's monthly plan.
        currency: in which both are compared.
    """
    cost, by_month = a_year(price, 1, currency), a_year(monthly, 1, currency)
    if not cost or not by_month:
        return None
    return max(0, int(100 - 100 * cost / by_month)) or None


def direction(before: tuple[Price, int | None], after: tuple[Price, int | None], currency: str) -> Direction | None:
    """Return what a change is: up where a year costs more, down where it costs less.

    Of one product and quantity the longer interval is up and the shorter one down, though a month of it costs less in a
    year: time that is paid for is not given up for it. None where nobody knows beforehand what either costs.

    Args:
        before: the plan and its quantity, which a metered plan does not have.
        after: the same, after the change.
        currency: the subscription's.
    """
    old, new = (a_year(price, quantity or 0, currency) for price, quantity in (before, after))
    if old is None or new is None:
        return None
    if before[0].product_id == after[0].product_id:
        shorter = days_of(after[0]) - days_of(before[0])
        if shorter < 0:
            return Direction.DOWN
        if shorter > 0 and before[1] == after[1]:
            return Direction.UP
    if new > old:
        return Direction.UP
    return Direction.DOWN if new < old else Direction.LEVEL


def days_of(price: Price) -> int:
    """Return the length of a plan's billing period, to compare by."""
    return INTERVAL_DAYS.get(price.interval or "", 0) * (price.interval_count or 1)


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _packages(quantity: int, transform: Mapping[str, Any] | None) -> int:
    """Return the units that are billed for a quantity, where a price is for a number of them."""
    if not transform:
        return quantity
    whole, rest = divmod(quantity, int(transform["divide_by"]))
    return whole + (1 if rest and transform["round"] == "up" else 0)


def _decimal(tier: Mapping[str, Any], name: str) -> Decimal | None:
    """Return an amount of a tier, which Stripe writes with decimals, whole, or both."""
    text = tier.get(f"{name}_decimal")
    text = tier.get(name) if text is None else text
    return None if text is None else Decimal(str(text))


def _volume(tiers: Sequence[Mapping[str, Any]], units: int) -> Decimal:
    """Return what all units cost by the tier that the whole quantity reaches."""
    tier = next(tier for tier in tiers if tier["up_to"] is None or units <= tier["up_to"])
    return (_decimal(tier, "unit_amount") or Decimal(0)) * units + (_decimal(tier, "flat_amount") or Decimal(0))


def _graduated(tiers: Sequence[Mapping[str, Any]], units: int) -> Iterator[Decimal]:
    """Yield what each tier adds; its flat amount is due once it is touched, the first one's always."""
    below = 0
    for number, tier in enumerate(tiers):
        if number and units <= below:
            return
        top = units if tier["up_to"] is None else min(units, int(tier["up_to"]))
        yield (_decimal(tier, "unit_amount") or Decimal(0)) * (top - below)
        yield _decimal(tier, "flat_amount") or Decimal(0)
        below = top
