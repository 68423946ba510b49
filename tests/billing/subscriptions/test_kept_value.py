"""How much of what invoices bill was kept where a part of their money went back: a table of lines."""

from fractions import Fraction

import pytest

from gateway.billing.subscriptions.kept_value import kept_shares, lacking, overdrawn
from gateway.billing.subscriptions.paid_time import Paid

HALF = Fraction(1, 2)


def line(id: str, amount: int, first: int = 0, **more) -> dict:
    given = {"id": id, "amount": amount, "proration": True, "description": "", "subscription_item": "si", **more}
    return {**given, "period_start": first, "period_end": 365}


def paid(id: str, *lines: dict, created: int = 0, returned: int = 0) -> Paid:
    return Paid(id, (created, 0), sum(each["amount"] for each in lines), returned, lines)


YEAR = paid("year", line("il_year", 1000))
PART = YEAR._replace(returned=500)
LESS = paid("less", line("il_back", -1000), line("il_less", 300), created=1)
MORE = paid("more", line("il_back", -1000), line("il_more", 4000), created=1)
NAMED = paid("more", line("il_back", -1000, credited=["il_year"]), line("il_more", 4000), created=1)
OTHER = paid("more", line("il_back", -1000, credited=["il_x"]), line("il_more", 4000), created=1)
THEN_LESS = paid("then", line("il_more_back", -4000, 2), line("il_then", 3500, 2), created=2)
THEN_NONE = paid("none", line("il_more_back", -4000, 2), line("il_none", 0, 2), created=2)
TWICE = paid(
    "twice", line("il_back", -1000), line("il_a", 2000), line("il_a_back", -2000, 1), line("il_b", 3000, 1), created=1
)
BOTH = paid("both", line("il_back", -400, credited=["il_a", "il_c"]), line("il_new", 400), created=2)

CASES = {
    "all": ([YEAR], {"year": 1}, (0, 0)),
    "a part": ([PART], {"year": HALF}, (500, 0)),
    "more than all": ([YEAR._replace(returned=1001)], {"year": 0}, (1001, 1)),
    "what cost nothing": ([paid("free", line("il_f", 0))], {"free": 1}, (0, 0)),
    "down": ([YEAR, LESS], {"year": 1, "less": 1}, (0, 0)),
    "down after a part": ([PART, LESS], {"year": HALF, "less": 0}, (500, 200)),
    "up after a part": ([PART, MORE], {"year": HALF, "more": Fraction(7, 8)}, (500, 0)),
    "up by the line's name": ([PART, NAMED], {"year": HALF, "more": Fraction(7, 8)}, (500, 0)),
    "up from what nobody knows": ([PART, OTHER], {"year": HALF, "more": 1}, (0, 0)),
    "up, and a part of both": (
        [PART, MORE._replace(returned=1500)],
        {"year": HALF, "more": HALF},
        (2000, 0),
    ),
    "up and down again": (
        [PART, MORE, THEN_LESS],
        {"year": HALF, "more": Fraction(7, 8), "then": Fraction(6, 7)},
        (500, 0),
    ),
    "up and down to nothing": ([PART, MORE, THEN_NONE], {"year": HALF, "more": Fraction(7, 8), "none": 0}, (500, 500)),
    "twice on one invoice": ([PART, TWICE], {"year": HALF, "twice": Fraction(5, 6)}, (500, 0)),
    "several lines": (
        [paid("a", line("il_a", 300), returned=150), paid("c", line("il_c", 100), created=1), BOTH],
        {"a": HALF, "c": 1, "both": Fraction(5, 8)},
        (150, 0),
    ),
}


@pytest.mark.parametrize(("invoices", "shares", "last"), CASES.values(), ids=CASES)
def test_how_much_was_kept(invoices, shares, last):
    assert kept_shares(invoices) == kept_shares(reversed(invoices)) == shares
    assert (lacking(invoices[-1], invoices[:-1]), overdrawn(invoices[-1], invoices[:-1])) == last
