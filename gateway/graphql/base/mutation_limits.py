"""The rate limits of GraphQL: for requests, and for each mutation by itself, so that six aliases count as six."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from inspect import isawaitable
from typing import Any

from graphql import GraphQLSchema, default_field_resolver
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.authenticator import Authenticator
from gateway.errors import RateLimited
from gateway.http.rate_limit import Rates

CHECKOUT = "createCheckoutSession"


def limit_mutations(core: GraphQLSchema) -> None:
    """Count every mutation before anything else is done for it.

    Args:
        core: the schema, which is changed.
    """
    for name, field in core.mutation_type.fields.items() if core.mutation_type else ():
        field.resolve = _counted(field.resolve or default_field_resolver, is_checkout=name == CHECKOUT)


def _counted(inner: Callable[..., Any], *, is_checkout: bool) -> Callable[..., Awaitable[Any]]:
    async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        context = info.context
        rates: Rates = context.services.rates
        await (rates.checkout if is_checkout else rates.change)(context.principal, context.address)
        answer = inner(source, info, **arguments)
        return await answer if isawaitable(answer) else answer

    return resolve


class Throttle:
    """ASGI middleware that counts the requests of an address to one path, WebSockets too, before anything is read.

    Args:
        app: the application.
        path: the path whose requests are counted.
        rates: the counters.
        authenticator: recognizes the application's own back end, which is not limited.
    """

    def __init__(self, app: ASGIApp, path: str, rates: Rates, authenticator: Authenticator) -> None:
        self._app = app
        self._path = path
        self._rates = rates
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 429."""
        if scope["type"] != "lifespan" and scope["path"] == self._path:
            try:
                if not self._authenticator.is_service(authorization_of(scope)):
                    await self._rates.request(address_of(scope))
            except RateLimited as error:
                body = {"errors": [{"message": str(error), "extensions": error.extensions}]}
                headers = {"Retry-After": str(error.retry_after), "Cache-Control": "private, no-store"}
                refusal = JSONResponse(body, HTTPStatus.TOO_MANY_REQUESTS, headers)
                await refusal(scope, receive, send)  # this refuses a WebSocket too
                return
        await self._app(scope, receive, send)


def address_of(scope: Scope) -> str | None:
    """Return the client's address, as trusted proxies give it."""
    client = scope.get("client")
    return client[0] if client else None


def authorization_of(scope: Scope) -> str | None:
    """Return the first `Authorization` header."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value, "latin-1")
    return None
