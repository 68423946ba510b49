"""Writes a response's head together with the beginning of its body."""

from asyncio import Transport

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_EVENTS = b"\r\ncontent-type: text/event-stream"


class JoinedWrites(Transport):
    """A connection's transport that holds a response's head until there is a body to send with it.

    ASGI asks for that: "the protocol server must not start sending the response to the client until it has received at
    least one Response Body event". uvicorn writes the head at once, in a segment of its own. HAProxy 2.6 reads that
    together with a `100 Continue` before it, drops the connection and leaves its client without the body and without an
    end (one in about 5,000 requests with `Expect`, behind any server that writes so). A segment less is cheaper, too.

    Only what the responses of the ASGI way use is here; they are written one after the other.

    Attributes:
        parts: how many times something was written.
        is_stream: whether what is written now is a stream of events, which has no end of its own.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self._transport = transport
        self._head: bytes | None = None
        self._has_begun = False
        self.parts = 0
        self.is_stream = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hold a head, and write whatever else at once."""
        self.parts += 1
        if self._has_begun or data == _CONTINUE:
            self._transport.write(data)
        elif self._head is None:
            self._head = bytes(data)
            self.is_stream = _EVENTS in self._head
        else:
            self._has_begun = True
            self._transport.writelines((self._head, data))

    def finish(self) -> None:
        """Note that a response is whole; one without a body is written now."""
        if self._head is not None and not self._has_begun:
            self._transport.write(self._head)
        self._head, self._has_begun, self.is_stream = None, False, False

    def is_closing(self) -> bool:
        """Return whether the connection ends."""
        return self._transport.is_closing()

    def close(self) -> None:
        """End the connection, after what is held."""
        self.finish()
        self._transport.close()
