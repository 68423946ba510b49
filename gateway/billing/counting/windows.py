"""Which period a counter counts in. Pure: no database.

A counter follows the periods of the subscription that gives its feature. A period that has run to its end is over. One
that another begins before its end (a plan of another interval, a subscription that was canceled and taken again) is
gone on with to the end of the new one: otherwise whoever changes back and forth would begin again and again at nothing
used. Anew begins only another subscription that was paid for, unless the rest of the one before was credited, and what
is paid when a trial ends early.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple


class Window(NamedTuple):
    """A time in which use counts together: from `start` up to `end`, which does not belong to it."""

    start: datetime
    end: datetime


class Settled(NamedTuple):
    """The window that counts now, and whether it is another one than before, in which nothing is counted yet."""

    window: Window
    is_new: bool


def present(period: tuple[datetime, datetime] | None, moment: datetime) -> Window:
    """Return the period in which a moment lies.

    Args:
        period: the subscription's, as it is known: while its renewal is not, the next one is as long. None is the
            calendar month, in UTC.
        moment: now.
    """
    if period is None:
        start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return Window(start, (start + timedelta(days=32)).replace(day=1))
    start, end = period[0], max(period[1], period[0] + timedelta(seconds=1))
    length = end - start
    missed = max(0, (moment - end) // length + 1)
    return Window(start + missed * length, end + missed * length)


def settle(before: Window | None, period: Window, moment: datetime, *, bought_anew: Callable[[], bool]) -> Settled:
    """Return the window that counts now.

    Args:
        before: the one in which was counted last; None where nothing was.
        period: the subscription's present period.
        moment: now.
        bought_anew: whether the period was paid for and is not what the window's was changed into; asked for where it
            matters alone.
    """
    if before is None:
        return Settled(period, is_new=True)
    if period.start < before.start:
        if moment < before.end:
            return Settled(before, is_new=False)
        return Settled(Window(before.end, period.end), is_new=True)
    if period.start >= before.end or (period.start > before.start and bought_anew()):
        return Settled(period, is_new=True)
    return Settled(Window(before.start, period.end), is_new=False)
