"""Responses that are the same for everybody, kept in front of the application: a pricing page costs its bytes.

What is kept is what the application answered, under everything that the answer may depend on; the edge adds CORS and
the request's id. It is good as long as the catalogue shows the same where the answer has looked: nothing has a time to
live.

Other caches may keep a GET too, and must ask each time whether it is still good (`max-age=0, must-revalidate`). A time
during which they need not ask would be a time during which a price that has changed is shown; asking costs less here
than any answer (`304`).
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from cachetools import LRUCache
from starlette.types import Receive, Send

from gateway.billing.catalog.service import Catalog
from gateway.billing.catalog.shown import Shown, is_unchanged
from gateway.billing.catalog.snapshot import Snapshot
from gateway.graphql.transport.negotiation import Rendered, takes_events
from gateway.graphql.transport.throttle import Throttle
from gateway.http.fast_path import AsyncHandler, Respond, send_response
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import Request, Response
from gateway.observability import metrics

MAX_BYTES: Final = 6 * 1024 * 1024
MAX_SHARE: Final = 16  # one response takes at most this part of the memory
OVERHEAD_BYTES: Final = 3_000  # of an entry beside its body and what was asked: headers, and Python's own (measured)

PERSONAL: Final = {b"authorization", b"cookie"}
"""Who sends one of these may be somebody in particular: the application answers, and nothing is kept."""

SIGNIFICANT: Final = {b"accept", b"content-encoding", b"content-type"}
"""The other headers that the application looks at. Whoever makes it look at one more adds it here."""

_CACHEABLE_METHODS: Final = {"GET", "POST"}
_SHARED = (
    (b"cache-control", b"public, max-age=0, must-revalidate"),
    (b"vary", b"Accept, Authorization, Origin"),
)
_HITS = metrics.CACHE.labels("answers", "hit")
_MISSES = metrics.CACHE.labels("answers", "miss")

Key = tuple[object, ...]

Follow = Callable[[Request, Receive, Send], Awaitable[bool]]


@dataclass(slots=True)
class CachedResponse:
    """A response that everybody may have.

    Attributes:
        whole: the response.
        size: about how many bytes of memory it takes, with its key.
        shown: what the answer depends on.
        etag: names these bytes in this media type; None for a POST, which no other cache keeps.
        not_modified: the response to who has it already (RFC 9110, section 15.4.5).
        good_in: the mark of the last snapshot in which it was found to be good.
    """

    whole: Response
    size: int
    shown: Sequence[Shown]
    etag: bytes | None = None
    not_modified: Response | None = None
    good_in: int = 0

    @classmethod
    def of(cls, request: Request, made: Rendered) -> "CachedResponse":
        """Make one of what the application answered to a request."""
        headers, shown = made.headers, made.shown
        body = memoryview(made.body).tobytes()  # a copy: the serializer's own buffer stays as large as it grew
        size = OVERHEAD_BYTES + len(body) + len(request.query) + len(request.body) + sum(map(_size_of, shown))
        size += sum(len(value) for name, value in request.raw_headers if name in SIGNIFICANT)
        if request.method == "POST":
            return cls(Response(200, headers, body), size, shown)
        media_type = next(value for name, value in headers if name == b"content-type")
        etag = b'"%s"' % hashlib.sha256(media_type + body).hexdigest()[:32].encode()
        shared = [*_SHARED, (b"etag", etag)]
        others = [header for header in headers if header[0] != b"cache-control"]
        return cls(Response(200, [*others, *shared], body), size, shown, etag, Response(304, shared))

    def is_good(self, snapshot: Snapshot) -> bool:
        """Return whether it would be the same if it were made from a snapshot."""
        if self.good_in != snapshot.mark and is_unchanged(self.shown, snapshot):
            self.good_in = snapshot.mark
        return self.good_in == snapshot.mark

    def response_to(self, request: Request) -> Response:
        """Return the response, or `304` to whoever has it (RFC 9110, section 13.1.2)."""
        known = request.headers.get(b"if-none-match")
        # no tag has quotes within, so that looking for this one in the whole list finds nothing else
        if known is not None and self.not_modified and self.etag and (self.etag in known or known == b"*"):
            return self.not_modified
        return self.whole


class ResponseCache:
    """The fast handler of `/graphql`: it answers public queries from memory, and lets the application answer the rest.

    Args:
        app: the application.
        catalog: says which snapshot is the current one.
        limiter: counts what is answered at once.
        throttle: counts what is not.
        follow: serves a live update to a client that takes events, or says that it is none.
        max_bytes: what it may take; the least recently used entries go first.
    """

    def __init__(
        self,
        app: Callable[[Request], Awaitable[Rendered]],
        catalog: Catalog,
        limiter: RateLimiter,
        throttle: Throttle,
        *,
        follow: Follow | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._app = app
        self._follow = follow
        self._later = AsyncHandler(self._answer)
        self._throttle = throttle
        self._catalog = catalog
        self._limiter = limiter
        self._largest = max_bytes // MAX_SHARE
        self._entries: LRUCache[Key, CachedResponse] = LRUCache(max_bytes, getsizeof=lambda entry: entry.size)

    def take(self, request: Request, respond: Respond) -> bool:
        """Answer from memory if the answer is there and its reader has not asked too often, else a little later."""
        key = _key(request)
        entry = self._find(key, self._catalog.current) if key else None
        if entry is None or not self._limiter.admit(request.client):
            is_live = self._follow is not None and takes_events(request.headers.get(b"accept"))
            return not is_live and self._later.take(request, respond)
        _HITS.inc()
        respond(entry.response_to(request))
        return True

    async def stream(self, request: Request, receive: Receive, send: Send) -> None:
        """Answer a client that takes events: a live update as long as it lasts, everything else as ever."""
        response = await self._refusal(request)
        if response is None and self._follow and await self._follow(request, receive, send):
            return
        await send_response(send, response or await self._made(request))

    async def _answer(self, request: Request) -> Response:
        return await self._refusal(request) or await self._made(request)

    async def _refusal(self, request: Request) -> Response | None:
        """Count a request; the response to one too many."""
        refusal = await self._throttle.refusal(request.client, request.authorization)
        return Response(refusal.status_code, refusal.raw_headers, bytes(refusal.body)) if refusal else None

    async def _made(self, request: Request) -> Response:
        """Let the application answer unless the answer is there by now, and keep the response if it is public."""
        key = _key(request)
        if key and key in self._entries and (entry := self._find(key, await self._catalog.snapshot())):
            _HITS.inc()
            return entry.response_to(request)
        if key:
            _MISSES.inc()
        made = await self._app(request)
        if not (key and made.shown):
            return Response(made.status, made.headers, made.body)
        entry = CachedResponse.of(request, made)
        if entry.size <= self._largest:
            self._entries[key] = entry
        return entry.response_to(request)

    def _find(self, key: Key, current: Snapshot | None) -> CachedResponse | None:
        """Return the entry, if it is known to be good in the present snapshot."""
        entry = self._entries.get(key)
        if current is None or entry is None:
            return None
        if entry.is_good(current):
            return entry
        del self._entries[key]
        return None


def _size_of(shown: Shown) -> int:
    """Return about how many bytes of memory it takes to remember what was shown (measured)."""
    return 500 + 100 * (len(shown.mark) if isinstance(shown.mark, tuple) else 1)


def _key(request: Request) -> Key | None:
    """Return everything that the answer may depend on; None for a request whose answer is not kept, such as that of
    whoever may be somebody in particular.
    """
    if (known := request.made.get("key")) is not None:
        return cast("Key", known)
    if request.method not in _CACHEABLE_METHODS:
        return None
    key: list[object] = [request.method, request.query]
    for header in request.raw_headers:
        name = header[0]
        if name in SIGNIFICANT:
            key.append(header)
        elif name in PERSONAL:
            return None
    if request.method == "POST":
        key.append(request.body)
    request.made["key"] = found = tuple(key)
    return found
