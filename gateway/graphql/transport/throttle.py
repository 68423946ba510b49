"""Count the requests of an address before anything is read of them."""

from http import HTTPStatus

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.authenticator import Authenticator
from gateway.errors import RateLimited
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import authorization_of, client_of


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
                await self._limiter.request(client_of(scope))
        except RateLimited as error:
            body = {"errors": [{"message": str(error), "extensions": error.extensions}]}
            headers = {"Retry-After": str(error.retry_after), "Cache-Control": "private, no-store"}
            refusal = JSONResponse(body, HTTPStatus.TOO_MANY_REQUESTS, headers)
            await refusal(scope, receive, send)  # a WebSocket too can be refused so
            return
        await self._app(scope, receive, send)
