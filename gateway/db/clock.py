"""The time of business rules: when a grace period, credits or a trial end.

It is this machine's. Where the offline Stripe plays time, it is the offline Stripe's, so that what time alone does can
be tried out. What guards the machine itself (leases, rate limits, tokens, signatures) keeps the machine's time.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

CLOCK = "gateway.clock"
"""Where a connection keeps the clock of its database."""


class Clock:
    """The present moment, as business rules see it. One instance for a process (`gateway/runtime.py`)."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._sleepers: set[asyncio.Event] = set()

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.now(UTC) + self._ahead

    @property
    def ahead(self) -> timedelta:
        """How far it is ahead of this machine's time (behind, where it is below zero)."""
        return self._ahead

    def follow(self, seconds: int) -> None:
        """Run so many seconds ahead of this machine's time, as the offline Stripe does."""
        ahead = timedelta(seconds=seconds)
        if ahead != self._ahead:
            self._ahead = ahead
            for moved in self._sleepers:
                moved.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep so many of this machine's seconds, or until the clock is moved."""
        moved = asyncio.Event()
        self._sleepers.add(moved)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), seconds)
        finally:
            self._sleepers.discard(moved)


_OF_THE_MACHINE = Clock()


def now(connection: sa.Connection) -> datetime:
    """Return the present moment on the clock of a connection's database; without one it is this machine's."""
    clock: Clock = connection.info.get(CLOCK, _OF_THE_MACHINE)
    return clock.now()
