"""Every failure that the gateway reports, each with a stable `code` for programs.

    GatewayError                INTERNAL
    ├── BadInput                BAD_USER_INPUT
    ├── Unauthenticated         UNAUTHENTICATED
    │   └── TokenExpired        UNAUTHENTICATED
    ├── Forbidden               FORBIDDEN
    ├── NotFound                NOT_FOUND
    ├── RateLimited             RATE_LIMITED
    ├── QueryTooComplex         QUERY_TOO_COMPLEX
    ├── DatabaseUnavailable     UNAVAILABLE
    ├── SettingsError           CONFIGURATION_ERROR
    ├── WebhookRefused          WEBHOOK_REFUSED (its `reason` is the code that Stripe gets)
    └── StripeFailure           STRIPE_ERROR
        ├── StripeUnavailable   STRIPE_UNAVAILABLE
        ├── StripeMissing       STRIPE_MISSING
        └── StripeRefused       STRIPE_REFUSED
            ├── CardRefused     CARD_REFUSED
            └── KeyReused       IDEMPOTENCY_KEY_REUSED

graphql-core copies an exception's `extensions` to the client, so `GatewayError.extensions` needs no adapter.
"""

from typing import Any, ClassVar


class GatewayError(Exception):
    """A failure with a sentence for people and a `code` for programs. The sentence may be shown to clients."""

    code: ClassVar[str] = "INTERNAL"

    @property
    def extensions(self) -> dict[str, Any]:
        """What GraphQL adds to the message: `{"code": …}`."""
        return {"code": self.code}


class BadInput(GatewayError):
    """The input cannot be used; the message says what to send instead."""

    code = "BAD_USER_INPUT"


class Unauthenticated(GatewayError):
    """The request needs a signed-in user or a service token, and has no valid one."""

    code = "UNAUTHENTICATED"


class TokenExpired(Unauthenticated):
    """The token is genuine and has expired. What is public is answered nevertheless, with this error beside."""


class Forbidden(GatewayError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


class NotFound(GatewayError):
    """There is no such object, or it belongs to somebody else: the two are answered alike."""

    code = "NOT_FOUND"


class RateLimited(GatewayError):
    """Too many requests in too short a time.

    Args:
        message: the sentence for the caller.
        retry_after: seconds until it is worth trying again; also the `Retry-After` header.
    """

    code = "RATE_LIMITED"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def extensions(self) -> dict[str, Any]:
        """The code, and after how many seconds to try again."""
        return {"code": self.code, "retryAfter": self.retry_after}


class QueryTooComplex(GatewayError):
    """The GraphQL document asks for more than one request may cost."""

    code = "QUERY_TOO_COMPLEX"


class DatabaseUnavailable(GatewayError):
    """The gateway's own database cannot be reached, or is not migrated."""

    code = "UNAVAILABLE"


class SettingsError(GatewayError):
    """A setting is missing or wrong. The message is one line that names it and says what to do."""

    code = "CONFIGURATION_ERROR"


class WebhookRefused(GatewayError):
    """A webhook delivery that is not a genuine Stripe event; answered 400 with `reason` as its code.

    Args:
        reason: a stable code such as `signature_missing`, `signature_invalid`, `timestamp_outside_tolerance`,
            `body_not_json`, `not_an_event`.
        message: the sentence for the operator who reads Stripe's delivery log.
    """

    code = "WEBHOOK_REFUSED"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StripeFailure(GatewayError):
    """Stripe answered with an error that the operator must fix (a bad key, a wrong call).

    Args:
        message: a sentence that is safe to show (no key, no internals).
        stripe_code: Stripe's own `error.code`, when it gave one.
        param: the request parameter that Stripe names, when it names one.
        replayed: whether this is the saved answer to an earlier call with the same idempotency key.
    """

    code = "STRIPE_ERROR"

    def __init__(
        self, message: str, *, stripe_code: str | None = None, param: str | None = None, replayed: bool = False
    ) -> None:
        super().__init__(message)
        self.stripe_code = stripe_code
        self.param = param
        self.replayed = replayed


class StripeUnavailable(StripeFailure):
    """Stripe could not be reached, was too slow, limited the rate, or failed on its side."""

    code = "STRIPE_UNAVAILABLE"


class StripeMissing(StripeFailure):
    """Stripe knows no such object (`resource_missing`)."""

    code = "STRIPE_MISSING"


class StripeRefused(StripeFailure):
    """Stripe refused this request for what it asks (a card declined, an invalid parameter)."""

    code = "STRIPE_REFUSED"


class CardRefused(StripeRefused):
    """The payment was declined, or the bank wants a confirmation; nothing was changed."""

    code = "CARD_REFUSED"


class KeyReused(StripeRefused):
    """The idempotency key was used before, with other parameters."""

    code = "IDEMPOTENCY_KEY_REUSED"
