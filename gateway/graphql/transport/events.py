"""Live updates as server-sent events: GraphQL over SSE in its "distinct connections mode", one request for each.

Source: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md. A live update of ours has no end of its own.
Where the connection ends (its time is up, its token has expired, the process stops) no `complete` is sent: from that
clients know that they must connect again, with another token. `complete` follows what cannot be followed any more.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Send

from gateway.auth.authenticator import Authenticator
from gateway.auth.principal import Principal
from gateway.errors import Unauthenticated
from gateway.graphql.execution.documents import Prepared
from gateway.graphql.execution.request import GraphQLRequest
from gateway.graphql.transport.connections import LiveConnections
from gateway.graphql.transport.negotiation import COMPLETE_EVENT, EVENTS, next_event
from gateway.graphql.transport.subscriptions import Caller, OperationRunner
from gateway.http.request import Request

_PING: Final = b":\n\n"
_HEADERS: Final = [
    (b"content-type", f"{EVENTS}; charset=utf-8".encode()),
    (b"cache-control", b"private, no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has a page of them
]


class EventStreams:
    """Serves live updates by events.

    Args:
        connections: counts them, with the WebSockets.
        authenticator: proves who calls.
        runner: runs the operation.
        ping_seconds: how often something is sent, so that no proxy takes a quiet connection for a dead one (most wait
            60 seconds).
    """

    def __init__(
        self, connections: LiveConnections, authenticator: Authenticator, runner: OperationRunner, ping_seconds: float
    ) -> None:
        self._connections = connections
        self._authenticator = authenticator
        self._runner = runner
        self._ping_seconds = ping_seconds

    async def serve(
        self, request: Request, asked: GraphQLRequest, prepared: Prepared, receive: Receive, send: Send
    ) -> None:
        """Serve one subscription until it ends.

        Args:
            request: of HTTP.
            asked: what is asked in it.
            prepared: its document.
            receive: tells when the client has gone.
            send: sends the response.
        """
        origin, host = (request.headers.get(name) for name in (b"origin", b"host"))
        refusal = self._connections.refusal(request.client, origin=_text(origin), host=_text(host))
        if refusal is None:
            with self._connections.slot(request.client):  # at once: many may wait for the provider's keys together
                found = await self._signed_in(request)
                if isinstance(found, Principal):
                    caller = Caller(found, request.client, request.id.decode())
                    await self._follow(caller, asked, prepared, receive, send)
                    return
            refusal = found
        await refusal({"type": "http"}, receive, send)

    async def _follow(
        self, caller: Caller, asked: GraphQLRequest, prepared: Prepared, receive: Receive, send: Send
    ) -> None:
        """Send a caller the events."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _write(send, _PING)  # the client is connected, though the first reading may wait for Stripe
        seconds, _ = self._connections.lasting(caller.principal)

        async def send_event(kind: str, payload: Any) -> None:
            if kind != "complete":
                await _write(send, next_event(orjson.dumps(payload if kind == "next" else {"errors": payload})))

        running = asyncio.create_task(self._runner.run(prepared, asked, caller, send_event))
        beside = [asyncio.create_task(_gone(receive)), asyncio.create_task(_ping(send, self._ping_seconds))]
        try:
            await asyncio.wait([running, *beside], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            has_ended = running.done()
            for task in (running, *beside):
                task.cancel()
            await asyncio.gather(running, *beside, return_exceptions=True)
        if has_ended:
            running.result()  # a failure of ours ends the connection, and the server logs it
        await _write(send, COMPLETE_EVENT if has_ended else b"", more=False)

    async def _signed_in(self, request: Request) -> Principal | Response:
        """Return who calls, or why the connection is refused."""
        try:
            return await self._authenticator.authenticate(request.authorization)
        except Unauthenticated as error:
            body = {"errors": [{"message": str(error), "extensions": error.extensions}]}
            return JSONResponse(body, HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


async def _write(send: Send, body: bytes, *, more: bool = True) -> None:
    """Send a part of the response once the client has read enough of what was sent before."""
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _ping(send: Send, every_seconds: float) -> None:
    """Send a comment now and then."""
    while True:
        await asyncio.sleep(every_seconds)
        await _write(send, _PING)
