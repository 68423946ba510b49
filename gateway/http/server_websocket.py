"""uvicorn's WebSocket with an end to its patience: without deadlines a client that reads nothing stays for ever."""

from asyncio import BaseTransport, TimerHandle
from typing import ClassVar

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame


class HardenedWebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket in which every state has a deadline, and whose client cannot fill the memory.

    While it is open its client must answer a ping within 20 seconds.

    Attributes:
        seconds: in which the handshake must be answered, and a closed connection must be gone.
        max_fragments: of one message; its size is limited anyway, but fragments may be empty.
    """

    seconds: ClassVar[float] = 15
    max_fragments: ClassVar[int] = 1000

    _watchdog: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Take the connection over from the HTTP protocol, and start the watchdog."""
        super().connection_made(transport)
        self._watchdog = self.loop.call_later(self.seconds, self._watch, False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the watchdog."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        super().connection_lost(exc)

    def _watch(self, was_closing: bool) -> None:
        """Abort what was not open at the last look either: a client that reads nothing would keep it for ever."""
        is_open = self.handshake_complete and not self.close_sent and not self.transport.is_closing()
        if not is_open and (was_closing or not self.handshake_complete):
            self.transport.abort()
        self._watchdog = self.loop.call_later(self.seconds, self._watch, not is_open)

    def handle_ping(self) -> None:
        """Answer a ping, unless its sender does not read the answers (RFC 6455, 5.5.3 asks for the last one alone)."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_cont(self, event: Frame) -> None:
        """Take one more fragment of a message."""
        if len(self.frames) >= self.max_fragments:
            self.conn.fail(1009, f"a message may have {self.max_fragments} fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        """Close it, without waiting for what the client has not read: it may never read it, and stay for ever."""
        super().keepalive_timeout()
        self.transport.abort()
