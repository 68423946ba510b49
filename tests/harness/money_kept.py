"""What Stripe's invoices say of the money behind unused time: the judge of the money game for what changes credit.

It reads invoices alone and knows nothing of the gateway's code. Time that a change gives back is worth what was paid
for it and kept; what is left over of that is all that a change may leave in the customer's balance.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from harness.money_model import credited_lines, is_credit, item_of, place_of

Json = dict[str, Any]


def overpaid(invoices: Iterable[Json], gone: dict[str, int]) -> dict[str, Fraction]:
    """Return by how much each paid invoice has left more in the balance than was kept of what it credits.

    Args:
        invoices: all of a customer's, as Stripe lists them.
        gone: how much of each went back, in minor units.
    """
    found: dict[str, Fraction] = {}
    worth: dict[str, Fraction] = {}  # of each cent that a line bills, by the line
    billed: list[tuple[Json, Json]] = []
    for invoice in sorted((each for each in invoices if each["status"] == "paid"), key=place_of):
        lines = invoice["lines"]["data"]
        charges = [line for line in lines if not is_credit(line)]
        kept = Fraction(max(invoice["total"], 0) - gone.get(invoice["id"], 0))
        price = sum(line["amount"] for line in charges)
        for line in (each for each in lines if is_credit(each)):
            source = _source(line, invoice, billed)
            if source in {each["id"] for each in charges}:
                price += line["amount"]  # it was billed and taken back at once
            else:
                kept -= line["amount"] * worth.get(source, Fraction(1))
        left = kept - max(-invoice["total"], 0)
        found[invoice["id"]] = max(Fraction(0), -left) if invoice["total"] < 0 else Fraction(0)
        share = min(Fraction(1), max(Fraction(0), left / price)) if price > 0 else Fraction(1)
        worth.update({line["id"]: share for line in charges})
        billed += [(invoice, line) for line in charges]
    return found


def _source(credit: Json, invoice: Json, billed: list[tuple[Json, Json]]) -> str:
    """Return the line that a credit is of: the one that it names, else the last that bills this time of the item."""
    if named := credited_lines(credit):
        return named[0]
    start, end = credit["period"]["start"], credit["period"]["end"]
    own = [
        (invoice, line)
        for line in invoice["lines"]["data"]
        if not is_credit(line) and line["period"]["start"] < start and item_of(line) == item_of(credit)
    ]
    meets = [
        line["id"]
        for _, line in (*billed, *own)
        if item_of(line) == item_of(credit) and line["period"]["start"] < end and start < line["period"]["end"]
    ]
    return meets[-1] if meets else "unknown"
