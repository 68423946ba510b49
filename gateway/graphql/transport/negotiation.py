"""GraphQL over HTTP: the media types of requests and answers, the body, and the JSON of a URL.

Sources: the GraphQL over HTTP specification; for events, GraphQL over SSE (`events.py`). A request that
cannot be read is refused with a 4xx.
"""

from collections.abc import Iterable, Sequence
from email.message import Message
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from starlette.datastructures import QueryParams
from starlette.responses import Response as HttpResponse

from gateway.billing.catalog.shown import Shown
from gateway.graphql.execution.request import BadRequest, GraphQLRequest
from gateway.http.request import Header, Request

MAX_BODY_BYTES = 100 * 1024
MAX_HEADER_BYTES = 512  # of the headers whose reading is remembered
JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
EVENTS = "text/event-stream"
_RANGES = {"*/*": JSON, "application/*": JSON, JSON: JSON, GRAPHQL: GRAPHQL, EVENTS: EVENTS}

COMPLETE_EVENT = b"event: complete\ndata:\n\n"
"""The last event of an operation (GraphQL over SSE)."""


def read_request(request: Request) -> GraphQLRequest:
    """Read the GraphQL request of a GET or POST.

    Raises:
        BadRequest: there is none that can be read.
    """
    if request.method == "POST":
        return GraphQLRequest.of(_json(_body(request), "the body"))
    query = QueryParams(request.query)
    parsed = {
        name: _json(query[name].encode(errors="replace"), f"`{name}`")
        for name in ("variables", "extensions")
        if query.get(name)
    }
    return GraphQLRequest.of({**query, **parsed})


def _body(request: Request) -> bytes:
    headers = request.headers
    # A form or plain text could be sent by any page of the web without asking (CSRF); JSON makes a browser ask first.
    if not _is_json(headers.get(b"content-type", b"")):
        raise BadRequest(
            f"the body is of another type: send the query as {JSON} in UTF-8", HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        )
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise BadRequest("the body is compressed: send it as it is", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    if len(request.body) > MAX_BODY_BYTES:
        raise BadRequest(
            f"the body is too long: it may have {MAX_BODY_BYTES} bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )
    return request.body


def _json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{what} is no JSON: {error}") from None


def _is_json(content_type: bytes) -> bool:
    return _is_json_known(content_type) if len(content_type) <= MAX_HEADER_BYTES else False


@lru_cache(maxsize=64)
def _is_json_known(content_type: bytes) -> bool:
    kind = Message()
    kind["content-type"] = content_type.decode("latin-1")
    return kind.get_content_type() == JSON and kind.get_content_charset("utf-8") == "utf-8"


def accepted(header: bytes | None) -> str:
    """Return the media type to answer in.

    Raises:
        BadRequest: the client takes none of ours.
    """
    header = header or b"*/*"
    media_type = _accepted_known(header) if len(header) <= MAX_HEADER_BYTES else _accepted(header)
    if media_type is None:
        raise BadRequest(
            f"no answer is of a type that `Accept` names: accept {GRAPHQL}, {JSON} or {EVENTS}",
            HTTPStatus.NOT_ACCEPTABLE,
        )
    return media_type


def _accepted(header: bytes) -> str | None:
    """Return the most wanted media type; who merely lists events among others, as wanted as they, gets JSON."""
    known = [(quality, _RANGES[wanted]) for quality, wanted in _by_quality(header) if wanted in _RANGES]
    return max(known, key=lambda each: (each[0], each[1] != EVENTS))[1] if known else None


_accepted_known = lru_cache(maxsize=64)(_accepted)


def takes_events(header: bytes | None) -> bool:
    """Return whether a client takes events, of which a live update can be made, among whatever else."""
    return header is not None and EVENTS.encode() in header.lower() and _takes_events(header[:MAX_HEADER_BYTES])


@lru_cache(maxsize=64)
def _takes_events(header: bytes) -> bool:
    return any(wanted == EVENTS for _, wanted in _by_quality(header))


def prefers_html(header: bytes | None) -> bool:
    """Return whether this is a browser that shows a page."""
    return any(wanted in {"text/html", "application/xhtml+xml"} for _, wanted in _by_quality(header or b"")[:1])


def _by_quality(header: bytes) -> list[tuple[float, str]]:
    """Return the media types of an `Accept` header with how much they are wanted, the most wanted first."""
    wanted = []
    for part in header.decode("latin-1").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        wanted.append((_number(quality), kind))
    return [(quality, kind) for quality, kind in sorted(wanted, key=lambda each: -each[0]) if quality > 0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Answer(NamedTuple):
    """A GraphQL response.

    Attributes:
        body: what becomes its JSON.
        status: of HTTP.
        headers: beside those that every answer has.
    """

    body: dict[str, Any]
    status: int = 200
    headers: Iterable[Header] = ()


class Rendered(NamedTuple):
    """A response as it goes over the wire, without what the edge adds.

    Attributes:
        status: of HTTP.
        headers: its own.
        body: its bytes.
        shown: where everybody may have it: what it shows of the catalogue. Empty where it is its reader's alone.
    """

    status: int
    headers: list[Header]
    body: bytes
    shown: Sequence[Shown] = ()

    @classmethod
    def of(cls, response: HttpResponse) -> "Rendered":
        """Return a response of Starlette's."""
        return cls(response.status_code, response.raw_headers, bytes(response.body))


def rendered(answer: Answer, media_type: str, shown: Sequence[Shown] = ()) -> Rendered:
    """Return a GraphQL response as JSON, or as one event. What may be shared, and how, the response cache says."""
    body = orjson.dumps(answer.body)
    if media_type == EVENTS and answer.status == HTTPStatus.OK:
        body = next_event(body) + COMPLETE_EVENT
    elif media_type == EVENTS:
        media_type = JSON  # a client by events reads the status of it
    headers = [*_HEADERS[media_type], (b"content-length", b"%d" % len(body)), *answer.headers]
    return Rendered(answer.status, headers, body, shown)


def next_event(body: bytes) -> bytes:
    """Return an event with an answer, which is JSON on one line."""
    return b"event: next\ndata: %b\n\n" % body


_HEADERS = {
    kind: ((b"content-type", f"{kind}; charset=utf-8".encode()), (b"cache-control", b"private, no-store"))
    for kind in (JSON, GRAPHQL, EVENTS)
}
