"""Stripe's errors: HTTP status, `type`, `code`, `param` and a message in Stripe's own words.

Source: https://docs.stripe.com/api/errors and https://docs.stripe.com/error-codes.
"""

from __future__ import annotations

from typing import Any

INVALID_REQUEST = "invalid_request_error"


class StripeError(Exception):
    """An answer that refuses a request; `extra` are further members of the error body (e.g. `payment_intent`).

    A declined payment must keep what it changed, so `keep=True` lets the request's transaction commit.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = INVALID_REQUEST,
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.keep = keep
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the answer."""
        error: dict[str, Any] = {"message": self.message, "type": self.type}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        return {"error": dict(sorted({**error, **self.extra}.items()))}


def resource_missing(noun: str, id: str, param: str = "id", status: int | None = None) -> StripeError:
    """Refuse an id that leads nowhere: one in the URL with 404, one in a parameter with 400.

    Args:
        noun: How errors call the kind of object.
        id: What was asked for.
        param: The parameter that has it, or how the API calls this part of the path.
        status: The HTTP status; None takes `param="id"` for a path and all others for parameters.
    """
    status = status or (404 if param == "id" else 400)
    return StripeError(f"No such {noun}: '{id}'", status=status, code="resource_missing", param=param)


def parameter_missing(param: str) -> StripeError:
    """Refuse a request without a required parameter."""
    return StripeError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def parameter_unknown(param: str, suggestion: str | None = None) -> StripeError:
    """Refuse a parameter that this call does not have."""
    hint = f". Did you mean {suggestion}?" if suggestion else ""
    return StripeError(f"Received unknown parameter: {param}{hint}", code="parameter_unknown", param=param)


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """Refuse a request that makes no sense in the present state."""
    return StripeError(message, param=param, code=code)


def unauthorized(message: str) -> StripeError:
    """Refuse a request without a usable API key."""
    return StripeError(message, status=401)


def unrecognized_url(method: str, path: str) -> StripeError:
    """Refuse a path that Stripe (or this sandbox) does not have."""
    return StripeError(
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
        status=404,
    )


def rate_limited() -> StripeError:
    """Refuse one of too many requests at once; Stripe asks clients to retry."""
    return StripeError(
        "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        status=429,
        code="rate_limit",
    )
