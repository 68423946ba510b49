"""The pace of a checker that plays for a minute beside the other tests and takes a few seconds of CPU."""

import asyncio
import time


class Bursts:
    """Times of play, begun by all players at the same moment, and times of rest between them.

    Args:
        playing: how many seconds each burst takes.
        resting: how many seconds lie between two; 0 is play without a rest.
    """

    def __init__(self, playing: float, resting: float) -> None:
        self._playing, self._period = playing, playing + resting
        self._began = time.monotonic()

    @property
    def share(self) -> float:
        """The part of the time that is played."""
        return self._playing / self._period

    def left(self) -> float:
        """How many seconds the rest takes that is now; 0 in a burst."""
        since = (time.monotonic() - self._began) % self._period
        return 0 if since < self._playing else self._period - since

    def wait(self) -> None:
        """Wait until the next burst; not at all in one."""
        if left := self.left():
            time.sleep(left)

    async def wait_async(self) -> None:
        """The same on an event loop."""
        if left := self.left():
            await asyncio.sleep(left)


class Budget:
    """So much of a processor for this process, on the average.

    Args:
        share: of one processor; 1 is play without a rest.
        until: when nobody needs to rest any more.
    """

    def __init__(self, share: float, until: float) -> None:
        self._share, self._until = share, until
        self._began, self._used = time.monotonic(), time.process_time()

    def rest(self) -> None:
        """Rest until what was used is within the budget."""
        used = time.process_time() - self._used
        now = time.monotonic()
        time.sleep(max(0.0, min(self._began + used / self._share, self._until) - now))
