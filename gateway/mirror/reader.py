"""Read long lists from Stripe: below its rate limits, and retrying through a short outage."""

import asyncio
import copy
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from gateway.errors import StripeUnavailable
from gateway.stripe_api.client import Stripe, StripeResponse

PAGE = 100
RETRY_AFTER_SECONDS = (1, 2, 4, 8, 16)
LIVE_CALLS_A_SECOND = 80  # Stripe's limit is 100, and 25 in test mode; the rest is for everybody else
TEST_CALLS_A_SECOND = 20


class Reader:
    """Reads from Stripe, paced and patient.

    Args:
        stripe: the client.
        retry_after: the pauses in seconds between attempts while Stripe cannot be reached.
        calls_a_second: at most; None for what is left of Stripe's own limits.
    """

    def __init__(
        self,
        stripe: Stripe,
        retry_after: Sequence[float] = RETRY_AFTER_SECONDS,
        *,
        calls_a_second: int | None = None,
    ) -> None:
        self.stripe = stripe
        self._retry_after = retry_after
        by_default = LIVE_CALLS_A_SECOND if stripe.livemode else TEST_CALLS_A_SECOND
        self._calls: deque[float] = deque(maxlen=calls_a_second or by_default)

    @property
    def account(self) -> str | None:
        """The connected account that is spoken for; None for our own."""
        return self.stripe.account

    def on_behalf_of(self, account: str) -> Self:
        """Return the same reader, with its limit, speaking for a connected account."""
        other = copy.copy(self)
        other.stripe = self.stripe.on_behalf_of(account)
        return other

    async def get(self, path: str, **params: Any) -> StripeResponse:
        """Read an object or a page, and retry for half a minute while Stripe cannot be reached or asks for a pause.

        Raises:
            StripeUnavailable: Stripe stays out of reach.
            StripeFailure: any other refusal.
        """
        for pause in self._retry_after:
            await self._wait_for_slot()
            try:
                return await self.stripe.get(path, **params)
            except StripeUnavailable:
                await asyncio.sleep(pause)
        await self._wait_for_slot()
        return await self.stripe.get(path, **params)

    async def pages(self, path: str, **params: Any) -> AsyncIterator[StripeResponse]:
        """Yield every page of a list, from the newest object to the oldest."""
        after: dict[str, str] = {}
        more = True
        while more:
            answer = await self.get(path, limit=PAGE, **params, **after)
            yield answer
            more = answer.object["has_more"]
            after = {"starting_after": answer.object["data"][-1]["id"]} if more else {}

    async def _wait_for_slot(self) -> None:
        """Wait until this call is one of no more than the limit within any second."""
        now = time.monotonic()
        due = max(now, self._calls[0] + 1) if len(self._calls) == self._calls.maxlen else now
        self._calls.append(due)
        await asyncio.sleep(due - now)
