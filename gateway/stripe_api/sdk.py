"""The parts of Stripe's SDK that the gateway uses: its client, and its errors as the gateway's own.

It is imported with the first call to Stripe: the SDK and its two HTTP libraries take a dozen megabytes.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import httpx
import stripe
from stripe import StripeError

from gateway.errors import (
    CardRefused,
    KeyReused,
    StripeFailure,
    StripeMissing,
    StripeRefused,
    StripeUnavailable,
)
from gateway.settings import Settings

__all__ = ["FAILURES", "Client", "StripeError", "failure", "retry_after"]

NETWORK_RETRIES = 2
ATTEMPT_TIMEOUT_SECONDS = 6.0
CONNECTIONS = 100

stripe.enable_telemetry = False  # otherwise the SDK writes a file into the home directory


@cache
def _trusts_nobody() -> ssl.SSLContext:
    """Return what connections are made with of which none speaks TLS."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _Http(stripe.HTTPXClient):
    """The SDK's HTTP client over connections of which each has a client of its own; the last used is used next.

    One client for all of them would look at every connection for each call that begins, ends or waits: with 300 calls
    at once that took most of a checkout's CPU. And httpx keeps no more than 20 open.
    """

    def __init__(
        self,
        *,
        timeout: float,
        verify: bool,
        transport: httpx.AsyncBaseTransport | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        super(stripe.HTTPXClient, self).__init__(verify_ssl_certs=False)  # its own makes a client that nobody uses
        self._timeout = timeout
        # one for all connections: httpx would make one for each
        self._context = ssl.create_default_context(cafile=stripe.ca_bundle_path) if verify else _trusts_nobody()
        self._free = asyncio.Semaphore(connections)
        self._idle: list[httpx.AsyncClient] = []
        self._is_closed = False
        self._transport = transport

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send a request when a connection is free."""
        given, options = self._get_request_args_kwargs(method, url, headers, post_data)
        async with self._free:
            client = self._idle.pop() if self._idle else self._new_client()
            try:
                response = await client.request(*given, **options)
            except Exception as error:  # noqa: BLE001 - as the SDK's own does, which says what may be tried again
                self._handle_request_error(error)
            finally:
                self._idle.append(client)
                if self._is_closed:  # while it was under way
                    await client.aclose()
        del response.stream  # it knows its response: the body would stay until the collector looks
        return response.content, response.status_code, response.headers

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=self._context, transport=self._transport)

    async def close_async(self) -> None:
        """Close the connections, those of requests that are under way as soon as they end."""
        self._is_closed = True
        for client in self._idle:
            await client.aclose()

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Wait before the next try."""
        return asyncio.sleep(secs)


class Client(stripe.StripeClient):
    """The SDK's client.

    Args:
        settings: the key, the address and the deadline.
        version: of the API.
        transport: how requests are sent; by default over the network.
    """

    def __init__(self, settings: Settings, version: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = _Http(
            timeout=min(ATTEMPT_TIMEOUT_SECONDS, settings.stripe_timeout),
            # only TLS needs the list of authorities, which takes longer to read than the rest of a start
            verify=settings.stripe_api_base.startswith("https:"),
            transport=transport,
        )
        super().__init__(
            settings.require_stripe(),
            stripe_version=version,
            base_addresses={"api": settings.stripe_api_base},
            http_client=self._http,
            max_network_retries=NETWORK_RETRIES,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()


def retry_after(error: StripeError) -> float | None:
    """Return how many seconds Stripe asks to wait; None when it does not say."""
    try:
        return float((error.headers or {})["retry-after"])
    except (KeyError, ValueError):
        return None


# By who can fix it: nobody, so try again (StripeUnavailable); the caller (StripeRefused); the operator (StripeFailure).
# The first class that fits counts; the last fits all.
FAILURES: tuple[tuple[type[StripeError], type[StripeFailure], str | None], ...] = (
    (stripe.APIConnectionError, StripeUnavailable, "Stripe cannot be reached; try again"),
    (stripe.RateLimitError, StripeUnavailable, "Stripe is limiting our calls; try again in a moment"),
    (stripe.APIError, StripeUnavailable, "Stripe failed on its side; try again"),
    (stripe.AuthenticationError, StripeFailure, "Stripe refuses the gateway's key; run `gateway doctor`"),
    (stripe.PermissionError, StripeFailure, "Stripe refuses the gateway's key; run `gateway doctor`"),
    (stripe.InvalidRequestError, StripeRefused, None),
    (stripe.CardError, CardRefused, None),
    (stripe.IdempotencyError, KeyReused, None),
    (StripeError, StripeFailure, "Stripe answered with an error"),
)


def failure(error: StripeError) -> StripeFailure:
    """Return the gateway's error for one of the SDK's. It never carries the key or the request.

    Args:
        error: what the SDK raised. Stripe's own message is passed on only where the caller can fix the problem.
    """
    body = getattr(error, "error", None)
    code = getattr(error, "code", None) or getattr(body, "code", None)
    param = getattr(error, "param", None) or getattr(body, "param", None)
    if code == "resource_missing":
        return StripeMissing("Stripe knows no such object", stripe_code=code, param=param)
    if (error.http_status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StripeUnavailable("Stripe failed on its side; try again", stripe_code=code)
    kind, message = next((kind, message) for sdk, kind, message in FAILURES if isinstance(error, sdk))
    said = message or error.user_message or "Stripe refused the request"
    replayed = (error.headers or {}).get("idempotent-replayed") == "true"
    return kind(said, stripe_code=code, param=param, replayed=replayed)
