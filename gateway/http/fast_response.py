"""How a request that is held is answered without ASGI."""

from asyncio import Event

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.http.repeated import Parsed
from gateway.http.request import Header, Request, Response, written

log = structlog.get_logger()


class FastPathResponse(RequestResponseCycle):
    """A request that is held, or on the fast path: for the connection what uvicorn's own cycle is, without all that
    serves ASGI.
    """

    message_event = Event()  # nobody waits for it

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self._protocol = protocol
        self.received = bytearray()  # of the body, which may come in very many parts
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    def is_taken(self, parsed: Parsed) -> bool:
        """Ask the application whether it answers a request, which is whole, this way."""
        protocol = self._protocol
        method, target, headers, body, made = parsed
        host, scheme = protocol.client[0] if protocol.client else None, protocol.scheme or "http"
        request = Request(method, target, headers, body=body, client=host, scheme=scheme, made=made)
        try:
            return bool(protocol.app.take(request, self.respond))
        except Exception:  # it fails the ASGI way too, where uvicorn says so
            log.exception("fast_handler_failed")
            return self.response_complete

    def respond(self, response: Response, more: bytes = b"") -> None:
        """Send the response, if the client is still there.

        Args:
            response: of the handler.
            more: headers of this request alone, as they are written.
        """
        protocol = self._protocol
        if protocol.transport.is_closing():
            return
        self.response_started = self.response_complete = True
        usual = _usual.of(protocol.server_state.default_headers)
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"  # as `shutdown` wants it
        head = b"".join((STATUS_LINE[response.status], usual, response.head, more, end))
        if response.body:
            protocol.transport.writelines((head, response.body))
        else:
            protocol.transport.write(head)
        if not self.keep_alive:
            protocol.transport.close()
        if protocol.pipeline or protocol.flow.read_paused:
            protocol.on_response_complete()
        else:  # uvicorn's would also start a timer for the idle connection, which `_watch` looks after
            protocol.server_state.total_requests += 1


class _Usual:
    """What uvicorn adds to every response, as it is written. It is another list each second, with another date."""

    def __init__(self) -> None:
        self._headers: list[Header] | None = None
        self._written = b""

    def of(self, headers: list[Header]) -> bytes:
        """Return them as they are written."""
        if headers is not self._headers:
            self._headers, self._written = headers, written(headers)
        return self._written


_usual = _Usual()
