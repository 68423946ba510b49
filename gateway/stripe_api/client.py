"""The only caller of Stripe: pinned API version, one deadline, typed failures."""

import asyncio
import copy
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from gateway.db.clock import Clock
from gateway.errors import StripeFailure, StripeUnavailable
from gateway.observability import metrics, tracing
from gateway.settings import Settings
from gateway.settings.variables import LIVE_KEY
from gateway.stripe_api.circuit_breaker import CircuitBreaker
from gateway.stripe_api.offline_time import OfflineTime
from gateway.stripe_api.stripe_clock import StripeClock, date_of

if TYPE_CHECKING:
    import httpx

    from gateway.stripe_api.sdk import Client

API_VERSION = "2026-10-28.endive"
"""The version whose shapes the gateway asks for and reads; the SDK is pinned to the same."""


@dataclass(frozen=True, slots=True)
class StripeResponse:
    """What Stripe answered.

    Args:
        object: the JSON object.
        as_of: the moment of the answer on Stripe's clock, in Unix seconds (its `Date` header).
        staleness_seconds: how many seconds before `as_of` the state may have been read (the duration of the call).
        replayed: whether this is the saved answer to an earlier call with the same idempotency key; its state is
            then as old as that call and must not be stored as the present one.
        account: the connected account that was asked; None for our own.
    """

    object: dict[str, Any]
    as_of: int
    staleness_seconds: int
    replayed: bool
    account: str | None = None


class Stripe:
    """Calls to Stripe. One instance for a process, closed at its end.

    Args:
        settings: the key, the address and the deadline.
        clock: the time of business rules, which follows an offline Stripe and nothing else.
        breaker: spares a Stripe that keeps failing; by default one of its own.
        transport: how requests are sent; by default over the network.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        *,
        breaker: CircuitBreaker | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self.account: str | None = None
        self.clock = StripeClock()
        self.offline_time = OfflineTime(settings, clock or Clock(), transport)
        self.livemode = bool(LIVE_KEY.match(settings.require_stripe()))
        self._deadline = settings.stripe_timeout
        self._breaker = breaker or CircuitBreaker()
        # made when something is first asked of Stripe, and shared with all that `on_behalf_of` gives
        self._client = cache(lambda: _client(settings, transport))

    def on_behalf_of(self, account: str) -> Self:
        """Return the same client, speaking for a connected account."""
        other = copy.copy(self)
        other.account = account
        return other

    async def get(self, path: str, **params: Any) -> StripeResponse:
        """Read an object or a page of a list, such as `/v1/products`.

        Raises:
            StripeMissing: there is no such object.
            StripeUnavailable: Stripe cannot be reached or was too slow.
            StripeFailure: any other refusal.
        """
        return await self._call("get", path, params)

    async def post(self, path: str, *, idempotency_key: str, **params: Any) -> StripeResponse:
        """Create or change an object.

        Args:
            path: such as `/v1/checkout/sessions`.
            idempotency_key: the same key and parameters give the same object, however often they are sent; v1 keeps
                them for at least 24 h.
            params: Stripe's parameters.

        Raises:
            StripeRefused: Stripe will not do this.
            StripeMissing: an object that the call names does not exist.
            StripeUnavailable: Stripe cannot be reached or was too slow.
        """
        return await self._call("post", path, {**params, "idempotency_key": idempotency_key})

    async def delete(self, path: str, **params: Any) -> StripeResponse:
        """Delete or cancel an object. It takes no idempotency key: whoever deletes twice finds it gone.

        Raises:
            StripeMissing: there is no such object (any more).
            StripeRefused: Stripe will not do this.
            StripeUnavailable: Stripe cannot be reached or was too slow.
        """
        return await self._call("delete", path, params)

    async def close(self) -> None:
        """Close the connections."""
        if self._client.cache_info().currsize:
            await self._client().close()

    async def _call(self, method: str, path: str, params: dict[str, Any]) -> StripeResponse:
        with tracing.span(f"stripe {method}", kind="CLIENT", path=path, account=self.account) as note:
            answer, request_id = await self._measured(method, path, params)
            note(**{"stripe.request_id": request_id, "replayed": answer.replayed})
            return answer

    async def _measured(self, method: str, path: str, params: dict[str, Any]) -> tuple[StripeResponse, str | None]:
        """Return the answer, and the id under which Stripe's own log has the request."""
        from gateway.stripe_api import sdk as stripe_sdk

        started = time.monotonic()
        if self._breaker.retry_after():
            metrics.STRIPE_CALLS.labels(method, "spared").inc()
            raise StripeUnavailable("Stripe is failing at the moment; try again in some seconds")
        try:
            async with asyncio.timeout(self._deadline):
                params = {**params, "stripe_account": self.account} if self.account else params
                response = await self._client().raw_request_async(method, path, **params)
        except TimeoutError:
            metrics.STRIPE_CALLS.labels(method, "timeout").inc()
            self._breaker.failure()
            raise StripeUnavailable("Stripe did not answer in time; try again") from None
        except stripe_sdk.StripeError as error:
            metrics.STRIPE_CALLS.labels(method, type(error).__name__).inc()
            refused = stripe_sdk.failure(error)
            with suppress(StripeFailure):  # no answer at all has none
                self._learn(error.headers or {})
            if isinstance(refused, StripeUnavailable):
                self._breaker.failure(stripe_sdk.retry_after(error))
            else:
                self._breaker.success()  # a refusal is an answer
            raise refused from error
        self._breaker.success()
        as_of = self._learn(response.headers)
        metrics.STRIPE_CALLS.labels(method, "ok").inc()
        metrics.STRIPE_SECONDS.observe(time.monotonic() - started)
        answer = StripeResponse(
            object=response.data,
            as_of=as_of,
            staleness_seconds=math.ceil(time.monotonic() - started),
            replayed=response.headers.get("idempotent-replayed") == "true",
            account=self.account,
        )
        return answer, response.headers.get("request-id")

    def _learn(self, headers: Any) -> int:
        """Note what an answer says of the time, and return its date.

        Raises:
            StripeFailure: it has no date.
        """
        self.offline_time.note(headers)
        as_of = date_of(headers)
        self.clock.learn(as_of)
        return as_of


def _client(settings: Settings, transport: "httpx.AsyncBaseTransport | None") -> "Client":
    from gateway.stripe_api import sdk as stripe_sdk

    return stripe_sdk.Client(settings, API_VERSION, transport)
