"""The time that was paid for and kept, as a table: days are numbers, each row one history of one item."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.billing.subscriptions.paid_time import (
    Line,
    Paid,
    gives_back,
    gone,
    kept_time,
    kept_until,
    order_of,
    without,
)

YEAR = (0, 365)


def paid(start: int, end: int) -> Line:
    return Line(item="si", covers=(start, end), order=(0, 0))


def back(start: int, end: int) -> Line:
    return Line(item="si", covers=(start, end), order=(0, 0), gives_back=True)


def invoice(created: int, *lines: Line, number: int = 0) -> list[Line]:
    return [replace(line, order=(created, number)) for line in lines]


HISTORIES = {
    "nothing was paid": ([], []),
    "a year": ([invoice(0, paid(*YEAR))], [YEAR]),
    "two months follow each other": ([invoice(30, paid(30, 60)), invoice(0, paid(0, 30))], [(0, 60)]),
    "a month was left out": ([invoice(0, paid(0, 30)), invoice(60, paid(60, 90))], [(0, 30), (60, 90)]),
    "yearly, then monthly: classic": ([invoice(0, paid(*YEAR)), invoice(10, back(10, 365), paid(10, 40))], [(0, 40)]),
    "monthly, then yearly: flexible": ([invoice(0, paid(0, 30)), invoice(9, back(9, 30), paid(9, 365))], [(0, 365)]),
    "more seats": ([invoice(0, paid(0, 30)), invoice(9, back(9, 30), paid(9, 30))], [(0, 30)]),
    "cancelled with a credit": ([invoice(0, paid(*YEAR)), invoice(10, back(10, 365))], [(0, 10)]),
    "the credit came in the list first": ([invoice(10, back(10, 365)), invoice(0, paid(*YEAR))], [(0, 10)]),
    "paid again after a credit": ([invoice(0, paid(*YEAR)), invoice(9, back(9, 365)), invoice(20, paid(20, 50))],
                                  [(0, 9), (20, 50)]),
    "two changes wait for one invoice": (
        [invoice(0, paid(0, 30)), invoice(30, back(5, 30), paid(5, 30), back(9, 30), paid(9, 30), paid(30, 60))],
        [(0, 60)],
    ),
    "changed, then cancelled, on one invoice": (
        [invoice(0, paid(0, 30)), invoice(9, back(5, 30), paid(5, 30), back(9, 30))],
        [(0, 9)],
    ),
    "changed in the second in which it was bought": (
        [invoice(0, paid(*YEAR)), invoice(0, back(0, 365), paid(0, 30), number=1)],
        [(0, 30)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("invoices", "expected"), HISTORIES.values(), ids=HISTORIES)
def test_what_was_paid_for_and_kept(invoices, expected):
    assert kept_time(line for lines in invoices for line in lines).get("si", []) == expected


def test_another_items_credit_takes_nothing_away():
    invoices = [invoice(0, paid(0, 30), Line(item="other", covers=(0, 365), order=(0, 0))), invoice(9, back(9, 30))]
    assert kept_time(line for lines in invoices for line in lines) == {"si": [(0, 9)], "other": [(0, 365)]}


@pytest.mark.parametrize(("now", "end"), [(-1, None), (0, 9), (8, 9), (9, None), (15, None), (20, 50), (50, None)])
def test_the_end_is_that_of_the_stretch_in_which_now_lies(now, end):
    assert kept_until([(0, 9), (20, 50)], now) == end


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ([], [(10, 20)]),
        ([(0, 10)], [(10, 20)]),
        ([(20, 30)], [(10, 20)]),
        ([(0, 12)], [(12, 20)]),
        ([(18, 30)], [(10, 18)]),
        ([(12, 14)], [(10, 12), (14, 20)]),
        ([(12, 14), (13, 16)], [(10, 12), (16, 20)]),
        ([(10, 20)], []),
        ([(0, 99)], []),
    ],
)
def test_a_stretch_without_others(gone, left):
    assert without([(10, 20)], gone) == left


def test_an_empty_stretch_is_nothing():
    assert without([(10, 10)], []) == []


@pytest.mark.parametrize(
    ("number", "place"), [(None, 0), ("", 0), ("A-0012", 12), ("7", 7), ("A-12-B", 0), ("DRAFT", 0), ("A1-0003", 3)]
)
def test_the_place_of_an_invoice(number, place):
    created = datetime(2026, 1, 1, tzinfo=UTC)
    assert order_of(created, number) == (int(created.timestamp()), place)


UNUSED = "Unused time on Pro after 1 Jan 2026"
BACK = {
    "a charge": ({"amount": 900}, False),
    "a credit": ({"amount": -1}, True),
    "one that names what it gives back": ({"amount": 900, "credited": ["il_1"]}, True),
    "of a free price": ({"proration": True, "description": UNUSED}, True),
    "of a free price, in other words": ({"proration": True, "description": "Remaining time on Pro"}, False),
    "of a free price, without words": ({"proration": True, "description": None}, False),
    "no proration": ({"description": UNUSED}, False),
    "a charge in these words": ({"amount": 1, "proration": True, "description": UNUSED}, False),
    "nothing": ({}, False),
}


@pytest.mark.parametrize(("columns", "expected"), BACK.values(), ids=BACK)
def test_which_lines_give_time_back(columns, expected):
    assert gives_back({"amount": 0, "proration": False, "description": "Pro", **columns}) is expected


def billed(id: str, total: int, *lines: dict, created: int = 0, returned: int = 0) -> Paid:
    return Paid(id, (created, 0), total, returned, lines)


def told(id: str, amount: int, first: int, last: int, item: str = "si", **more) -> dict:
    given = {"id": id, "amount": amount, "proration": True, "description": "", "subscription_item": item, **more}
    return {**given, "period_start": first, "period_end": last}


BIG = told("il_big", 900, 0, 365)
GONE = billed("big", 900, BIG, returned=900)
UNUSED = told("il_back", -800, 10, 365)
CHEAP = billed("cheap", -700, UNUSED, told("il_cheap", 100, 10, 365), created=10)
NAMED = billed("cheap", -700, {**UNUSED, "credited": ["il_big"]}, created=10)
LOST = {
    "nothing": ([billed("big", 900, BIG), CHEAP], set()),
    "a part": ([billed("big", 900, BIG, returned=899), CHEAP], set()),
    "all": ([GONE], {"big"}),
    "of what cost nothing": ([billed("big", 0, BIG, returned=1)], set()),
    "what it has paid": ([GONE, CHEAP], {"big", "cheap"}),
    "by the lines' names": ([GONE, NAMED], {"big", "cheap"}),
    "by the name of another": ([GONE, billed("cheap", -1, {**UNUSED, "credited": ["il_x"]}, created=10)], {"big"}),
    "for nothing": ([GONE, billed("cheap", 0, UNUSED, told("il_cheap", 800, 10, 365), created=10)], {"big", "cheap"}),
    "and more was paid": ([GONE, billed("dear", 1, UNUSED, told("il_dear", 801, 10, 365), created=10)], {"big"}),
    "what was billed before": ([GONE._replace(order=(11, 0)), CHEAP], {"big"}),
    "of another item": ([GONE, billed("cheap", -1, told("il_back", -1, 10, 365, "si_2"), created=10)], {"big"}),
    "of another time": ([GONE, billed("cheap", -1, told("il_back", -1, 365, 400), created=365)], {"big"}),
    "and what was kept": ([GONE, billed("other", 5, told("il_other", 5, 5, 365), created=5), CHEAP], {"big"}),
    "a free plan": ([GONE, billed("free", 0, told("il_free", 0, 10, 365), created=10)], {"big"}),
    "and what that has paid": (
        [GONE, CHEAP, billed("less", -9, told("il_b2", -99, 20, 365), told("il_less", 90, 20, 365), created=20)],
        {"big", "cheap", "less"},
    ),
}


@pytest.mark.parametrize(("invoices", "lost"), LOST.values(), ids=LOST)
def test_of_which_invoices_nothing_is_kept(invoices, lost):
    assert gone(invoices) == gone(reversed(invoices)) == lost
