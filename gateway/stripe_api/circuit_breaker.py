"""A circuit breaker: while a service fails again and again, callers are told at once instead of made to wait."""

import time
from typing import Final

FAILURES: Final = 5
"""So many failures in a row open the circuit; one answer closes it."""

PAUSE_SECONDS: Final = 5.0
"""How long nobody is let through, unless the service itself asked for longer; then one call tries."""

MOST_SECONDS: Final = 60.0


class CircuitBreaker:
    """The circuit to one service."""

    def __init__(self) -> None:
        self._failures = 0
        self._shut_until = 0.0

    def retry_after(self) -> float:
        """Seconds until a call may be tried; 0 when it may be now. Whoever is let through after a pause goes alone."""
        now = time.monotonic()
        if now < self._shut_until:
            return self._shut_until - now
        if self._failures >= FAILURES:
            self._shut_until = now + PAUSE_SECONDS
        return 0.0

    def success(self) -> None:
        """The service works."""
        self._failures = 0
        self._shut_until = 0.0

    def failure(self, retry_after: float | None = None) -> None:
        """The service does not work.

        Args:
            retry_after: how long it asked to be left alone, in seconds.
        """
        self._failures += 1
        pause = retry_after or (PAUSE_SECONDS if self._failures >= FAILURES else 0.0)
        self._shut_until = max(self._shut_until, time.monotonic() + min(pause, MOST_SECONDS))
