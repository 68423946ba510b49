"""Decide how many credits the lines of paid invoices bring, by the time that they cover. Pure: no database, no clock.

A subscription item has one price at any moment. Each line of a paid invoice covers a stretch of the item's time; what a
later line covers too, and what a later line gives back ("Unused time on ..."), the earlier line has not kept. A line
brings the credits of a full period times the part of it that was kept, rounded down, so that no way of changing plans
brings more than the time that was paid for and kept.

Which line gives back which is told by `subscriptions/paid_time.py`, the same for credits and access.
"""

import calendar
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from gateway.billing.subscriptions.paid_time import Line, Order, Stretch, not_given_back, without


@dataclass(frozen=True, slots=True)
class Interval:
    """How long a full period of a price lasts: `count` days, weeks, months or years."""

    unit: str
    count: int = 1

    def before(self, end: int) -> int:
        """Return the beginning of the period that ends at `end`; in a shorter month its last day counts."""
        moment = datetime.fromtimestamp(end, UTC)
        if self.unit in {"day", "week"}:
            days = self.count * (7 if self.unit == "week" else 1)
            return int((moment - timedelta(days=days)).timestamp())
        months = moment.year * 12 + moment.month - 1 - self.count * (12 if self.unit == "year" else 1)
        year, month = divmod(months, 12)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return int(moment.replace(year=year, month=month + 1, day=day).timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditLine(Line):
    """One line of a paid invoice for a recurring price; lines of several tiers are one.

    Attributes:
        units: the credits of a full period: credits of the price times quantity.
        price_id: its price; None where it is not known.
        interval: how long a full period of the price is; None where the price is not known.
        proration: whether it is for a part of a period.
        paid_at: when its invoice was paid, on Stripe's clock.
        free_of: the product whose time it gives for nothing; empty where it costs something.
    """

    units: int
    price_id: str | None = None
    interval: Interval | None = None
    proration: bool = False
    paid_at: int = 0
    free_of: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a line that charges for time.

    Attributes:
        line: the line.
        period: the length of a full period, in seconds.
        seconds: how much of the line's time was kept.
        next_paid_at: when the time that follows the line's was paid; None if it was not yet.
    """

    line: CreditLine
    period: int
    seconds: int
    next_paid_at: int | None

    def credits(self, units: int, seconds: int | None = None) -> int:
        """Return the credits for the time kept, or for `seconds` of it, at `units` for a full period."""
        return int(units * min(Fraction(1), Fraction(self.seconds if seconds is None else seconds, self.period)))

    @property
    def granted(self) -> int:
        """The credits that the line brought before anything was given back."""
        start, end = self.line.covers
        return self.credits(self.line.units, end - start)


def kept(lines: Iterable[CreditLine]) -> dict[str, Kept]:
    """Return what was kept of each line that charges for time, by its id.

    Args:
        lines: all lines of paid invoices whose time meets, of any items.
    """
    by_item: dict[str, list[CreditLine]] = {}
    for line in lines:
        by_item.setdefault(line.item, []).append(line)
    return {each.line.id: each for item in by_item.values() for each in _of_item(item)}


def _of_item(lines: Sequence[CreditLine]) -> Iterable[Kept]:
    """Go from the latest line to the earliest: what a later one has kept is no longer an earlier one's."""
    charged = sorted((line for line in lines if not line.gives_back), key=_order, reverse=True)
    taken: list[Stretch] = []
    for line in charged:
        mine = without(not_given_back(line, lines), taken)
        taken += mine
        follows = [each.paid_at for each in charged if each.covers[0] >= line.covers[1]]
        seconds = sum(end - start for start, end in mine)
        yield Kept(line, _period(line, charged), seconds, min(follows, default=None))


def _order(line: CreditLine) -> tuple[int, Order, str]:
    return line.covers[0], line.order, line.id


def _period(line: CreditLine, charged: Collection[CreditLine]) -> int:
    """Return the length of the full period in which a line lies: of a whole line, its own."""
    start, end = line.covers
    if not line.proration or line.interval is None:
        return end - start
    whole = [
        each.covers
        for each in charged
        if not each.proration and each.covers[1] == end and each.interval == line.interval
    ]
    return max(end - start, end - max((first for first, _ in whole), default=line.interval.before(end)))


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a price costs, as far as it tells a free line from a trial and a flat fee from a unit.

    Attributes:
        unit: the amount of a unit in minor units, which may be a fraction; None for tiers.
        tiers: upper bound (None for the last), amount of a unit, flat amount.
        graduated: whether each tier counts for itself; otherwise the tier of the whole quantity counts.
    """

    unit: Fraction | None = None
    tiers: tuple[tuple[int | None, Fraction, Fraction], ...] = ()
    graduated: bool = False

    @classmethod
    def of(cls, price: Mapping[str, object]) -> "Tariff":
        """Read a mirrored price, or one of its currency options, with Stripe's names."""
        tiers = price.get("tiers")
        if tiers:
            rows = [tier for tier in tiers if isinstance(tier, Mapping)]  # type: ignore[attr-defined]
            found = tuple((row.get("up_to"), _amount(row, "unit_amount"), _amount(row, "flat_amount")) for row in rows)
            return cls(None, found, price.get("tiers_mode") == "graduated")
        return cls(_amount(price, "unit_amount"))

    def cost(self, quantity: int) -> Fraction:
        """Return what a quantity costs in minor units, before rounding."""
        if self.unit is not None:
            return self.unit * quantity
        total, below = Fraction(0), 0
        for up_to, unit, flat in self.tiers:
            last = up_to is None or quantity <= up_to
            if self.graduated:
                total += unit * ((quantity if last or up_to is None else up_to) - below) + (flat if quantity else 0)
            elif last:
                return unit * quantity + flat
            if last:
                break
            below = up_to or 0
        return total


def _amount(row: Mapping[str, object], name: str) -> Fraction:
    """Return an amount in minor units: the decimal form holds fractions of them."""
    found = row.get(f"{name}_decimal")
    return Fraction(str(found if found is not None else row.get(name) or 0))


def units_of(quantities: Sequence[int], amount: int, tariff: Tariff | None, known: int | None = None) -> int:
    """Return how many units the lines of one price and period are for.

    A graduated price writes a line for each tier and one, of quantity 1, for each flat fee, and Stripe does not say
    which is which. So the number of units is taken that costs the amount; of several the known one, else the least.

    Args:
        quantities: of the lines.
        amount: their sum, in minor units.
        tariff: what the price costs; None where it is not known.
        known: the quantity of the subscription item as it is now.
    """
    total = sum(quantities)
    if len(quantities) == 1 or tariff is None or not tariff.tiers:
        return total
    bounds = [0, *(up_to for up_to, _, _ in tariff.tiers if up_to is not None)]
    likely = {bound + total - fees for bound in bounds for fees in range(len(quantities) + 1)} | {known or total}
    return min(
        (units for units in likely if units >= 0),
        key=lambda units: (abs(tariff.cost(units) - amount), units != known, units),
    )
