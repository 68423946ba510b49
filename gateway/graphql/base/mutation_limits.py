"""The rate limits of GraphQL: every request; every mutation, and every query that calls Stripe, by itself, so that six
aliases count as six, by HTTP and by WebSocket.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from inspect import isawaitable
from typing import Any, Final

from graphql import GraphQLObjectType, GraphQLSchema, default_field_resolver
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.authenticator import Authenticator
from gateway.errors import RateLimited
from gateway.http.rate_limit import RateLimiter

CHECKOUT: Final = "createCheckoutSession"
STRIPE_READS: Final = {"Query.session": 1, "Subscription.sessionUpdated": 1, "Viewer.previewChange": 3}
"""The fields beside mutations that may call Stripe, and how often each does."""

Count = Callable[[Any], Awaitable[None]]
"""Counts one use of a field, by the context of its request."""


def limit_mutations(core: GraphQLSchema) -> None:
    """Count every field that may call Stripe before anything else is done for it.

    Args:
        core: the schema, which is changed.
    """
    for name, field in core.mutation_type.fields.items() if core.mutation_type else ():
        count = _count_checkout if name == CHECKOUT else _count_mutation
        field.resolve = _counted(field.resolve or default_field_resolver, count)
    for path, calls in STRIPE_READS.items():
        type_name, _, name = path.partition(".")
        owner = core.type_map[type_name]
        assert isinstance(owner, GraphQLObjectType), path  # noqa: S101 - or the table above is wrong
        field = owner.fields[name]
        field.resolve = _counted(field.resolve or default_field_resolver, partial(_count_stripe_read, calls=calls))


def _counted(inner: Callable[..., Any], count: Count) -> Callable[..., Awaitable[Any]]:
    async def resolve(source: Any, info: Any, **arguments: Any) -> Any:
        await count(info.context)
        answer = inner(source, info, **arguments)
        return await answer if isawaitable(answer) else answer

    return resolve


async def _count_mutation(context: Any) -> None:
    limiter: RateLimiter = context.services.limiter
    await limiter.mutation(context.principal, context.address)


async def _count_checkout(context: Any) -> None:
    limiter: RateLimiter = context.services.limiter
    await limiter.checkout(context.principal, context.address)


async def _count_stripe_read(context: Any, *, calls: int) -> None:
    """Count a query; of a live update the first reading alone, because the others do not call Stripe."""
    changed = getattr(context, "changed", None)
    if changed is None or not changed.heard:
        limiter: RateLimiter = context.services.limiter
        await limiter.stripe_read(context.principal, context.address, calls)


class Throttle:
    """ASGI middleware: the requests of one address, and the WebSockets that it opens, are counted before anything is
    read or proved.

    Args:
        app: what answers.
        limiter: counts.
        authenticator: knows the application's own back end, which is not limited.
    """

    def __init__(self, app: ASGIApp, limiter: RateLimiter, authenticator: Authenticator) -> None:
        self._app = app
        self._limiter = limiter
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 429."""
        try:
            if not self._authenticator.is_service(authorization_of(scope)):
                await self._limiter.request(address_of(scope))
        except RateLimited as error:
            body = {"errors": [{"message": str(error), "extensions": error.extensions}]}
            headers = {"Retry-After": str(error.retry_after), "Cache-Control": "private, no-store"}
            refusal = JSONResponse(body, HTTPStatus.TOO_MANY_REQUESTS, headers)
            await refusal(scope, receive, send)  # a WebSocket too can be refused so
            return
        await self._app(scope, receive, send)


def address_of(scope: Scope) -> str | None:
    """Return the client's address: behind the proxies of the settings the one that they tell."""
    client = scope.get("client")
    return client[0] if client else None


def authorization_of(scope: Scope) -> str | None:
    """Return the first `Authorization` header."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value, "latin-1")
    return None
