"""What is remembered of who may use what, for as long as the gateway is away."""

import logging
import time
from collections.abc import Callable
from threading import Lock

log = logging.getLogger(__name__)


class Decisions:
    """The last decisions, and whether it is worth asking for new ones.

    Args:
        pause_seconds: for how long nobody is asked after the gateway did not answer.
        otherwise: what holds for whom nothing is known.
        most: how many decisions are remembered; the oldest goes first.
        clock: in seconds.
    """

    def __init__(
        self,
        pause_seconds: float,
        *,
        otherwise: bool,
        most: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pause_seconds = pause_seconds
        self._otherwise = otherwise
        self._most = most
        self._clock = clock
        self._away_until = float("-inf")
        self._last: dict[tuple[str, str], bool] = {}
        self._lock = Lock()

    def may_ask(self) -> bool:
        """Whether the gateway was there when it was last asked, or that was a while ago."""
        return self._clock() >= self._away_until

    def away(self, why: object) -> None:
        """Note that the gateway did not answer, and say so: a wrong address would let everybody in unnoticed."""
        if self.may_ask():
            unknown = "let in" if self._otherwise else "refused"
            log.warning("the gateway does not answer (%s): what it said last holds, and others are %s", why, unknown)
        self._away_until = self._clock() + self._pause_seconds

    def note(self, user: str, feature: str, *, allowed: bool) -> None:
        """Remember what the gateway answered."""
        with self._lock:
            self._last.pop((user, feature), None)
            if len(self._last) >= self._most:
                del self._last[next(iter(self._last))]
            self._last[user, feature] = allowed

    def last(self, user: str, feature: str) -> bool:
        """Return what the gateway answered last, or the default where it never did."""
        return self._last.get((user, feature), self._otherwise)
