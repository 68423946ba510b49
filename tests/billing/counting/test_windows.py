"""In which period a counter counts: a table without a database."""

from datetime import UTC, datetime

import pytest

from gateway.billing.counting.windows import Window, present, settle


def day(month: int, number: int, year: int = 2126) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


JANUARY = (day(1, 10), day(2, 10))


@pytest.mark.parametrize(
    ("period", "moment", "expected"),
    [
        (JANUARY, day(1, 10), Window(day(1, 10), day(2, 10))),
        (JANUARY, day(2, 9), Window(day(1, 10), day(2, 10))),
        (JANUARY, day(1, 1), Window(day(1, 10), day(2, 10))),  # a test clock at Stripe runs ahead of ours
        (JANUARY, day(2, 10), Window(day(2, 10), day(3, 13))),  # renewed, and not told yet: as long as before
        (JANUARY, day(3, 14), Window(day(3, 13), day(4, 13))),
        ((day(1, 1), day(1, 1)), day(1, 1), Window(day(1, 1), day(1, 1).replace(second=1))),
        (None, day(2, 28).replace(hour=9, minute=8, second=7, microsecond=6), Window(day(2, 1), day(3, 1))),
        (None, day(12, 31), Window(day(12, 1), day(1, 1, 2127))),
    ],
)
def test_the_period_of_a_moment(period, moment, expected):
    assert present(period, moment) == expected


MONTH = Window(day(1, 1), day(2, 1))
SETTLED = {
    "the first": (None, MONTH, day(1, 5), False, (MONTH, True)),
    "the same": (MONTH, MONTH, day(1, 5), False, (MONTH, False)),
    "longer": (MONTH, Window(day(1, 1), day(3, 1)), day(1, 5), False, (Window(day(1, 1), day(3, 1)), False)),
    "renewed": (MONTH, Window(day(2, 1), day(3, 1)), day(2, 1), False, (Window(day(2, 1), day(3, 1)), True)),
    "after a pause": (MONTH, Window(day(4, 7), day(5, 7)), day(4, 8), False, (Window(day(4, 7), day(5, 7)), True)),
    "begun again too early": (
        *(MONTH, Window(day(1, 5), day(2, 5)), day(1, 6), False),
        (Window(day(1, 1), day(2, 5)), False),
    ),
    "the same, looked at late": (
        *(MONTH, Window(day(1, 5), day(2, 5)), day(2, 2), False),
        (Window(day(1, 1), day(2, 5)), False),
    ),
    "bought anew": (MONTH, Window(day(1, 5), day(2, 5)), day(1, 6), True, (Window(day(1, 5), day(2, 5)), True)),
    "bought anew, of the same day": (MONTH, MONTH, day(1, 6), True, (MONTH, False)),
    "shortened": (
        *(Window(day(1, 1), day(1, 1, 2127)), Window(day(2, 1), day(3, 1)), day(2, 1), False),
        (Window(day(1, 1), day(3, 1)), False),
    ),
    "an older subscription's": (MONTH, Window(day(12, 1, 2125), day(12, 1)), day(1, 6), True, (MONTH, False)),
    "an older one's, afterwards": (
        *(MONTH, Window(day(12, 1, 2125), day(12, 1)), day(2, 1), False),
        (Window(day(2, 1), day(12, 1)), True),
    ),
}


@pytest.mark.parametrize(("before", "period", "moment", "bought", "expected"), SETTLED.values(), ids=SETTLED)
def test_the_window_that_counts(before, period, moment, bought, expected):
    assert settle(before, period, moment, bought_anew=lambda: bought) == expected


def test_whoever_changes_back_and_forth_never_begins_at_nothing_used():
    """A month, a week of another plan, and back: one window, as long as no period has run to its end."""
    window = MONTH
    for period in (Window(day(1, 5), day(1, 12)), Window(day(1, 6), day(2, 6)), Window(day(1, 7), day(1, 14))):
        window, is_new = settle(window, period, period.start, bought_anew=lambda: False)
        assert (window.start, is_new) == (day(1, 1), False)
    window, is_new = settle(window, Window(day(1, 14), day(1, 21)), day(1, 14), bought_anew=lambda: False)
    assert is_new
