"""A circuit breaker: while a service keeps failing, callers get an error at once instead of waiting for it."""

import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
"""This many failures in a row open the circuit; one success closes it."""

PAUSE_SECONDS: Final = 5.0
"""How long no call is let through, unless the service asked for longer; then one call tries."""

MOST_SECONDS: Final = 60.0


class CircuitBreaker:
    """The circuit to one service.

    Args:
        clock: seconds that only grow; by default this machine's.
    """

    def __init__(self, *, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.monotonic
        self._failures = 0
        self._shut_until = 0.0

    def retry_after(self) -> float:
        """Return the seconds until a call may be tried; 0 when it may be now. After a pause one call is let through."""
        now = self._clock()
        if now < self._shut_until:
            return self._shut_until - now
        if self._failures >= FAILURES:
            self._shut_until = now + PAUSE_SECONDS
        return 0.0

    def success(self) -> None:
        """Record that the service works."""
        self._failures = 0
        self._shut_until = 0.0

    def failure(self, retry_after: float | None = None) -> None:
        """Record that a call failed. A single one, also one that was rate limited, holds no other call up.

        Args:
            retry_after: seconds that the service asked to wait.
        """
        self._failures += 1
        if self._failures >= FAILURES:
            pause = min(max(retry_after or 0.0, PAUSE_SECONDS), MOST_SECONDS)
            self._shut_until = max(self._shut_until, self._clock() + pause)
