"""Billing periods on an anchor, by hand and from a calendar."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox.core import periods


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def day(seconds):
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def test_a_subscription_of_the_31st_bills_on_the_last_day_of_short_months():
    """docs.stripe.com/billing/subscriptions/billing-cycle: the last day where the month lacks the anchor's."""
    anchor = at("2026-01-31T12:00:00")
    months = [day(periods.shifted(anchor, "month", count)) for count in range(1, 5)]
    assert months == ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]


def test_a_leap_days_year_ends_on_28_february_and_meets_the_29th_again():
    anchor = at("2024-02-29T00:00:00")
    years = [day(periods.shifted(anchor, "year", count)) for count in (1, 4)]
    assert years == ["2025-02-28", "2028-02-29"]


@pytest.mark.parametrize(
    ("interval", "count", "start", "end"),
    [
        ("day", 10, "2026-11-20", "2026-11-30"),
        ("week", 2, "2026-11-15", "2026-11-29"),
        ("month", 3, "2026-11-01", "2027-02-01"),
        ("year", 1, "2026-11-01", "2027-11-01"),
    ],
)
def test_the_period_that_contains_a_time_counts_from_the_anchor(interval, count, start, end):
    anchor = {"day": "2026-10-31", "week": "2026-11-01"}.get(interval, "2026-11-01") + "T00:00:00"
    found = periods.period_at(at(anchor), interval, count, at("2026-11-23T10:00:00"))
    assert (day(found[0]), day(found[1])) == (start, end)


def test_an_anchor_in_the_future_makes_the_period_before_it():
    found = periods.period_at(at("2026-12-15T00:00:00"), "month", 1, at("2026-11-23T00:00:00"))
    assert (day(found[0]), day(found[1])) == ("2026-11-15", "2026-12-15")


def test_a_period_starts_at_its_boundary_and_not_a_second_earlier():
    anchor = at("2026-01-31T00:00:00")
    assert day(periods.period_at(anchor, "month", 1, at("2026-02-28T00:00:00"))[0]) == "2026-02-28"
    assert day(periods.period_at(anchor, "month", 1, at("2026-02-27T23:59:59"))[0]) == "2026-01-31"


def test_an_anchor_is_configured_by_day_of_month_and_time():
    after = at("2026-11-23T10:30:00")
    assert periods.anchored({"day_of_month": 1}, "month", after) == at("2026-12-01T10:30:00")
    assert periods.anchored({"day_of_month": 31, "hour": 0}, "month", after) == at("2026-11-30T00:00:00")
    assert periods.anchored({"day_of_month": 15, "month": 3}, "year", after) == at("2027-03-15T10:30:00")


def test_the_shortest_interval_sets_the_rhythm():
    assert periods.shortest([("year", 1), ("month", 3), ("week", 12)]) == ("week", 12)


@given(
    st.integers(0, 4_000_000_000),
    st.sampled_from(["day", "week", "month", "year"]),
    st.integers(1, 12),
    st.integers(0, 4_000_000_000),
)
def test_every_time_lies_in_its_period_and_periods_meet(anchor, interval, count, time):
    start, end = periods.period_at(anchor, interval, count, time)
    assert start <= time < end
    assert periods.period_at(anchor, interval, count, end)[0] == end
