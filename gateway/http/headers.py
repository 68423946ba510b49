"""What every answer tells, whichever route gave it: its request's id, and what a browser must refuse."""

from random import randbytes
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    # An answer is data: nothing in it is run, loaded or framed. A page brings a policy of its own.
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    # Neither hinders a page that CORS allows to call: these are about windows, and about loads without CORS.
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
)
_TLS = (b"strict-transport-security", b"max-age=31536000")
REQUEST_ID: Final = b"x-request-id"


def guarded(scope: Scope, send: Send) -> Send:
    """Return a `send` that adds to an answer the headers that it does not have yet."""

    async def send_guarded(message: Message) -> None:
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            given += [header for header in _ALWAYS if header[0] not in names]
            # as a declared proxy tells: its word has changed this very scope
            if scope["scheme"] in {"https", "wss"}:
                given.append(_TLS)
            message = {**message, "headers": given}
        await send(message)

    return send_guarded


class SecurityHeaders:
    """ASGI middleware: guards every answer.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and mind what else the browser must know."""
        await self._app(scope, receive, send if scope["type"] == "lifespan" else guarded(scope, send))


def new_request_id() -> str:
    """Return an id for a request; it is not a secret."""
    return randbytes(16).hex()  # noqa: S311


class RequestId:
    """ASGI middleware: every request, and every WebSocket, has an id, in its log lines, in masked errors and in
    `X-Request-Id`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, then pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                headers = [*message.get("headers", []), (REQUEST_ID, request_id.encode())]
                message = {**message, "headers": headers}
            await send(message)

        # not `bound_contextvars`, which looks through all variables of the context, twice
        before = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, send_named)
        finally:
            structlog.contextvars.reset_contextvars(**before)
