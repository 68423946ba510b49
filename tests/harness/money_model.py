"""What Stripe's own objects say a customer has paid for and kept: the judge of the money game.

It reads the offline Stripe's lists alone and knows nothing of the gateway's code. Time is cut at every beginning and
end of a line; of each piece the line that came last counts, unless a credit gives the piece back. Shares are exact.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

Json = dict[str, Any]


@dataclass
class Book:
    """What a customer has paid for.

    Attributes:
        credits: the credits of the time that was paid and kept, as a fraction; the ledger rounds each line down.
        slack: by how many credits the ledger may hold more: what a refund takes back is rounded down, line by line.
        kept_until: the end of what was paid and kept, by subscription, in Unix seconds.
        paid_until: the same, whether or not the payment went back.
        taken: what cards have paid and kept to have paid, in minor units.
    """

    credits: Fraction = Fraction(0)
    slack: int = 0
    kept_until: dict[str, int] = field(default_factory=dict)
    paid_until: dict[str, int] = field(default_factory=dict)
    taken: int = 0


def book(invoices: Iterable[Json], gone: Callable[[str], int], prices: dict[str, Json]) -> Book:
    """Return what the invoices of one customer say.

    Args:
        invoices: all of the customer's, as Stripe lists them.
        gone: how much of an invoice's payment went back, by its id, in minor units.
        prices: the prices by id, with `credits` and `seconds` of a full period.
    """
    found = Book()
    paid = [invoice for invoice in invoices if invoice["status"] == "paid"]
    back = {invoice["id"]: gone(invoice["id"]) for invoice in paid}
    found.taken = sum(invoice["amount_paid"] - back[invoice["id"]] for invoice in paid)
    items: dict[str, list[tuple[Json, Json]]] = {}
    for invoice in paid:
        for line in invoice["lines"]["data"]:
            items.setdefault(_details(line).get("subscription_item"), []).append((invoice, line))
    for lines in items.values():
        _read_item(found, lines, back, prices)
    return found


def _read_item(found: Book, lines: list[tuple[Json, Json]], back: dict[str, int], prices: dict[str, Json]) -> None:
    kept: dict[str, int] = {}
    for first, last, line in _pieces(lines):
        kept[line["id"]] = kept.get(line["id"], 0) + last - first
        _note(found.paid_until, line, last)
    for _, last, line in _pieces([each for each in lines if not _went_back(each[0], back)]):
        _note(found.kept_until, line, last)
    for invoice, line in lines:
        if not _is_credit(line):
            price = prices[line["pricing"]["price_details"]["price"]]
            units = price["credits"] * line["quantity"]
            length = line["period"]["end"] - line["period"]["start"]
            period = max(price["seconds"](line["period"]["end"]), length) if _details(line)["proration"] else length
            share = Fraction(kept.get(line["id"], 0), max(period, 1))
            gone = Fraction(back[invoice["id"]], invoice["total"]) if invoice["total"] > 0 else Fraction(0)
            found.credits += max(Fraction(0), units * share - units * Fraction(length, max(period, 1)) * gone)
            found.slack += bool(gone)


def _note(until: dict[str, int], line: Json, last: int) -> None:
    subscription = _details(line)["subscription"]
    until[subscription] = max(until.get(subscription, 0), last)


def _pieces(lines: list[tuple[Json, Json]]) -> Iterable[tuple[int, int, Json]]:
    """Cut the time of an item at every edge; each piece with the line that counts for it."""
    edges = sorted({moment for _, line in lines for moment in (line["period"]["start"], line["period"]["end"])})
    for first, last in pairwise(edges):
        covering = [
            (line["period"]["start"], _order(invoice), line)
            for invoice, line in lines
            if not _is_credit(line)
            and line["period"]["start"] <= first
            and last <= line["period"]["end"]
            and not any(
                _returns(later, given, invoice, line, first, last) for later, given in lines if _is_credit(given)
            )
        ]
        if covering:
            yield first, last, max(covering, key=lambda each: each[:2])[2]


def _details(line: Json) -> Json:
    details: Json = line["parent"]["subscription_item_details"] or line["parent"]["invoice_item_details"]
    return details


def _credited(line: Json) -> list[str]:
    credited = (_details(line).get("proration_details") or {}).get("credited_items") or {}
    found: list[str] = credited.get("invoice_line_items") or []
    return found


def _is_credit(line: Json) -> bool:
    return bool(line["amount"] < 0 or _credited(line) or line["description"].startswith("Unused time"))


def _order(invoice: Json) -> tuple[int, int]:
    """Times may be equal; a customer's invoices are numbered one after the other."""
    return invoice["created"], int(invoice["number"].rpartition("-")[2])


def _returns(later: Json, given: Json, invoice: Json, line: Json, first: int, last: int) -> bool:
    within = given["period"]["start"] <= first and last <= given["period"]["end"]
    if _credited(given):
        return within and line["id"] in _credited(given)
    same = given["pricing"]["price_details"]["price"] == line["pricing"]["price_details"]["price"]
    return within and same and _order(invoice) < _order(later)


def _went_back(invoice: Json, back: dict[str, int]) -> bool:
    return bool(invoice["total"] > 0 and back[invoice["id"]] >= invoice["total"])
