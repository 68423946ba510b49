"""The parts of Stripe's SDK that the gateway uses: its client, and its errors as the gateway's own.

It is imported with the first call to Stripe: the SDK and its two HTTP libraries take a dozen megabytes.
"""

from http import HTTPStatus

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

stripe.enable_telemetry = False  # otherwise the SDK writes a file into the home directory


class Client(stripe.StripeClient):
    """The SDK's client.

    Args:
        settings: the key, the address and the deadline.
        version: of the API.
    """

    def __init__(self, settings: Settings, version: str) -> None:
        self._http = stripe.HTTPXClient(
            timeout=min(ATTEMPT_TIMEOUT_SECONDS, settings.stripe_timeout),
            # only TLS needs the list of authorities, which takes longer to read than the rest of a start
            verify_ssl_certs=settings.stripe_api_base.startswith("https:"),
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
        await self._http.close_async()  # type: ignore[no-untyped-call]  # the SDK left it untyped


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
    return kind(message or error.user_message or "Stripe refused the request", stripe_code=code, param=param)
