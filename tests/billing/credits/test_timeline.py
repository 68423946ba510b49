"""The pure rules of credits by time: what a line brings, and what of it is kept."""

import time
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.billing.credits.timeline import CreditLine, Interval, Tariff, kept, units_of
from gateway.billing.subscriptions.paid_time import without

MONTH, YEAR = Interval("month"), Interval("year")
DAY = 86_400
JANUARY = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
FEBRUARY = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
NEXT_YEAR = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
EARLIER, LATER = JANUARY + 10 * DAY, JANUARY + 20 * DAY


def line(id: str, price: str, covers: tuple[int, int], units: int = 100, **more) -> CreditLine:
    created = more.pop("created", covers[0])
    order = (created, more.pop("number", 0))
    interval = YEAR if price.startswith("year") else MONTH
    given = {"item": "si_1", "interval": interval, **more}
    return CreditLine(id=id, order=order, price_id=price, units=units, covers=covers, **given)


def brought(*lines: CreditLine) -> dict[str, int]:
    return {name: each.credits(each.line.units) for name, each in kept(lines).items()}


def test_a_full_period_brings_all_its_credits():
    assert brought(line("a", "month", (JANUARY, FEBRUARY))) == {"a": 100}


def test_what_is_given_back_is_not_kept_and_what_replaces_it_brings_its_share():
    month = line("a", "month", (JANUARY, FEBRUARY), units=310)
    back = line("b", "month", (EARLIER, FEBRUARY), proration=True, gives_back=True)
    other = line("c", "month_pro", (EARLIER, FEBRUARY), units=3100, proration=True)
    assert brought(month, back, other) == {"a": 100, "c": 2100}


def test_switching_between_month_and_year_again_and_again_brings_what_is_covered():
    lines = [line("m0", "month", (JANUARY, FEBRUARY), units=1000)]
    for n in range(1, 7):
        now = JANUARY + n
        price, end = ("year", NEXT_YEAR + n) if n % 2 else ("month", FEBRUARY + n)
        before, until = ("month", FEBRUARY + n - 1) if n % 2 else ("year", NEXT_YEAR + n - 1)
        lines.append(line(f"u{n}", before, (now, until), proration=True, gives_back=True))
        lines.append(line(f"l{n}", price, (now, end), units=1000 if price == "month" else 10_000))
    assert brought(*lines) == {"m0": 0, "l1": 0, "l2": 0, "l3": 0, "l4": 0, "l5": 0, "l6": 1000}


def test_within_one_second_the_numbers_of_the_invoices_tell_which_came_later():
    year = line("a", "year", (JANUARY, NEXT_YEAR), units=12_000, number=1)
    back = line("b", "year", (JANUARY, NEXT_YEAR), proration=True, gives_back=True, number=2)
    month = line("c", "month", (JANUARY, FEBRUARY), units=1000, number=2)
    assert brought(year, back, month) == brought(month, back, year) == {"a": 0, "c": 1000}


def test_a_change_of_interval_in_flexible_billing_has_prorated_lines_only():
    """As recorded (2025-10-29.clover): 25.00 monthly, four seconds later 250.00 yearly on the same anchor."""
    start, month_end, year_end = 1762799351, 1765391351, 1794335351
    month = line("il_1", "month", (start, month_end), units=100)
    back = line("il_2", "month", (start + 4, month_end), proration=True, gives_back=True, credited=frozenset({"il_1"}))
    year = line("il_3", "year", (start + 4, year_end), units=1200, proration=True)
    found = kept([month, back, year])
    assert found["il_3"].period == year_end - start == 365 * DAY
    assert brought(month, back, year) == {"il_1": 0, "il_3": 1199}


def test_a_free_plan_that_is_left_and_taken_again_brings_its_credits_once():
    free = line("f1", "month_free", (JANUARY, FEBRUARY), units=310)
    back = line("b1", "month_free", (EARLIER, FEBRUARY), gives_back=True, proration=True, credited=frozenset({"f1"}))
    paid = line("p", "month", (EARLIER, FEBRUARY), units=310, proration=True)
    unused = line("b2", "month", (LATER, FEBRUARY), gives_back=True, proration=True)
    again = line("f2", "month_free", (LATER, FEBRUARY), units=310, proration=True)
    assert brought(free, back, paid, unused, again) == {"f1": 100, "p": 100, "f2": 110}
    # where the version names no credited lines, an amount of zero gives nothing back, but the later line counts
    assert brought(free, paid, unused, again) == {"f1": 100, "p": 100, "f2": 110}


def test_an_early_end_gives_back_its_time():
    month = line("a", "month", (JANUARY, FEBRUARY), units=310)
    assert brought(month, line("b", "month", (LATER, FEBRUARY), gives_back=True, proration=True)) == {"a": 200}


def test_an_item_beside_another_is_not_touched():
    plan = line("a", "month", (JANUARY, FEBRUARY))
    addon = line("b", "month_addon", (JANUARY, FEBRUARY), item="si_2")
    assert brought(plan, addon, line("c", "month", (EARLIER, FEBRUARY), gives_back=True))["b"] == 100


def test_of_two_lines_the_one_that_begins_later_is_kept():
    year = line("a", "year", (JANUARY, NEXT_YEAR), units=365)
    month = line("b", "month", (FEBRUARY, FEBRUARY + 28 * DAY), units=28)
    assert brought(year, month) == {"a": 365 - 28, "b": 28}


APRIL, MAY = (int(datetime(2026, month, day, tzinfo=UTC).timestamp()) for month, day in ((3, 31), (4, 30)))
PERIODS = {
    "a whole line's own": ([], line("a", "month", (JANUARY, JANUARY + 1)), 1),
    "of a part that of the whole line": (
        [line("w", "month", (APRIL, MAY)), line("y", "year", (APRIL + DAY, MAY))],
        line("a", "month", (MAY - 15 * DAY, MAY), proration=True),
        30,
    ),
    "where that is not known the calendar's": ([], line("a", "month", (MAY - 15 * DAY, MAY), proration=True), 31),
    "never shorter than the line": ([], line("a", "month", (MAY - 60 * DAY, MAY), proration=True), 60),
    "of an unknown price the line's": ([], line("a", "x", (APRIL, MAY), proration=True, interval=None), 30),
}


@pytest.mark.parametrize(("others", "part", "days"), PERIODS.values(), ids=PERIODS)
def test_how_long_a_full_period_is(others, part, days):
    assert kept([*others, part])["a"].period == (days if days == 1 else days * DAY)


def test_the_payment_that_follows_is_found():
    month = line("a", "month", (JANUARY, FEBRUARY))
    renewal = line("b", "month", (FEBRUARY, FEBRUARY + 28 * DAY), paid_at=FEBRUARY + 3600)
    assert kept([month, renewal])["a"].next_paid_at == FEBRUARY + 3600
    assert kept([month])["a"].next_paid_at is None


lines_of_an_item = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 400), st.sampled_from("pqr"), st.booleans()), min_size=1, max_size=8
)


@given(drawn=lines_of_an_item, order=st.randoms())
def test_no_moment_is_kept_twice_and_the_order_of_arrival_does_not_matter(drawn, order):
    lines = [
        line(f"l{n}", price, (start, start + length), created=n, gives_back=back, proration=back)
        for n, (start, length, price, back) in enumerate(drawn)
    ]
    found = kept(lines)
    moments = {second for each in lines if not each.gives_back for second in range(*each.covers)}
    assert sum(each.seconds for each in found.values()) <= len(moments)
    order.shuffle(lines)
    assert kept(lines) == found


@pytest.mark.parametrize(
    ("end", "interval", "start"),
    [
        ((2026, 3, 31), MONTH, (2026, 2, 28)),
        ((2024, 3, 31), MONTH, (2024, 2, 29)),
        ((2026, 1, 15), MONTH, (2025, 12, 15)),
        ((2025, 2, 28), YEAR, (2024, 2, 28)),
        ((2024, 2, 29), YEAR, (2023, 2, 28)),
        ((2026, 6, 30), Interval("month", 3), (2026, 3, 30)),
        ((2026, 1, 8), Interval("week"), (2026, 1, 1)),
        ((2026, 3, 1), Interval("day", 2), (2026, 2, 27)),
    ],
)
def test_the_period_before_a_moment(end, interval, start):
    moment = datetime(*end, 13, 5, tzinfo=UTC)
    assert datetime.fromtimestamp(interval.before(int(moment.timestamp())), UTC) == datetime(*start, 13, 5, tzinfo=UTC)


def test_a_period_is_counted_in_utc_whatever_the_machines_zone(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        march, february = datetime(2026, 3, 1, 0, 30, tzinfo=UTC), datetime(2026, 2, 1, 0, 30, tzinfo=UTC)
        assert MONTH.before(int(march.timestamp())) == int(february.timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(("seconds", "credits"), [(0, 0), (15, 50), (29, 96), (30, 100), (31, 100), (99, 100)])
def test_no_time_brings_more_than_a_full_period(seconds, credits):
    (found,) = kept([line("a", "month", (0, 30), proration=False)]).values()
    assert found.credits(100, seconds) == credits


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        ([], [(0, 10)]),
        ([(0, 10)], []),
        ([(3, 5)], [(0, 3), (5, 10)]),
        ([(8, 20)], [(0, 8)]),
        ([(3, 5), (5, 7), (20, 30)], [(0, 3), (7, 10)]),
    ],
)
def test_time_is_cut_out(gone, left):
    assert without([(0, 10)], gone) == left


FLAT = Tariff.of(
    {
        "tiers_mode": "graduated",
        "tiers": [
            {"up_to": 5, "unit_amount": 100, "flat_amount": 500},
            {"up_to": None, "unit_amount": 50, "flat_amount": None},
        ],
    }
)
FEE_ONLY = Tariff.of(
    {
        "tiers_mode": "graduated",
        "tiers": [{"up_to": 5, "flat_amount": 1000}, {"up_to": None, "unit_amount_decimal": "199.5"}],
    }
)


@pytest.mark.parametrize(
    ("quantities", "amount", "tariff", "known", "units"),
    [
        ([5, 1, 2], 1100, FLAT, None, 7),
        ([3, 1], 800, FLAT, None, 3),
        ([1, 2], 1399, FEE_ONLY, None, 7),
        ([1], 1000, FEE_ONLY, 4, 1),
        ([2, 3], 500, None, None, 5),
        ([1, 1], 0, FLAT, None, 0),
        ([1, 3], 1000, FEE_ONLY, None, 2),  # of several that cost it the least
    ],
)
def test_the_units_of_several_lines_are_those_that_cost_their_amount(quantities, amount, tariff, known, units):
    assert units_of(quantities, amount, tariff, known) == units


GRADUATED = {
    "tiers": [
        {"up_to": 5, "unit_amount": 100, "flat_amount": 500},
        {"up_to": None, "unit_amount": 50, "flat_amount": 7},
    ],
}


@pytest.mark.parametrize(
    ("price", "quantity", "cost"),
    [
        ({"unit_amount": 1900}, 3, 5700),
        ({"unit_amount": None, "unit_amount_decimal": "0.5"}, 3, Fraction(3, 2)),
        ({"tiers_mode": "volume", "tiers": [{"up_to": 5, "unit_amount": 9}, {"up_to": None, "unit_amount": 2}]}, 6, 12),
        ({"tiers_mode": "volume", "tiers": [{"up_to": None, "unit_amount": 2, "flat_amount": 7}]}, 5, 17),
        ({"unit_amount": 0}, 9, 0),
        ({"tiers_mode": "volume", "tiers": [{"up_to": 5, "unit_amount": 9}, {"up_to": None, "unit_amount": 2}]}, 5, 45),
        ({**GRADUATED, "tiers_mode": "graduated"}, 0, 0),
        ({**GRADUATED, "tiers_mode": "graduated"}, 1, 600),
        ({**GRADUATED, "tiers_mode": "graduated"}, 5, 1000),
        ({**GRADUATED, "tiers_mode": "graduated"}, 6, 1057),
        ({**GRADUATED, "tiers_mode": "graduated"}, 9, 1207),
    ],
)
def test_what_a_quantity_costs(price, quantity, cost):
    assert Tariff.of(price).cost(quantity) == cost
