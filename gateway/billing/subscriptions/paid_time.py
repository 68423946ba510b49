"""The time of subscription items that was paid for and kept. Pure: lines of paid invoices, nothing else.

A line of a paid invoice covers its period. A later negative line of the same item ("Unused time on ...") gives back the
rest of it: from the invoices before it, and within its own invoice from lines that begin earlier (several changes can
wait for one invoice). What Stripe writes was read in recorded conversations of API version 2025-10-29.clover, in
classic billing (a change of interval begins a new period) and in flexible billing (it has prorated lines only).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Stretch = tuple[int, int]
"""From a moment up to another, which is not in it: Unix seconds."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a paid invoice that is about the time of an item.

    Attributes:
        item: the subscription item.
        covers: the time that the line is for.
        gives_back: whether it gives unused time back instead of charging for time.
    """

    item: str
    covers: Stretch
    gives_back: bool = False


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """An invoice that was paid and whose payment was kept.

    Attributes:
        created: when it was made, in Unix seconds.
        lines: those about time.
    """

    created: int
    lines: tuple[Line, ...]


def kept_time(invoices: Sequence[PaidInvoice]) -> dict[str, list[Stretch]]:
    """Return the time of each item that was paid for and kept, in order, as stretches that do not touch."""
    found: dict[str, list[Stretch]] = {}
    for invoice in invoices:
        for line in invoice.lines:
            if not line.gives_back:
                given_back = [back.covers for later in invoices for back in _backs(later, invoice, line)]
                found.setdefault(line.item, []).extend(without(line.covers, given_back))
    return {item: _merged(stretches) for item, stretches in found.items()}


def _backs(later: PaidInvoice, invoice: PaidInvoice, line: Line) -> Iterable[Line]:
    """Yield the lines of `later` that give back what a line of `invoice` charged for."""
    for back in later.lines:
        if back.gives_back and back.item == line.item:
            after = back.covers[0] > line.covers[0] if later is invoice else later.created >= invoice.created
            if after:
                yield back


def kept_until(stretches: Iterable[Stretch], now: int) -> int | None:
    """Return the end of the stretch in which a moment lies; None when it lies in none."""
    return next((end for start, end in stretches if start <= now < end), None)


def without(stretch: Stretch, gone: Iterable[Stretch]) -> list[Stretch]:
    """Return what is left of a stretch of time when others are cut out of it."""
    left = [stretch]
    for start, end in gone:
        cut = [(first, min(last, start)) for first, last in left] + [(max(first, end), last) for first, last in left]
        left = [(first, last) for first, last in cut if first < last]
    return [(first, last) for first, last in left if first < last]


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
