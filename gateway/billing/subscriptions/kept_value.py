"""How much of the value of invoices was kept, where a part of their money went back to the buyer. Pure.

Stripe credits the unused time of what an invoice billed by its price, whatever went back of it (Stripe, "Prorations").
An invoice of a change is paid by such credits as well, and the time that it bills is worth as much as they are.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from gateway.billing.subscriptions.paid_time import Paid, gives_back, is_of

WHOLE, NOTHING = Fraction(1), Fraction(0)


def kept_shares(invoices: Iterable[Paid]) -> dict[str, Fraction]:
    """Return the share that was kept of what each paid invoice bills, by its id: 1 where nothing went back."""
    found: dict[str, Fraction] = {}
    before: list[Paid] = []
    for invoice in sorted(invoices, key=lambda each: each.order):
        lacks, worth = _missing(invoice, before, found)
        found[invoice.id] = max(NOTHING, WHOLE - Fraction(lacks, worth)) if worth > 0 else WHOLE - min(WHOLE, lacks)
        before.append(invoice)
    return found


def lacking(invoice: Paid, before: Sequence[Paid]) -> int:
    """Return how much of what an invoice credits, and of its own money, went back, in minor units, rounded up.

    Args:
        invoice: one that was paid, or the preview of one.
        before: the paid invoices before it.
    """
    return ceil(_missing(invoice, before, kept_shares(before))[0])


def overdrawn(invoice: Paid, before: Sequence[Paid]) -> int:
    """Return by how much more than was kept an invoice leaves in its customer's balance, in minor units, rounded up.

    Args:
        invoice: one that was paid, or the preview of one.
        before: the paid invoices before it.
    """
    lacks, worth = _missing(invoice, before, kept_shares(before))
    return max(0, ceil(lacks - max(worth, 0)))


def _missing(invoice: Paid, before: Iterable[Paid], shares: Mapping[str, Fraction]) -> tuple[Fraction, int]:
    """Return what of an invoice was not kept, its own money and that of the credits in it, and what it bills."""
    lacks, worth = Fraction(invoice.returned), invoice.total
    for back in (line for line in invoice.lines if gives_back(line)):
        if not _is_own(back, invoice):  # else what it takes away was never owed
            worth -= back["amount"]
            lacks -= back["amount"] * (WHOLE - _share(_sources(back, before), shares))
    return lacks, worth


def _is_own(back: Mapping[str, Any], invoice: Paid) -> bool:
    """Return whether a credit is of a line of its own invoice, for which several changes can have waited."""
    named = set(back.get("credited") or ())
    its = [line for line in invoice.lines if is_of(line, back, named)]
    return any(named or line["period_start"] < back["period_start"] for line in its)


def _sources(back: Mapping[str, Any], before: Iterable[Paid]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the lines whose time a credit gives back, each with its invoice.

    Where it names none, they are those of the last invoice that bills this time.
    """
    named = set(back.get("credited") or ())
    found = [(other, line) for other in before for line in other.lines if is_of(line, back, named)]
    last = max((other.order for other, _ in found), default=None)
    return [(other.id, line) for other, line in found if named or other.order == last]


def _share(sources: Sequence[tuple[str, Mapping[str, Any]]], shares: Mapping[str, Fraction]) -> Fraction:
    """Return the share that was kept of some lines together; of what nobody knows, all of it."""
    weights: list[tuple[Fraction, int]] = [(shares[name], max(line["amount"], 0)) for name, line in sources]
    if total := sum(weight for _, weight in weights):
        return sum((share * weight for share, weight in weights), NOTHING) / total
    return min((share for share, _ in weights), default=WHOLE)
