"""A client of `graphql-transport-ws` that can also be rude."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from gateway.app import create_app
from harness.gateway import World, listening, serve

PROTOCOL = "graphql-transport-ws"
SECONDS = 10


class Socket:
    """One connection, message by message."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, message: Any) -> None:
        """Send a message, or anything else as it is."""
        self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    def receive(self, seconds: float = SECONDS) -> dict[str, Any]:
        """The next message."""
        return json.loads(self.connection.recv(seconds))

    def init(self, payload: Any = None) -> "Socket":
        """Say who it is, and be let in."""
        self.send({"type": "connection_init", "payload": payload} if payload else {"type": "connection_init"})
        assert self.receive() == {"type": "connection_ack"}
        return self

    def subscribe(self, query: str, variables: dict[str, Any] | None = None, id: str = "1") -> None:
        """Begin an operation."""
        self.send({"id": id, "type": "subscribe", "payload": {"query": query, "variables": variables or {}}})

    def next(self, id: str = "1") -> Any:
        """The data of the next answer."""
        message = self.receive()
        assert (message["type"], message["id"]) == ("next", id), message
        return message["payload"]["data"]

    def error(self) -> dict[str, Any]:
        """The error with which an operation ends."""
        message = self.receive()
        assert message["type"] == "error", message
        return message["payload"][0]

    def closed(self, seconds: float = SECONDS) -> tuple[int, str]:
        """Wait for the end: the code, and the reason."""
        try:
            while True:
                self.connection.recv(seconds)
        except ConnectionClosed as end:
            return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")


@contextlib.contextmanager
def opened(world: World, **options: Any) -> Iterator[Socket]:
    """A connection to a gateway; `options` are those of the WebSocket library."""
    options = {"subprotocols": [PROTOCOL], "proxy": None, **options}
    with connect(f"{world.url.replace('http', 'ws', 1)}/graphql", **options) as connection:
        yield Socket(connection)


@contextlib.contextmanager
def signed_in(world: World, headers: dict[str, str] | None = None, **options: Any) -> Iterator[Socket]:
    """The same, once it is let in."""
    with opened(world, **options) as socket:
        yield socket.init(headers)


@contextlib.contextmanager
def sibling(world: World, options: dict[str, Any] | None = None, **settings: Any) -> Iterator[World]:
    """Another gateway on the same database with other settings; `options` are uvicorn's."""
    listener, url = listening()
    changed = world.settings.model_copy(update=settings)
    with serve(create_app(changed), listener, **(options or {})):
        yield World(url, world.stripe_url, world.sandbox, changed, world.client)
