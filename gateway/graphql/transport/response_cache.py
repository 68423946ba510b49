"""Answers that everybody gets alike, kept ready in front of the application: a pricing page costs its bytes.

A thin ASGI layer, because routing and request objects would cost more than the answer. What it keeps is what the
application answered, its CORS headers included, under everything that the answer may depend on. All of it belongs to
one snapshot of the catalogue, and goes with it: nothing has a time to live.

Other caches may keep a GET too, and must ask each time whether it is still good (`max-age=0, must-revalidate`). A time
during which they need not ask would be a time during which a price that has changed is shown; asking costs less here
than any answer (`304`).
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.billing.catalog.service import Catalog
from gateway.errors import RateLimited
from gateway.graphql.base.mutation_limits import address_of
from gateway.http.headers import REQUEST_ID, new_request_id
from gateway.http.rate_limit import Rates
from gateway.http.server import send_ready
from gateway.observability import metrics

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_SHARE: Final = 16  # one answer takes at most this part of the memory
OVERHEAD_BYTES: Final = 2_000  # of an answer that is kept: its headers, and Python's own

PERSONAL: Final = {b"authorization", b"cookie"}
"""Who sends one of these may be somebody in particular: the application answers, and nothing is kept."""

TELLING: Final = {b"accept", b"content-encoding", b"content-type", b"origin"}
"""The other headers that the application looks at. Whoever makes it look at one more adds it here."""

IF_NONE_MATCH: Final = b"if-none-match"

_SHARED = (
    (b"cache-control", b"public, max-age=0, must-revalidate"),
    (b"vary", b"Accept, Authorization, Origin"),
)
_UNMODIFIED = {b"access-control-allow-origin", b"cache-control", b"etag", b"vary"}
_HITS = metrics.CACHE.labels("answers", "hit")
_MISSES = metrics.CACHE.labels("answers", "miss")

Key = tuple[Any, ...]
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A public answer as it is sent, all but the request's id.

    Attributes:
        status: of HTTP.
        headers: its headers.
        body: its bytes.
        etag: names these bytes in this media type; None for a POST, which no other cache keeps.
        unmodified: the answer to who has it already (RFC 9110, section 15.4.5).
        head: the headers as they are written.
    """

    status: int
    headers: Headers
    body: bytes
    etag: bytes | None = None
    unmodified: "Answer | None" = None
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "head", b"".join(b"%b: %b\r\n" % header for header in self.headers))

    @classmethod
    def of(cls, method: str, headers: Headers, body: bytes) -> "Answer":
        """Return the application's answer to one request, for everybody."""
        kept = [header for header in headers if header[0] not in {REQUEST_ID, b"vary"}]
        if method == "POST":
            return cls(200, kept, body)
        media_type = next(value for name, value in headers if name == b"content-type")
        etag = b'"%s"' % hashlib.sha256(media_type + body).hexdigest()[:32].encode()
        kept = [header for header in kept if header[0] != b"cache-control"] + [*_SHARED, (b"etag", etag)]
        unmodified = cls(304, [header for header in kept if header[0] in _UNMODIFIED], b"")
        return cls(200, kept, body, etag, unmodified)

    async def send(self, unless: bytes | None, request_id: bytes, scope: Scope, send: Send) -> None:
        """Send the answer, or `304` to whoever has it.

        Args:
            unless: the request's `If-None-Match` (RFC 9110, section 13.1.2).
            request_id: the request's id.
            scope: of the request.
            send: to its client.
        """
        answer = self
        # no tag has quotes within, so that looking for this one in the whole list finds nothing else
        if unless is not None and self.unmodified and self.etag and (self.etag in unless or unless == b"*"):
            answer = self.unmodified
        head = b"%bx-request-id: %b\r\n" % (answer.head, request_id)
        if not send_ready(scope, answer.status, head, answer.body):
            headers = [*answer.headers, (REQUEST_ID, request_id)]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})


class PublicAnswers:
    """ASGI middleware that answers public queries from memory and passes everything else on.

    Args:
        app: the application; it says of an answer that it is public by `scope["state"]["public"]`.
        path: where it answers GraphQL.
        catalog: says which snapshot is the present one.
        rates: counts what is answered from here; what is passed on, the application counts.
    """

    def __init__(self, app: ASGIApp, path: str, catalog: Catalog, rates: Rates) -> None:
        self._app = app
        self._path = path
        self._catalog = catalog
        self._rates = rates
        self._snapshot: object | None = None  # whose answers these are
        self._answers: OrderedDict[Key, Answer] = OrderedDict()  # the one used last at the end
        self._bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] not in {"GET", "POST"}:
            await self._app(scope, receive, send)
            return
        key: list[Any] = [scope["method"], scope["scheme"], scope["query_string"]]
        unless = message = None
        for header in scope["headers"]:
            name = header[0]
            if name in TELLING:
                key.append(header)
            elif name == IF_NONE_MATCH:
                unless = header[1]
            elif name in PERSONAL:
                await self._app(scope, receive, send)
                return
        if scope["method"] == "POST":
            message = await receive()
            if message.get("more_body") or message["type"] != "http.request":
                await self._app(scope, _again(message, receive), send)  # a long body that comes in parts
                return
            key.append(message.get("body"))
        asked = tuple(key)
        answer = self._find(asked)
        if answer is None:
            _MISSES.inc()
            await self._ask(asked, unless, scope, _again(message, receive), send)
            return
        try:
            await self._rates.request(address_of(scope))
        except RateLimited:
            await self._app(scope, _again(message, receive), send)  # it counts too, and says how long to wait
            return
        _HITS.inc()
        await answer.send(unless, new_request_id().encode(), scope, send)

    def _find(self, key: Key) -> Answer | None:
        """Return the answer, if it belongs to the present snapshot."""
        present = self._catalog.current
        if present is None or present is not self._snapshot:
            self._answers.clear()
            self._bytes, self._snapshot = 0, present
            return None
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    async def _ask(self, key: Key, unless: bytes | None, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and keep the answer if it is public.

        A snapshot never comes back once it was replaced: if it is the present one before and after, the whole answer
        was made from it.
        """
        before = self._snapshot
        state = scope.setdefault("state", {})
        start: Message = {}
        body: list[bytes] = []

        async def take(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and state.get("public"):
                start = message
            elif not start:
                await send(message)
            else:
                body.append(message.get("body", b""))
                if not message.get("more_body"):
                    await finish()

        async def finish() -> None:
            headers: Headers = start["headers"]
            answer = Answer.of(scope["method"], headers, b"".join(body))
            if before is not None and before is self._snapshot and before is self._catalog.current:
                self._keep(key, answer)
            request_id = next(value for name, value in headers if name == REQUEST_ID)
            await answer.send(unless, request_id, scope, send)

        await self._app(scope, receive, take)

    def _keep(self, key: Key, answer: Answer) -> None:
        size = _size(key, answer)
        if key in self._answers or size > MAX_BYTES // MAX_SHARE:
            return
        self._answers[key] = answer
        self._bytes += size
        while self._bytes > MAX_BYTES:
            self._bytes -= _size(*self._answers.popitem(last=False))


def _size(key: Key, answer: Answer) -> int:
    """About how many bytes of memory an answer takes, with its key."""
    asked = sum(len(part) if isinstance(part, bytes) else len(part[-1]) for part in key)
    return OVERHEAD_BYTES + asked + len(answer.body)


def _again(message: Message | None, receive: Receive) -> Receive:
    """`receive` once more from the start, after its first message was taken."""
    waiting = [message] if message else []

    async def first() -> Message:
        return waiting.pop() if waiting else await receive()

    return first
