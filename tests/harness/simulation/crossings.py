"""Where a process meets what outlives it: each such crossing may be its last, take long, or fail."""

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

from harness.simulation.chance import Troubles
from harness.simulation.loop import Host


class Pace(NamedTuple):
    """How many seconds something takes, from and to."""

    quick: tuple[float, float]
    slow: tuple[float, float]
    slowest: tuple[float, float]


class Crossings:
    """The crossings of one process.

    Args:
        host: where it runs.
        dice: of the history.
        troubles: how likely what is.
        on_crash: told when the process dies here.
    """

    def __init__(self, host: Host, dice: random.Random, troubles: Troubles, on_crash: Callable[[Host], None]) -> None:
        self.host, self.troubles = host, troubles
        self._dice, self._on_crash = dice, on_crash

    def happens(self, likelihood: float) -> bool:
        """Throw the dice."""
        return likelihood > 0 and self._dice.random() < likelihood

    def delay(self, pace: Pace, likelihood: float) -> float:
        """Return how long something takes: mostly it is quick, slow with a likelihood, and of that seldom very slow."""
        if not self.happens(likelihood):
            return self._dice.uniform(*pace.quick)
        return self._dice.uniform(*(pace.slowest if self.happens(0.04) else pace.slow))

    def survived(self) -> bool:
        """Return whether the process goes on; it may die here."""
        if self.host.alive and self.happens(self.troubles.crash):
            self._on_crash(self.host)
        return self.host.alive

    async def cross(self, seconds: float) -> None:
        """Pass some time on the way to another machine.

        Raises:
            CancelledError: the process died.
        """
        if self.survived():
            await asyncio.sleep(seconds)
        if not self.survived():
            raise asyncio.CancelledError

    def note_commit(self) -> None:
        """Be told that something may have been written."""
