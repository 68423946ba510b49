"""The headers that an answer gets at the edge, as plain data: CORS, strict transport security, the request's id."""

from collections.abc import Container, Iterable
from typing import Final

from gateway.http.request import Header, Response, written

REQUEST_ID: Final = b"x-request-id"
ALLOWED_HEADERS: Final = (
    "Accept",
    "Accept-Language",
    "Authorization",
    "Content-Language",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "X-Request-Id",
    "X-Requested-With",
    # tracing, of browsers: W3C Trace Context and Baggage, Sentry
    "Baggage",
    "Sentry-Trace",
    "Traceparent",
    "Tracestate",
    # Apollo's clients
    "Apollo-Require-Preflight",
    "Apollographql-Client-Name",
    "Apollographql-Client-Version",
    "X-Apollo-Operation-Name",
)
"""The request headers that pages may send."""

_TLS: Final = (b"strict-transport-security", b"max-age=31536000")
_WRITTEN_TLS: Final = written([_TLS])
_EXPOSED: Final = (b"access-control-expose-headers", b"X-Request-Id, Retry-After, ETag")
_NONE: Final[tuple[tuple[Header, ...], bytes]] = ((), b"")


class EdgeHeaders:
    """What the edge adds to an answer.

    Args:
        origins: whose pages may call.
        allowed: request headers that they may send beside `ALLOWED_HEADERS`.
    """

    def __init__(self, origins: Container[str], allowed: Iterable[str] = ()) -> None:
        self._origins = origins
        self._known: dict[bytes, tuple[tuple[Header, ...], bytes]] = {}
        names = ", ".join((*ALLOWED_HEADERS, *allowed)).encode()
        self._preflight = (
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", names),
            (b"access-control-max-age", b"3600"),
            (b"content-length", b"0"),
        )

    def of(self, scheme: str, origin: bytes | None, request_id: bytes) -> list[Header]:
        """Return the headers of an answer to one request.

        Args:
            scheme: by which the client came.
            origin: the request's `Origin`.
            request_id: the request's id.
        """
        headers = [_TLS] if scheme in {"https", "wss"} else []
        if origin is not None:
            headers += self._cors(origin)[0]
        headers.append((REQUEST_ID, request_id))
        return headers

    def written(self, scheme: str, origin: bytes | None, request_id: bytes) -> bytes:
        """Return the same as it is written."""
        line = b"x-request-id: " + request_id + b"\r\n"
        if origin is not None:
            line = self._cors(origin)[1] + line
        return _WRITTEN_TLS + line if scheme in {"https", "wss"} else line

    def preflight(self, origin: bytes) -> Response:
        """Answer a browser that asks whether a page may call."""
        if self._cors(origin) is not _NONE:
            return Response(200, self._preflight)
        text = b"pages of this origin may not call the API: name it in GATEWAY_CORS_ORIGINS"
        length = (b"content-length", b"%d" % len(text))
        return Response(400, [(b"content-type", b"text/plain; charset=utf-8"), length], text)

    def _cors(self, origin: bytes) -> tuple[tuple[Header, ...], bytes]:
        """Return what an answer to a page has more, and the same as it is written; nothing where it may not call."""
        known = self._known.get(origin)
        if known is None:
            if origin.decode("latin-1") not in self._origins:
                return _NONE
            headers = (b"access-control-allow-origin", origin), _EXPOSED
            known = self._known[origin] = headers, written(headers)
        return known
