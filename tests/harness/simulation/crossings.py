"""Where a process meets what outlives it: each such crossing may be its last, take long, or fail."""

import asyncio
import random
from collections.abc import Callable
from typing import NamedTuple

from harness.simulation.chance import Troubles
from harness.simulation.loop import Host

AWAY = (0.5, 5.0)
"""For how many seconds somebody is away."""


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
        on_end: told when it is told to end here.

    Attributes:
        writers: how many transactions the process begins at a time.
        unfinished: how many readings and transactions it has begun or is to begin.
    """

    writers = 1
    unfinished = 0

    def __init__(
        self,
        host: Host,
        dice: random.Random,
        troubles: Troubles,
        on_crash: Callable[[Host], None] = lambda _: None,
        on_end: Callable[[Host], None] = lambda _: None,
    ) -> None:
        self.host, self.troubles = host, troubles
        self._dice, self._on_crash, self._on_end = dice, on_crash, on_end
        self._back_at = troubles.back_at

    def happens(self, likelihood: float) -> bool:
        """Throw the dice."""
        return likelihood > 0 and self._dice.random() < likelihood

    def is_away(self, whom: str, likelihood: float) -> bool:
        """Return whether nobody reaches `whom`; that may begin now, for everybody."""
        now = asyncio.get_running_loop().time()
        if self.happens(likelihood):
            self._back_at[whom] = now + self._dice.uniform(*AWAY)
        return likelihood > 0 and now < self._back_at.get(whom, 0.0)

    def delay(self, pace: Pace, likelihood: float) -> float:
        """Return how long something takes: mostly it is quick, slow with a likelihood, and of that seldom very slow."""
        if not self.happens(likelihood):
            return self._dice.uniform(*pace.quick)
        return self._dice.uniform(*(pace.slowest if self.happens(self.troubles.slowest) else pace.slow))

    def survived(self) -> bool:
        """Return whether the process goes on; it may die here, or be told to end."""
        if self.host.alive and self.happens(self.troubles.crash):
            self._on_crash(self.host)
        if self.host.alive and self.happens(self.troubles.replaced):
            self._on_end(self.host)
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
