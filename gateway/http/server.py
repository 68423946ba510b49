"""How the gateway listens: uvicorn, with an end to its patience.

Alone, uvicorn waits for the rest of a request for ever, and takes as many connections and headers as come.
"""

from asyncio import Event, TimerHandle, Transport
from collections.abc import Callable, Sequence
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any, ClassVar
from weakref import ref

from starlette.types import Receive, Scope
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_MESSAGE_BYTES = 100 * 1024
"""The longest message that a WebSocket takes."""

READY = "gateway.ready"
"""An extension of ASGI (`scope["extensions"]`): its `cycle` is what `send_ready` sends to, by a weak reference."""

Headers = Sequence[tuple[bytes, bytes]]
Answer = Callable[[int, bytes, bytes], None]
"""Sends a whole answer: the status, a line for each header (one for the length of the body among them), the body."""

Shortcut = Callable[[Headers, bytes, Answer], bool]
"""Takes a POST without ASGI, whose task, scope and messages cost more than a signature does: gets the headers, the
body, and what to answer with, now or later. False says that the request has to go the ordinary way, as one does whose
body is larger than uvicorn holds for an application that does not read.

An application has its shortcuts, by the path, in an attribute `shortcuts`. Another server does not know them, so that
it answers the same requests by ASGI as well.
"""

# Some files stay for the database, Stripe and ourselves.
_OPEN_FILES = getrlimit(RLIMIT_NOFILE)[0]
_MOST_CONNECTIONS = min(10_000, max(_OPEN_FILES - 200, _OPEN_FILES // 2))


_NOT_BEGUN, _HEAD, _BODY, _WHOLE = range(4)


class GuardedProtocol(HttpToolsProtocol):
    """An HTTP connection that is ended when its client is too slow, sends too much, or is one too many.

    Attributes:
        seconds: in which a request must have arrived whole, and in which a stalled answer must be read on.
        head_bytes: of a request's line and headers.
        message_bytes: of a whole request, trailers included; the routes allow less.
        most_connections: at once, WebSockets included.
    """

    seconds: ClassVar[float] = 15
    head_bytes: ClassVar[int] = 64 * 1024
    message_bytes: ClassVar[int] = 4 * 1024 * 1024
    most_connections: ClassVar[int] = _MOST_CONNECTIONS

    # What runs for each request calls uvicorn's class by its name: `super()` costs more than what is done here.
    _phase = _NOT_BEGUN
    _received = 0
    _arriving: TimerHandle | None = None
    _leaving: TimerHandle | None = None
    _short: "_ShortCycle | None" = None  # what takes the request that is arriving, if that is a shortcut

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shortcuts: dict[bytes, Shortcut] = getattr(self.app, "shortcuts", {})

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._end(503)
        else:
            self._arriving = self.loop.call_later(self.seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._arrived()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. The clock runs from the first byte of a request to the last; one that comes at once sets none."""
        if self._phase == _WHOLE and self.cycle is not None and self.cycle.response_complete:
            self._phase = _NOT_BEGUN  # from here on every byte belongs to the next request
        HttpToolsProtocol.data_received(self, data)
        if self._phase == _WHOLE:
            if self._arriving is not None:
                self._arrived()
            return
        self._received += len(data)
        if self._phase == _BODY and self._received > self.message_bytes:
            self._end(413)
        elif self._phase == _HEAD and self._received > self.head_bytes:
            self._end(431)
        elif self._arriving is None and not self.transport.is_closing():
            self._arriving = self.loop.call_later(self.seconds, self._too_slow)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._phase, self._received = _HEAD, 0
        HttpToolsProtocol.on_message_begin(self)

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        self._phase = _BODY
        self._short = None
        if self.url in self._shortcuts and self._is_plain():
            self.cycle = self._short = _ShortCycle(self)
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """A part of its body is there."""
        if (short := self._short) is None:
            HttpToolsProtocol.on_body(self, body)
            return
        short.held += body
        if len(short.held) > HIGH_WATER_LIMIT:  # the ordinary way reads no more than its application asks for
            self._leave(short)

    def on_message_complete(self) -> None:
        """It is there; if it was answered before, nothing is left to do for it."""
        self._phase = _NOT_BEGUN if self.cycle is not None and self.cycle.response_complete else _WHOLE
        if (short := self._short) is not None:
            if self._shortcuts[self.url](self.headers, short.held, short.answer):
                return
            self._leave(short)
        HttpToolsProtocol.on_message_complete(self)

    def _is_plain(self) -> bool:
        """Whether the request is a POST and the only one, before whose body nothing is to be said, and after whose
        answer nothing is to be done but to wait for the next.
        """
        return (
            self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
        )

    def _leave(self, short: "_ShortCycle") -> None:
        """Have a request go on by the ordinary way, with what has come of its body."""
        self.cycle = self._short = None  # type: ignore[assignment]  # as uvicorn has it before the first one
        self._begin()
        self.cycle.keep_alive = short.keep_alive  # a shutdown may have begun meanwhile
        HttpToolsProtocol.on_body(self, short.held)

    def _begin(self) -> None:
        """Have the application answer."""
        HttpToolsProtocol.on_headers_complete(self)
        if self.cycle is not None:  # a WebSocket has none
            # weakly, because it holds the scope: in a circle, each request would be left to the garbage collector
            self.scope["extensions"] = {READY: {"cycle": ref(self.cycle)}}

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        self._phase = _WHOLE
        self._arrived()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """The client does not read its answer."""
        super().pause_writing()
        self._leaving = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It does."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        super().resume_writing()

    def _arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _too_slow(self) -> None:
        if self._phase == _NOT_BEGUN:
            self.transport.close()
        else:
            self._end(408)

    def _end(self, status: int) -> None:
        """End the connection, with an answer where none has begun."""
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()


class _ShortCycle(RequestResponseCycle):
    """A request on its short way: for the connection what uvicorn's own is, without all that serves ASGI."""

    message_event = Event()  # nobody waits for it

    def __init__(self, protocol: GuardedProtocol) -> None:
        self._protocol = protocol
        self.held = b""  # of its body, which comes in one part as a rule and is not copied then
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Send the answer, if the client is still there."""
        transport = self._protocol.transport
        if not transport.is_closing():
            self.response_started = self.response_complete = True
            end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"  # as `shutdown` wants it
            transport.write(_head(status, self._protocol.server_state.default_headers, head) + end + body)
            if not self.keep_alive:
                transport.close()
            self._protocol.on_response_complete()


def _head(status: int, usual: Headers, head: bytes) -> bytes:
    """The status and all headers of an answer, those among them that every answer has."""
    return b"".join([STATUS_LINE[status], *[b"%b: %b\r\n" % header for header in usual], head])


async def body_of(receive: Receive, limit: int) -> bytes | None:
    """The body of a request.

    Args:
        receive: gives its parts.
        limit: what is longer is not read to its end.

    Returns:
        at most one part more than the limit; None when the connection broke within.
    """
    body, more = b"", True
    while more and len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def send_ready(scope: Scope, status: int, head: bytes, body: bytes) -> bool:
    """Send a whole answer at once, its headers as they are written: uvicorn looks through each of them anew, which is a
    sixth of what an answer from memory costs.

    Args:
        scope: of the request.
        status: of HTTP.
        head: a line for each header, one for the length of the body among them.
        body: the bytes of the body.

    Returns:
        whether it was sent. Otherwise, and by another server, ASGI's own messages do what is to be done.
    """
    ready = scope.get("extensions", {}).get(READY)
    cycle: RequestResponseCycle | None = ready and ready["cycle"]()
    if cycle is None:
        return False
    if cycle.response_started or cycle.disconnected or cycle.flow.write_paused or not cycle.keep_alive:
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    whole = _head(status, cycle.default_headers, head) + b"\r\n"
    if body:
        cycle.transport.writelines((whole, body))  # not joined: a copy of the body costs more
    else:
        cycle.transport.write(whole)
    cycle.message_event.set()
    cycle.on_response()
    return True


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose client is cut off when it leaves a ping unanswered, after 20 to 40 seconds."""

    def keepalive_timeout(self) -> None:
        """Close it, without waiting for what the client has not read: it may never read it, and stay for ever."""
        super().keepalive_timeout()
        self.transport.abort()


OPTIONS: dict[str, Any] = {
    "http": GuardedProtocol,
    "ws": GuardedWebSocket,
    "ws_max_size": MAX_MESSAGE_BYTES,
    "ws_per_message_deflate": False,  # the messages are short, and a compressor is memory for each connection
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # the application reads them, of declared proxies alone
    "timeout_keep_alive": 75,  # longer than proxies keep a connection (60 s), so that none sends into a closed one
}
"""How `gateway serve` and `gateway dev` run uvicorn."""
