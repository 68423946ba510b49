"""Stripe's clock: this machine's own may be wrong, or be moved."""

import asyncio
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from gateway.db.clock import Clock
from gateway.errors import StripeFailure

MOST_SECONDS_OFF = 300
LOOK_SECONDS = 600.0
ANSWER_SECONDS = 2.0


class StripeClock:
    """Stripe's clock, as far as its answers have told."""

    def __init__(self) -> None:
        self._since_boot: float | None = None  # when this machine was started, on Stripe's clock

    def now(self) -> float:
        """Return the present moment on Stripe's clock, in Unix seconds; before the first answer it is ours."""
        return time.time() if self._since_boot is None else self._since_boot + time.monotonic()

    def learn(self, as_of: int) -> None:
        """Note the `Date` of an answer that has just come."""
        self._since_boot = as_of - time.monotonic()

    def problem(self, clock: Clock) -> str | None:
        """Return how far a clock is off, where that is more than business rules, leases and tokens can bear."""
        ahead = clock.now().timestamp() - self.now()
        if self._since_boot is None or abs(ahead) <= MOST_SECONDS_OFF:
            return None
        return (
            f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Stripe's: set it (NTP)"
        )

    async def watch(self, base: str) -> None:
        """Look what time it is at Stripe, now and every ten minutes, until cancelled.

        So that a machine whose clock is wrong says so at once, and not with its first checkout. It asks without a key
        and without the SDK, which takes a dozen megabytes: any answer has a date.

        Args:
            base: the address of Stripe's API.
        """
        while True:
            with suppress(OSError, StripeFailure):  # Stripe is away
                self.learn(await asyncio.to_thread(_ask, base))
            await asyncio.sleep(LOOK_SECONDS)


def _ask(base: str) -> int:
    """Return the date of Stripe's answer to who has no key (a 401), in Unix seconds."""
    try:
        with urlopen(f"{base}/v1/account", timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the settings check it
            return date_of(answer.headers)
    except HTTPError as refused:
        return date_of(refused.headers)


def date_of(headers: Any) -> int:
    """Return the `Date` header in Unix seconds: Stripe's clock, never ours.

    Raises:
        StripeFailure: when the answer has none, because its place in time would be a guess.
    """
    try:
        return int(parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError):
        raise StripeFailure("Stripe's answer has no usable Date header; is a proxy removing it?") from None
