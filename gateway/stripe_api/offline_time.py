"""Follow the time of an offline Stripe: where it was moved, business rules see the moved time.

Nobody can move the time of a gateway that takes money: `STRIPE_API_BASE` must be another address than Stripe's, which
the settings refuse together with a live key, and what answers there must call itself the offline Stripe, by a header
that Stripe does not have.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.db.clock import Clock
from gateway.settings import Settings

if TYPE_CHECKING:
    import httpx

HEADER = "offline-stripe-ahead"
"""How many seconds the offline Stripe's time is ahead of its machine's (`gateway/sandbox/api/pipeline.py`)."""
_SECONDS = re.compile(r"-?\d{1,10}")
PATH = "/_sandbox/clock"
LOOK_SECONDS = 1.0
"""Between two looks at the offline Stripe's time: that it was moved over a stretch without events, nothing tells."""


class OfflineTime:
    """Moves a clock as the offline Stripe says.

    Args:
        settings: where Stripe is.
        clock: the clock of business rules.
        transport: how requests are sent; by default over the network.
    """

    def __init__(self, settings: Settings, clock: Clock, transport: "httpx.AsyncBaseTransport | None" = None) -> None:
        self._base = settings.stripe_api_base if settings.stripe_mode == "offline" else None
        self._clock = clock
        self._transport = transport

    def note(self, headers: Mapping[str, str]) -> bool:
        """Take the time from an answer; whether it is one of an offline Stripe."""
        ahead = headers.get(HEADER, "")
        if self._base is None or not _SECONDS.fullmatch(ahead):
            return False
        self._clock.follow(int(ahead))
        return True

    def note_delivery(self, header: str) -> None:
        """Take the time from a genuine delivery of an event, as its header has it (empty: none).

        It says what time it is for everybody; the event's own `created` is the time of its customer's test clock. A
        delivery may have been on its way for long, and so moves the time only forward.
        """
        if self._base and _SECONDS.fullmatch(header) and int(header) > self._clock.ahead.total_seconds():
            self._clock.follow(int(header))

    async def run(self) -> None:
        """Look at the time again and again, until cancelled; return where no offline Stripe answers."""
        if self._base is None:
            return
        import httpx  # noqa: PLC0415 - a gateway that sells has no use for it

        verify = self._base.startswith("https:")  # only TLS needs the list of authorities, which takes 3 MB
        client = httpx.AsyncClient(base_url=self._base, timeout=LOOK_SECONDS, transport=self._transport, verify=verify)
        async with client as http:
            while True:
                try:
                    if not self.note((await http.get(PATH)).headers):
                        return
                except httpx.HTTPError:
                    pass  # it may come back
                await asyncio.sleep(LOOK_SECONDS)
