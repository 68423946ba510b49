"""The WebSocket `/graphql`: live updates, and every other operation too, by the protocol `graphql-transport-ws`.

Source, also of the codes with which a connection ends: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from graphql import OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.auth.authenticator import Authenticator
from gateway.auth.principal import Principal
from gateway.errors import RateLimited, Unauthenticated
from gateway.graphql.base.context import Services
from gateway.graphql.execution.documents import Documents
from gateway.graphql.execution.request import BadRequest, GraphQLRequest
from gateway.graphql.transport.connections import LiveConnections
from gateway.graphql.transport.subscriptions import Caller, OperationRunner
from gateway.http.options import MAX_MESSAGE_BYTES
from gateway.http.request import client_of

PROTOCOL = "graphql-transport-ws"
MAX_REASON_BYTES = 123  # RFC 6455, 5.5


class Close(Exception):
    """The end of a connection.

    Args:
        code: the protocol's, or WebSocket's own.
        reason: for whoever reads the client's log.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


class WebSocketEndpoint:
    """The WebSocket endpoint.

    Args:
        services: what the resolvers use.
        authenticator: proves who calls.
        documents: prepares what is asked, by the same rules as over HTTP.
        runner: runs it.
        connections: counts them, with the event streams.
    """

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        documents: Documents,
        runner: OperationRunner,
        connections: LiveConnections,
    ) -> None:
        self.services = services
        self.authenticator = authenticator
        self.documents = documents
        self.runner = runner
        self.connections = connections

    async def serve(self, websocket: WebSocket) -> None:
        """Hold one connection until it ends."""
        client, headers = client_of(websocket.scope), websocket.headers
        refusal = self.connections.refusal(client, origin=headers.get("origin"), host=headers.get("host"))
        if refusal is not None:
            await websocket.send_denial_response(refusal)
            return
        with self.connections.slot(client):
            await _Connection(self, websocket).run()


class _Connection:
    """The connection of one client, and the operations that run on it.

    Args:
        endpoint: what all connections share.
        websocket: not yet accepted.
    """

    def __init__(self, endpoint: WebSocketEndpoint, websocket: WebSocket) -> None:
        self._endpoint = endpoint
        self._websocket = websocket
        self._address = client_of(websocket.scope)
        self._principal: Principal | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._limit = asyncio.timeout(endpoint.services.settings.websocket_init_seconds)
        self._at_limit = Close(4408, "Connection initialisation timeout")

    async def run(self) -> None:
        """Do what the client says until one of the two leaves."""
        closing = None
        try:
            await self._accept()
            async with self._limit:
                while True:
                    await self.handle_message(await self._receive())
        except TimeoutError:
            closing = self._at_limit
        except Close as close:
            closing = close
        except WebSocketDisconnect:
            pass
        finally:
            self._operations.clear()  # nothing is sent from here on
            for task in self._tasks:
                _stop(task)
        if closing is not None:
            with suppress(WebSocketDisconnect):
                await self._websocket.close(closing.code, closing.reason)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self) -> None:
        if PROTOCOL in self._websocket.scope["subprotocols"]:
            await self._websocket.accept(PROTOCOL)
        else:
            await self._websocket.accept()
            raise Close(4406, "Subprotocol not acceptable")

    async def _receive(self) -> Any:
        """Return the next message."""
        received = await self._websocket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received["code"])
        text = received.get("text") or ""
        if len(text) > MAX_MESSAGE_BYTES:  # where another server than ours lets it through
            raise Close(1009, f"a message may have {MAX_MESSAGE_BYTES} bytes")
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            raise Close(4400, "Invalid message: it is no JSON text") from None

    async def handle_message(self, message: Any) -> None:
        match message:
            case {"type": "connection_init"}:
                await self._initialise(message.get("payload") or {})
            case {"type": "ping"}:
                await self._send("pong")
            case {"type": "pong"}:
                pass
            case {"type": "subscribe", "id": str(id), "payload": dict(payload)} if id:
                await self._subscribe(id, payload)
            case {"type": "complete", "id": str(id)}:
                if task := self._operations.pop(id, None):
                    _stop(task)
            case _:
                raise Close(4400, "Invalid message")

    async def _initialise(self, payload: Any) -> None:
        """Learn who it is: as the payload says, or, from a client that is no browser, the request that opened it."""
        if self._principal is not None:
            raise Close(4429, "Too many initialisation requests")
        given = {name.lower(): value for name, value in payload.items()} if isinstance(payload, dict) else payload
        if not isinstance(given, dict) or not isinstance(given.get("authorization", ""), str | None):
            raise Close(4400, "Invalid message: the payload is an object, its `Authorization` a text")
        header = given.get("authorization") or self._websocket.headers.get("authorization")
        try:
            self._principal = await self._endpoint.authenticator.authenticate(header)
        except Unauthenticated as error:
            raise Close(4403, f"Forbidden: {error}") from None
        seconds, has_expired = self._endpoint.connections.lasting(self._principal)
        self._at_limit = Close(1001, "this connection has lasted long enough; connect again")
        if has_expired:
            self._at_limit = Close(4403, "Forbidden: the token has expired; sign in again")
        self._limit.reschedule(asyncio.get_running_loop().time() + seconds)
        await self._send("connection_ack")

    async def _subscribe(self, id: str, payload: dict[str, Any]) -> None:
        """Begin an operation, if it is one that may run."""
        if self._principal is None:
            raise Close(4401, "Unauthorized")
        if id in self._operations:
            raise Close(4409, f"Subscriber for {id} already exists")
        try:
            request = GraphQLRequest.of(payload)
            await self._count(self._principal)
        except BadRequest as error:
            raise Close(4400, f"Invalid message: {error}") from None
        except RateLimited as error:
            await self._send("error", id, [{"message": str(error), "extensions": error.extensions}])
            return
        prepared = self._endpoint.documents.prepare(request)
        if prepared.document is None:
            await self._send("error", id, list(prepared.errors))
            return
        caller = Caller(self._principal, self._address, self._websocket.state.request_id)
        running = self._endpoint.runner.run(prepared, request, caller, partial(self._send_result, id))
        operation = prepared.operation(request.operation_name)
        task = self._operations[id] = asyncio.create_task(running, name=operation.operation.value if operation else "")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _count(self, principal: Principal) -> None:
        """Count an operation, by the rates and by how many run at this moment."""
        if not principal.is_service:
            await self._endpoint.services.limiter.request(self._address)
        if len(self._operations) >= self._endpoint.services.settings.websocket_operations:
            raise RateLimited(f"{len(self._operations)} operations run on this connection; end one first")

    async def _send_result(self, id: str, kind: str, payload: Any) -> None:
        """Send what the running operation has to say, unless the client has ended it."""
        if self._operations.get(id) is asyncio.current_task():
            if kind != "next":
                del self._operations[id]
            await self._send(kind, id, payload)

    async def _send(self, kind: str, id: str | None = None, payload: Any = None) -> None:
        message = {"id": id, "type": kind, "payload": payload}
        text = orjson.dumps({name: value for name, value in message.items() if value is not None}).decode()
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):  # it is closed, as `_receive` will tell
                await self._websocket.send_text(text)


def _stop(task: asyncio.Task[None]) -> None:
    """End an operation; but what has begun to change something is finished, as it is over HTTP."""
    if task.get_name() != OperationType.MUTATION.value:
        task.cancel()
