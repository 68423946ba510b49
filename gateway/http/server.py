"""How the gateway listens: uvicorn, with an end to its patience.

Alone, uvicorn waits for the rest of a request for ever, and takes as many connections and headers as come.
"""

from asyncio import TimerHandle, Transport
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any, ClassVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.http.fast_response import FastPathResponse
from gateway.http.joined_writes import JoinedWrites
from gateway.http.repeated import Parsed, RepeatedRequests

# Some files stay for the database, Stripe and ourselves.
_OPEN_FILES = getrlimit(RLIMIT_NOFILE)[0]
_MAX_CONNECTIONS = min(10_000, max(_OPEN_FILES - 200, _OPEN_FILES // 2))

_repeated = RepeatedRequests()
_PLAIN_METHODS = (b"GET", b"POST")

_FIRST, _IDLE, _HEAD, _BODY, _WHOLE, _CLOSING = range(6)
"""What a connection waits for: its first request, the next one, a request's head, its body, the answer, its end."""


class HardenedHttpProtocol(HttpToolsProtocol):
    """An HTTP connection in which every state has a deadline, and each request exactly one answer, in order.

    Attributes:
        seconds: in which a request must have arrived whole, a stalled answer must be read on, and a closed connection
            must be gone.
        answer_seconds: in which a request must be answered, or another part of its answer be written; more than the
            longest call to Stripe takes.
        head_bytes: of a request's line and headers.
        message_bytes: of a whole request, trailers included; the routes allow less.
        max_connections: at once, WebSockets included.
    """

    seconds: ClassVar[float] = 15
    answer_seconds: ClassVar[float] = 120
    head_bytes: ClassVar[int] = 64 * 1024
    message_bytes: ClassVar[int] = 4 * 1024 * 1024
    max_connections: ClassVar[int] = _MAX_CONNECTIONS

    # What runs for each request calls uvicorn's class by its name: `super()` costs more than what is done here.
    _phase = _FIRST
    _since = 0.0  # when the phase began, on the loop's clock
    _received = 0
    _stalled: float | None = None  # since when the client does not read
    _ending = False  # nothing more is read
    _watchdog: TimerHandle | None = None
    _held: FastPathResponse | None = None  # of the request that is arriving and is answered when it is whole
    _begun = 0  # how many requests began in the present segment
    _answered: Parsed | None = None  # the last of them that was answered at once
    _writes: JoinedWrites  # for what goes the ASGI way
    _parts = 0  # how many it had written at the last look

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._has_fast_path = hasattr(self.app, "take")

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Take the connection, or say that there are too many."""
        super().connection_made(transport)
        self._writes = JoinedWrites(transport)
        self._since = self.loop.time()
        self._watchdog = self.loop.call_later(self.seconds, self._watch)
        if len(self.connections) > self.max_connections:
            self._end(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers, and drop the requests that were still to be answered.

        uvicorn leaves its timer for an idle connection running when a client resets it, which keeps all of this for the
        75 seconds of that timer: at a thousand resets a second that was gigabytes.
        """
        self._stop_watch()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        self._stalled = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._ending:
            return
        if self._phase == _WHOLE and self.cycle is not None and self.cycle.response_complete:
            self._phase = _IDLE
        self._unset_keepalive_if_required()
        is_between = self._phase in {_FIRST, _IDLE}
        if is_between and self._has_fast_path and (known := _repeated.find(data)) and self._take_again(known):
            return
        self._begun, self._answered = 0, None
        self._parse(data)
        if is_between and self._answered and self._begun == 1 and self._phase == _WHOLE:
            _repeated.keep(data, self._answered)
        if self._phase == _WHOLE or self._ending:
            return
        self._received += len(data)
        if self._phase == _BODY and self._received > self.message_bytes:
            self._end(413)
        elif self._phase == _HEAD and self._received > self.head_bytes:
            self._end(431)
        elif self._phase == _IDLE:  # blank lines are no request
            self._enter(_FIRST)

    def _take_again(self, known: Parsed) -> bool:
        """Have a request answered that has come before; whether that was possible without parsing it."""
        if self._owes_answers() or self.flow.write_paused:
            return False
        before, self.cycle = self.cycle, FastPathResponse(self)
        if not self.cycle.is_taken(known):
            self.cycle = before
            return False
        self._enter(_WHOLE)
        return True

    def _parse(self, data: bytes | memoryview) -> None:
        """Feed the parser; where it stops at an `Upgrade`, decide what follows."""
        try:
            while True:
                try:
                    self.parser.feed_data(data)
                    return
                except HttpParserUpgrade as stop:
                    data = memoryview(data)[stop.args[0] :]
                if self._is_handshake():
                    if data or self._owes_answers():
                        self._end(400)
                    else:
                        self.handle_websocket_upgrade()
                    return
                if self.parser.get_method() == b"CONNECT":
                    self._end(501)
                    return
                self.parser, head = HttpRequestParser(self), self._head_without_upgrade()
                self.parser.feed_data(head)
        except HttpParserError:
            self._end(400)

    def _is_handshake(self) -> bool:
        """Return whether the request is a WebSocket's handshake, which is a GET without a body (RFC 6455, 4.1)."""
        headers = dict(self.headers)
        return (
            self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and headers.get(b"upgrade", b"").strip().lower() == b"websocket"
            and headers.get(b"content-length", b"0") == b"0"
            and b"transfer-encoding" not in headers
        )

    def _head_without_upgrade(self) -> bytes:
        """Return the request's head once more, so that it is read as what it is when we do not upgrade.

        The parser takes whatever follows a head with `Upgrade` for another protocol and loses the body: in the next
        segment it would begin a request of its own (request smuggling). A server may ignore the header (RFC 9110, 7.8).
        """
        start = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join([start, *lines, b"\r\n"])

    def on_message_begin(self) -> None:
        """Begin a request. The scope of ASGI is made when it is needed (`_make_scope`)."""
        self._phase, self._received, self._since = _HEAD, 0, self.loop.time()
        self._begun += 1
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer is none (RFC 9110, 6.5.1): proxies do not check it as they check headers.

        It does what uvicorn's does: to call that for each header costs as much again.
        """
        if self._phase == _HEAD:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Have the request answered, or held until its body is there.

        Who is answered before its body has come is a danger to the next request on the connection: HAProxy 2.6 ends the
        chunks of such a body with a trailer `transfer-encoding: chunked`, which is an error, and the connection closes
        while it already carries somebody else's request (502). So whatever can wait for its body does.
        """
        if self.parser.should_upgrade():
            return  # `_parse` decides
        self._phase = _BODY
        self._held = None
        if self._can_be_held():
            self.cycle = self._held = FastPathResponse(self)
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if (held := self._held) is None:
            HttpToolsProtocol.on_body(self, body)
            return
        held.received += body
        if len(held.received) > HIGH_WATER_LIMIT:  # the ASGI way reads no more than its application asks for
            self._leave(held)

    def on_message_complete(self) -> None:
        """Note that the request is whole; if it was answered before, nothing is left to do for it."""
        if self.parser.should_upgrade():
            return
        self._phase = _IDLE if self.cycle is not None and self.cycle.response_complete else _WHOLE
        self._since = self.loop.time()
        if (held := self._held) is not None:
            self._held = None
            parsed = Parsed(self.parser.get_method().decode(), self.url, self.headers, bytes(held.received), {})
            if self._is_plain() and held.is_taken(parsed):
                self._answered = parsed if held.response_complete else None
                return
            self._leave(held)
        elif self.expect_100_continue and not self.cycle.response_started:
            self.cycle.keep_alive = self.parser.should_keep_alive() and not self._ending
            self.cycle.waiting_for_100_continue = False
        HttpToolsProtocol.on_message_complete(self)

    def _can_be_held(self) -> bool:
        """Return whether the request is the only one, and before its body nothing is to be said."""
        return not self._owes_answers() and not self.flow.write_paused and not self.expect_100_continue

    def _is_plain(self) -> bool:
        """Return whether a request that was held may be the fast path's: nothing is to be done after its answer but to
        wait for the next.
        """
        return (
            self._has_fast_path
            and self.parser.get_method() in _PLAIN_METHODS
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and self.url.startswith(b"/")
            and b"#" not in self.url
        )

    def _leave(self, held: FastPathResponse) -> None:
        """Have a request go the ASGI way, with what has come of its body."""
        self.cycle = self._held = None  # type: ignore[assignment]  # as uvicorn has it before the first one
        self._begin()
        self.cycle.keep_alive &= held.keep_alive  # a shutdown may have begun meanwhile
        HttpToolsProtocol.on_body(self, bytes(held.received))

    def _make_scope(self) -> None:
        """Have uvicorn begin the request, whose head is there, as it does it for ASGI."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the scope has this very list

    def _begin(self) -> None:
        """Have the application answer."""
        self._make_scope()
        if self.parser.get_http_version() != "1.1":
            self.expect_100_continue = False  # an older client does not know the word (RFC 9110, 10.1.1)
        HttpToolsProtocol.on_headers_complete(self)
        self.cycle.transport = self._writes
        if self.expect_100_continue:
            # Whoever is answered before it was told to go on may leave the body out; then what comes next would be
            # taken for it. `on_message_complete` takes this back.
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Go on after a response."""
        self._writes.finish()
        HttpToolsProtocol.on_response_complete(self)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        self._stop_watch()
        self._make_scope()
        self.scope["method"] = "GET"
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """Let what has begun end; a stream of events is ended, and its client connects again elsewhere."""
        if self._writes.is_stream:
            self.transport.abort() if self.flow.write_paused else self.transport.close()
        super().shutdown()

    def pause_writing(self) -> None:
        """Note that the client does not read its answer."""
        super().pause_writing()
        self._stalled = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client reads its answer again."""
        self._stalled = None
        super().resume_writing()

    def _owes_answers(self) -> bool:
        """Return whether an earlier request waits for its answer; asked before the arriving one has a cycle."""
        return self.cycle is not None and not self.cycle.response_complete

    def _enter(self, phase: int) -> None:
        self._phase, self._since = phase, self.loop.time()

    def _stop_watch(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    def _watch(self) -> None:
        """End what has lasted too long, and look again: one timer for a connection, whatever it does."""
        if self.transport.is_closing() and self._phase != _CLOSING:
            self._enter(_CLOSING)
        elif self._phase == _WHOLE and self.cycle.response_complete:
            self._enter(_IDLE)
        now = self.loop.time()
        if self._phase == _WHOLE and self._parts != self._writes.parts:  # it is being answered
            self._parts, self._since = self._writes.parts, now
        due = self._since + {_IDLE: self.timeout_keep_alive, _WHOLE: self.answer_seconds}.get(self._phase, self.seconds)
        stalled = self._stalled is not None and self._stalled + self.seconds <= now
        if stalled or due <= now:
            self._expire(abort=stalled or self._phase in {_WHOLE, _CLOSING})
        self._watchdog = self.loop.call_later(min(max(due - now, 0.01), self.seconds), self._watch)

    def _expire(self, *, abort: bool) -> None:
        """End the connection, whose state has lasted too long."""
        if abort:
            self.transport.abort()
        elif self._phase in {_FIRST, _IDLE}:
            self.transport.close()
        else:
            self._end(408)

    def _end(self, status: int) -> None:
        """End the connection, after the answers to earlier requests, with one to the arriving request."""
        self._ending = True
        if self.transport.is_closing():
            return
        is_queued = self._phase == _BODY and bool(self.pipeline)
        if is_queued or (self._phase != _BODY and self._owes_answers()):
            if is_queued:
                self.pipeline[0] = (self.cycle, _refusal(status))
            self.cycle.keep_alive = False
            self.transport.pause_reading()
            self._enter(_WHOLE)
            return
        if self._phase != _BODY or not self.cycle.response_started:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()


def _refusal(status: int) -> Any:  # an ASGI application as uvicorn types it
    """Return an application that answers every request with a status alone."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return refuse
