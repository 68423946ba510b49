"""The time of subscription items that was paid for and kept. Pure: lines of paid invoices, nothing else.

A line of a paid invoice covers its period. A later negative line of the same item ("Unused time on ...") gives back the
rest of it. What Stripe writes was read in recorded conversations of API version 2025-10-29.clover, in classic billing
(a change of interval begins a new period) and in flexible billing (it has prorated lines only): a credit names the
lines that it gives back in `proration_details.credited_items`. Where it names none, the invoices before it are meant,
and on its own invoice the lines that begin earlier (several changes can wait for one invoice).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

Stretch = tuple[int, int]
"""From a moment up to another, which is not in it: Unix seconds."""
Order = tuple[int, int]
"""The place of an invoice among its customer's: when it was made, in Unix seconds, and its number."""
LAST: Order = (2**63, 0)
"""The place after all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a paid invoice that is about the time of an item.

    Attributes:
        id: Stripe's id.
        item: the subscription item.
        covers: the time that the line is for.
        order: the place of its invoice.
        gives_back: whether it gives unused time back instead of charging for time.
        credited: the lines whose time it gives back, where Stripe names them.
    """

    id: str = ""
    item: str
    covers: Stretch
    order: Order
    gives_back: bool = False
    credited: frozenset[str] = frozenset()


def order_of(created: datetime, number: str | None) -> Order:
    """Return the place of an invoice. Two may be made in one second; numbers count up (Stripe, "Invoice numbering")."""
    digits = re.search(r"(\d+)$", number or "")
    return int(created.timestamp()), int(digits[1]) if digits else 0


def gives_back(line: Mapping[str, Any]) -> bool:
    """Return whether a mirrored line gives unused time back.

    That of a free price costs nothing: where Stripe names no credited lines, its words alone tell.
    """
    free = line["amount"] == 0 and line["proration"] and (line["description"] or "").startswith("Unused time")
    return bool(line["amount"] < 0 or line.get("credited") or free)


class Paid(NamedTuple):
    """A paid invoice, and how much of it went back, in minor units."""

    id: str
    order: Order
    total: int
    returned: int
    lines: Sequence[Mapping[str, Any]]


def gone(invoices: Iterable[Paid]) -> set[str]:
    """Return the invoices of which nothing is kept, by their ids. A part of a payment that went back changes nothing.

    A payment went back in full; or the invoice cost nothing, because a change to something cheaper was paid by unused
    time alone, and all of that is of invoices whose payment went back.
    """
    rows = list(invoices)
    found = {row.id for row in rows if 0 < row.total <= row.returned}
    sources = {row.id: _paid_by(row, rows) for row in rows if row.total <= 0} if found else {}
    while more := {name for name, others in sources.items() if others and others <= found} - found:
        found |= more
    return found


def _paid_by(invoice: Paid, others: Iterable[Paid]) -> set[str]:
    """Return the invoices whose unused time an invoice gives back; an unknown one has no name."""
    found: set[str] = set()
    for back in (line for line in invoice.lines if gives_back(line)):
        named = set(back.get("credited") or ())
        earlier = [(other.id, line) for other in others if named or other.order < invoice.order for line in other.lines]
        found |= {other_id for other_id, line in earlier if is_of(line, back, named)} or {""}
    return found


def is_of(line: Mapping[str, Any], back: Mapping[str, Any], named: set[str]) -> bool:
    """Return whether unused time may be that of a line: of one that is named, else of any of the item.

    Args:
        line: that may be meant.
        back: the line that gives unused time back.
        named: the lines that it names.
    """
    if named:
        return line["id"] in named
    meets = line["period_start"] < back["period_end"] and back["period_start"] < line["period_end"]
    same = line.get("subscription_item") == back.get("subscription_item")
    return same and meets and not gives_back(line)


def kept_time(lines: Iterable[Line]) -> dict[str, list[Stretch]]:
    """Return the time of each item that was paid for and kept, in order, as stretches that do not touch."""
    lines = list(lines)
    found: dict[str, list[Stretch]] = {}
    for line in lines:
        if not line.gives_back:
            found.setdefault(line.item, []).extend(not_given_back(line, lines))
    return {item: _merged(stretches) for item, stretches in found.items()}


def not_given_back(line: Line, lines: Iterable[Line]) -> list[Stretch]:
    """Return the time that a line covers and no line gives back."""
    return without([line.covers], [back.covers for back in lines if _takes_from(back, line)])


def _takes_from(back: Line, line: Line) -> bool:
    if not back.gives_back or back.item != line.item:
        return False
    if back.credited:
        return line.id in back.credited
    if back.order == line.order:
        return back.covers[0] > line.covers[0]
    return back.order > line.order


def kept_until(stretches: Iterable[Stretch], now: int) -> int | None:
    """Return the end of the stretch in which a moment lies; None when it lies in none."""
    return next((end for start, end in stretches if start <= now < end), None)


def without(stretches: Iterable[Stretch], gone: Iterable[Stretch]) -> list[Stretch]:
    """Return what is left of some stretches of time when others are cut out."""
    left = [stretch for stretch in stretches if stretch[0] < stretch[1]]
    for start, end in gone:
        cut = [(first, min(last, start)) for first, last in left] + [(max(first, end), last) for first, last in left]
        left = [stretch for stretch in cut if stretch[0] < stretch[1]]
    return left


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for start, end in sorted(stretches):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
