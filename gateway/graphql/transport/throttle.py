"""Count the requests of an address before anything in them is looked at."""

from http import HTTPStatus

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.authenticator import Authenticator
from gateway.errors import RateLimited
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import authorization_of, client_of


class Throttle:
    """The requests of one address, and the WebSockets that it opens, are counted before anything in them is proved.

    Args:
        limiter: counts.
        authenticator: knows the application's own back end, which is not limited.
    """

    def __init__(self, limiter: RateLimiter, authenticator: Authenticator) -> None:
        self._limiter = limiter
        self._authenticator = authenticator

    async def refusal(self, client: str | None, authorization: str | None) -> JSONResponse | None:
        """Count a request, and return 429 when there were too many.

        Args:
            client: its address, when it is known.
            authorization: its `Authorization` header.
        """
        if self._authenticator.is_service(authorization):
            return None
        try:
            await self._limiter.request(client)
        except RateLimited as error:
            body = {"errors": [{"message": str(error), "extensions": error.extensions}]}
            headers = {"Retry-After": str(error.retry_after), "Cache-Control": "private, no-store"}
            return JSONResponse(body, HTTPStatus.TOO_MANY_REQUESTS, headers)
        return None

    def websockets(self, app: ASGIApp) -> ASGIApp:
        """Return an ASGI application of WebSockets, each of which is counted first."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            refusal = await self.refusal(client_of(scope), authorization_of(scope))
            await (refusal or app)(scope, receive, send)

        return counted
