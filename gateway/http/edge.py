"""The application that the server sees: the path table, and what is done for every request, in this order.

1. `TrustedProxies`: the client and the scheme, where a proxy tells them whose word counts.
2. The id of the request, which each log line of it has.
3. `EdgeHeaders`: what every answer has, also one of a handler that fails: the id, the security headers, CORS.
4. An answer to a preflight of CORS, which nobody behind needs to know.
5. The path table, as `create_app` writes it down: the exact path, the first part of the path, all others.

The server has bounded times and sizes before (`server.py`), and the limits of callers are the handlers' own matter.
`take` is the same for the fast path, on which a request is a GET or a POST; whoever logs something there names it.
"""

from collections.abc import Callable, Mapping

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.fast_path import FastHandler, send_response
from gateway.http.headers import REQUEST_ID, EdgeHeaders
from gateway.http.request import Request, Response, TrustedProxies, client_of, complete, header_of, new_request_id

_STARTS = {"http.response.start", "websocket.http.response.start"}


class Edge:
    """The outermost layer. It is an ASGI application, and a fast handler.

    Args:
        proxies: whose word on a request's client and scheme is believed.
        headers: adds what every answer has.
        routes: what answers by the exact path, or, under a name that ends with a slash, all paths that begin with it.
            What is a fast handler too is asked before a request becomes one of ASGI.
        others: answers all other paths, and takes part in the start and the end.
    """

    def __init__(
        self, proxies: TrustedProxies, headers: EdgeHeaders, routes: Mapping[str, ASGIApp], others: ASGIApp
    ) -> None:
        self._proxies = proxies
        self._headers = headers
        self._routes = routes
        self._others = others
        self._fast: dict[str, FastHandler] = {path: app for path, app in routes.items() if hasattr(app, "take")}

    def take(self, request: Request, respond: Callable[[Response, bytes], None]) -> bool:
        """Have a fast handler answer, if there is one for the path.

        Args:
            request: a whole one.
            respond: sends the response, with more headers as they are written.

        Returns:
            False when nothing has happened: the request goes the ASGI way.
        """
        handler = self._fast.get(request.path) or self._fast.get(_folder(request.path))
        if handler is None:
            return False
        request.client, request.scheme = self._proxies.origin(request.client, request.scheme, request.raw_headers)

        def respond_whole(response: Response) -> None:
            origin = request.headers.get(b"origin")
            respond(response, self._headers.written(request.scheme, origin, request.id))

        return handler.take(request, respond_whole)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or serve a WebSocket."""
        if scope["type"] == "lifespan":
            await self._others(scope, receive, send)
            return
        self._trust_proxies(scope)
        request_id = new_request_id()
        name = request_id.decode()
        scope.setdefault("state", {})["request_id"] = name
        send = self._with_headers(scope, send, request_id)
        # not `bound_contextvars`, which looks through all variables of the context, twice
        before = structlog.contextvars.bind_contextvars(request_id=name)
        try:
            await self._answer(scope, receive, send)
        finally:
            structlog.contextvars.reset_contextvars(**before)

    def _trust_proxies(self, scope: Scope) -> None:
        client, scheme = client_of(scope), scope["scheme"]
        host, forwarded = self._proxies.origin(client, scheme, scope["headers"])
        if client is not None and host != client:
            scope["client"] = (host, 0)
        if forwarded != scheme:
            scope["scheme"] = forwarded.replace("http", "ws") if scope["type"] == "websocket" else forwarded

    def _with_headers(self, scope: Scope, send: Send, request_id: bytes) -> Send:
        more = self._headers.of(scope["scheme"], header_of(scope, b"origin"), request_id)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _STARTS:
                message = {**message, "headers": complete(message.get("headers", ())) + more}
            elif message["type"] == "websocket.accept":
                message = {**message, "headers": [*message.get("headers", ()), (REQUEST_ID, request_id)]}
            await send(message)

        return send_with_headers

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            origin = header_of(scope, b"origin")
            if origin is not None and header_of(scope, b"access-control-request-method") is not None:
                await send_response(send, self._headers.preflight(origin))
                return
        path = scope["path"]
        app = self._routes.get(path) or self._routes.get(_folder(path)) or self._others
        await app(scope, receive, send)


def _folder(path: str) -> str:
    """Return the first part of a path with its slashes: `/access/` of `/access/ada/projects`."""
    return path[: path.find("/", 1) + 1]
