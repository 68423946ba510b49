"""The one way past ASGI, whose task, scope and messages cost more than a signature or a cached answer does.

A `FastHandler` decides at once what becomes of a request. The server asks the application, which is one, about every
request that came whole and alone (`server.py`); whatever it does not take, and all that comes by another server, goes
the ASGI way, where `FastRoute` asks the same handler. Both ways send the same bytes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.http.body import read_body
from gateway.http.request import Request, Response

log = structlog.get_logger()

Respond = Callable[[Response], None]

_FAILED = Response(
    500, [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")], b"Internal Server Error"
)


class FastHandler(Protocol):
    """What decides at once."""

    def take(self, request: Request, respond: Respond) -> bool:
        """Answer a request, now or later.

        Args:
            request: a whole one.
            respond: sends the response; called once, and not if this returns False.

        Returns:
            False when nothing has happened: the request goes the ASGI way.
        """


class AsyncHandler:
    """A fast handler whose answers take a while: each is made in a task of its own.

    Args:
        answer: makes the response.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, request: Request, respond: Respond) -> bool:
        """Begin to answer."""
        task = asyncio.get_running_loop().create_task(self._respond(request, respond))
        self._tasks.add(task)
        return True

    async def _respond(self, request: Request, respond: Respond) -> None:
        structlog.contextvars.bind_contextvars(request_id=request.id.decode())  # of this task alone
        try:
            response = await self._answer(request)
        except Exception:
            log.exception("request_failed", path=request.path)
            response = _FAILED
        finally:  # a callback of the task would be another turn of the loop
            self._tasks.discard(asyncio.current_task())
        respond(response)


class FastRoute:
    """A route of which a fast handler answers every request: the ASGI way to it.

    Args:
        handler: takes all requests.
        stream: answers those that it does not take.
        body_limit: what is longer is not read to its end, and the handler refuses it.
        websocket: serves WebSockets, which are refused without it.
    """

    def __init__(
        self,
        handler: FastHandler,
        *,
        stream: Callable[[Request, Receive, Send], Awaitable[None]] | None = None,
        body_limit: int = 0,
        websocket: ASGIApp | None = None,
    ) -> None:
        self.take = handler.take
        self._stream = stream
        self._body_limit = body_limit
        self._websocket = websocket or _close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve a WebSocket."""
        if scope["type"] != "http":
            await self._websocket(scope, receive, send)
            return
        body = await read_body(receive, self._body_limit)
        if body is None:
            return
        done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        request = Request.of(scope, body)
        if self.take(request, lambda response: None if done.done() else done.set_result(response)):
            await send_response(send, await done)
        elif self._stream:
            await self._stream(request, receive, send)


async def _close(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close"})


async def send_response(send: Send, response: Response) -> None:
    """Send a response by ASGI's messages."""
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": response.body})
