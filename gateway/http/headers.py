"""The headers that an answer gets at the edge, as plain data: CORS, strict transport security, the request's id."""

from collections.abc import Iterable
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


class EdgeHeaders:
    """What the edge adds to an answer.

    Args:
        origins: whose pages may call.
        allowed: request headers that they may send beside `ALLOWED_HEADERS`.
    """

    def __init__(self, origins: Iterable[str], allowed: Iterable[str] = ()) -> None:
        self._origins = {origin.encode(): _cors(origin) for origin in origins}
        names = ", ".join((*ALLOWED_HEADERS, *allowed)).encode()
        self._written_origins = {origin: written(headers) for origin, headers in self._origins.items()}
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
            headers += self._origins.get(origin, ())
        headers.append((REQUEST_ID, request_id))
        return headers

    def written(self, scheme: str, origin: bytes | None, request_id: bytes) -> bytes:
        """Return the same as it is written."""
        line = b"x-request-id: " + request_id + b"\r\n"
        if origin is not None:
            line = self._written_origins.get(origin, b"") + line
        return _WRITTEN_TLS + line if scheme in {"https", "wss"} else line

    def preflight(self, origin: bytes) -> Response:
        """Answer a browser that asks whether a page may call."""
        if origin in self._origins:
            return Response(200, self._preflight)
        text = b"pages of this origin may not call the API: name it in GATEWAY_CORS_ORIGINS"
        length = (b"content-length", b"%d" % len(text))
        return Response(400, [(b"content-type", b"text/plain; charset=utf-8"), length], text)


def _cors(origin: str) -> tuple[Header, ...]:
    return (b"access-control-allow-origin", origin.encode()), _EXPOSED
