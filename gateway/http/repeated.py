"""Requests that come again byte for byte are not parsed again: what a page polls, and what a back end asks.

While a connection is idle, the same bytes are the same request to the same parser. Kept are those that came whole and
alone in a segment, and were answered at once.
"""

from typing import Any, Final, NamedTuple

from gateway.http.request import Header

MAX_BYTES: Final = 1_500  # of a request: about a segment
MAX_REQUESTS: Final = 256  # 1.5 MB; when there are more, all are forgotten


class Parsed(NamedTuple):
    """A request as the parser has read it; `made` is what `Request.made` keeps of it for when it comes again."""

    method: str
    target: bytes
    headers: list[Header]
    body: bytes
    made: dict[str, Any]


class RepeatedRequests:
    """Parsed requests by their bytes, of all connections."""

    def __init__(self) -> None:
        self._known: dict[bytes, Parsed] = {}

    def find(self, segment: bytes) -> Parsed | None:
        """Return the request that these bytes are, if it is known."""
        return self._known.get(segment) if len(segment) <= MAX_BYTES else None

    def keep(self, segment: bytes, parsed: Parsed) -> None:
        """Remember a request, which these bytes are and nothing else."""
        if len(segment) <= MAX_BYTES:
            if len(self._known) >= MAX_REQUESTS:
                self._known.clear()
            self._known[segment] = parsed
