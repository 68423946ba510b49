"""What the routes about features answer with: JSON that its reader may have already, and refusals."""

from hashlib import sha256
from http import HTTPStatus

from pydantic import BaseModel

from gateway.errors import DatabaseUnavailable, GatewayError, RateLimited, Unauthenticated
from gateway.http.request import Header, Request, Response

_JSON = (b"content-type", b"application/json")


class Answer:
    """An answer with an ETag.

    Args:
        view: what it says.
        status: 200, or 403: only what is allowed is answered 304, a proxy must see a refusal in the status.
    """

    __slots__ = ("_etag", "_not_modified", "_whole")

    def __init__(self, view: BaseModel, status: int = HTTPStatus.OK) -> None:
        body = encoded(view)
        self._etag = b'"%s"' % sha256(body).hexdigest()[:32].encode()
        headers = [(b"etag", self._etag), (b"cache-control", b"private, no-cache")]
        self._whole = Response(status, [_JSON, _length(body), *headers], body)
        self._not_modified = Response(304, headers) if status == HTTPStatus.OK else None

    def response_to(self, request: Request) -> Response:
        """Return the response, or `304` to whoever has it (RFC 9110, section 13.1.2)."""
        known = request.headers.get(b"if-none-match")
        # no tag has quotes within, so that looking for this one in the whole list finds nothing else
        if known is not None and self._not_modified is not None and (self._etag in known or known.strip() == b"*"):
            return self._not_modified
        return self._whole


def encoded(view: BaseModel) -> bytes:
    """Return a view as JSON, without what was not set."""
    return view.model_dump_json(exclude_unset=True).encode()


def refusal_of(error: GatewayError, view: BaseModel) -> Response:
    """Return the response of a request that cannot be answered.

    Args:
        error: why.
        view: how the route says it.
    """
    match error:
        case Unauthenticated():
            return refusal(401, view, (b"www-authenticate", b"Bearer"))
        case RateLimited():
            return refusal(429, view, (b"retry-after", b"%d" % (error.retry_after or 1)))
        case DatabaseUnavailable():
            return refusal(503, view, (b"retry-after", b"5"))
    return refusal(400, view)


def refusal(status: int, view: BaseModel, *headers: Header) -> Response:
    """Return a response that is no decision."""
    body = encoded(view)
    return Response(status, [_JSON, _length(body), *headers], body)


def _length(body: bytes) -> Header:
    return b"content-length", b"%d" % len(body)
