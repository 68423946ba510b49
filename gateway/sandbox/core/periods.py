"""Pure calendar arithmetic: billing periods on an anchor. Times are UTC Unix seconds.

Stripe: "Billing cycle anchor". A period always counts from the anchor, so that a subscription that began on the
31st bills on 28 February and on 31 March again.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE, HOUR, DAY = 60, 3_600, 86_400
WEEK = 7 * DAY
# A month or a year has no fixed number of seconds: these count in months.
MONTHS = {"month": 1, "year": 12}
SECONDS = {"day": DAY, "week": WEEK}
# The mean Gregorian month, only to guess how many periods lie between two times.
MEAN_MONTH = 2_629_746


def shifted(anchor: int, interval: str, count: int) -> int:
    """Return `anchor` moved by `count` intervals (negative: back); a month that is too short gives its last day."""
    if interval in SECONDS:
        return anchor + count * SECONDS[interval]
    start = datetime.fromtimestamp(anchor, UTC)
    months = start.year * 12 + start.month - 1 + count * MONTHS[interval]
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def period_at(anchor: int, interval: str, interval_count: int, at: int) -> tuple[int, int]:
    """Return the billing period (start, end) that contains the time `at`; `anchor` may lie before or after it."""
    length = SECONDS[interval] if interval in SECONDS else MEAN_MONTH * MONTHS[interval]
    number = (at - anchor) // (length * interval_count)
    while shifted(anchor, interval, number * interval_count) > at:
        number -= 1
    while shifted(anchor, interval, (number + 1) * interval_count) <= at:
        number += 1
    return (
        shifted(anchor, interval, number * interval_count),
        shifted(anchor, interval, (number + 1) * interval_count),
    )


def anchored(config: Mapping[str, Any], interval: str, after: int) -> int:
    """Return the first time from `after` on that a `billing_cycle_anchor_config` describes.

    Hour, minute and second that are not given are those of `after`; `month` counts only for yearly prices.
    """
    start = datetime.fromtimestamp(after, UTC)
    clock = [config.get(unit) for unit in ("hour", "minute", "second")]
    if all(part is None for part in clock):
        clock = [start.hour, start.minute, start.second]
    yearly = interval == "year" and config.get("month")
    step = MONTHS["year"] if yearly else MONTHS["month"]
    first = start.year * 12 + (int(config["month"]) if yearly else start.month) - 1
    for months in (first, first + step, first + 2 * step):
        year, month = divmod(months, 12)
        day = min(int(config["day_of_month"]), calendar.monthrange(year, month + 1)[1])
        hour, minute, second = (int(part or 0) for part in clock)
        moment = int(datetime(year, month + 1, day, hour, minute, second, tzinfo=UTC).timestamp())
        if moment >= after:
            return moment
    raise AssertionError("one of three successive months lies ahead")


def shortest(intervals: list[tuple[str, int]]) -> tuple[str, int]:
    """Return the shortest of several (interval, interval_count): it sets the rhythm of a subscription's invoices."""
    length = {**SECONDS, "month": MEAN_MONTH, "year": 12 * MEAN_MONTH}
    return min(intervals, key=lambda pair: length[pair[0]] * pair[1])


def day_name(at: int) -> str:
    """Return `at` as Stripe writes it on an invoice line: "23 Nov 2026"."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {calendar.month_abbr[moment.month]} {moment.year}"
