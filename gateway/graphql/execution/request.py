"""GraphQL over HTTP: what a request must look like and which answer it accepts.

Source: the GraphQL over HTTP specification. A request that cannot be read is refused here with a 4xx.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from gateway.http.server import body_of

MAX_BODY_BYTES = 100 * 1024
JSON = "application/json"
GRAPHQL = "application/graphql-response+json"
_DOCUMENT_IDS = ("documentId", "doc_id", "id")  # the specification's draft, Relay, and others
_RANGES = {"*/*": JSON, "application/*": JSON, JSON: JSON, GRAPHQL: GRAPHQL}


class BadRequest(Exception):
    """A request that is no GraphQL request.

    Args:
        status: the HTTP status.
        message: what to send instead.
        code: the error's code.
        headers: to send along.
    """

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        code: str = "BAD_USER_INPUT",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client wants to run: the text of a document, the name of a persisted one, or both."""

    query: str | None
    name: str | None
    variables: dict[str, Any]
    document_id: str | None = None


Headers = Mapping[bytes, bytes]


def headers_of(scope: Scope) -> Headers:
    """The headers of a request by their names in small letters; of one that comes twice, the first."""
    return dict(reversed(scope["headers"]))


async def read(scope: Scope, headers: Headers, receive: Receive) -> GraphQLRequest:
    """The operation of a GET or POST request.

    Raises:
        BadRequest: when there is none that can be read.
    """
    if scope["method"] == "POST":
        return operation_of(_json(await _body(headers, receive), "the body"))
    query = QueryParams(scope["query_string"])
    parsed = {
        name: _json(query[name].encode(errors="replace"), f"`{name}`")
        for name in ("variables", "extensions")
        if query.get(name)
    }
    return operation_of({**query, **parsed})


async def _body(headers: Headers, receive: Receive) -> bytes:
    # A form or plain text could be sent by any page of the web without asking (CSRF); JSON makes a browser ask first.
    if not _is_json(headers.get(b"content-type", b"")):
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the query as {JSON} in UTF-8")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body uncompressed")
    body = await body_of(receive, MAX_BODY_BYTES)
    if body is None:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the body ended too early")
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {MAX_BODY_BYTES} bytes")
    return body


@lru_cache(maxsize=64)
def _is_json(content_type: bytes) -> bool:
    kind = Message()
    kind["content-type"] = content_type.decode("latin-1")
    return kind.get_content_type() == JSON and kind.get_content_charset("utf-8") == "utf-8"


def _json(text: bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"{what} is no JSON: {error}") from None


def operation_of(request: Any) -> GraphQLRequest:
    """The operation that a request's JSON describes.

    Raises:
        BadRequest: when it describes none.
    """
    if isinstance(request, list):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "send one query in a request: batches are not supported")
    if not isinstance(request, dict):
        raise BadRequest(
            HTTPStatus.BAD_REQUEST, 'the body must be a JSON object such as {"query": "{ pricing { asOf } }"}'
        )
    for name in ("query", "operationName", *_DOCUMENT_IDS):
        if request.get(name) is not None and not isinstance(request[name], str):
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"`{name}` must be a string")
    for name in ("variables", "extensions"):
        if request.get(name) is not None and not isinstance(request[name], dict):
            raise BadRequest(HTTPStatus.BAD_REQUEST, f"`{name}` must be a JSON object")
    document_id = next((request[name] for name in _DOCUMENT_IDS if request.get(name)), None) or _apollo_hash(request)
    if not request.get("query") and not document_id:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "there is no `query`")
    return GraphQLRequest(
        request.get("query") or None, request.get("operationName") or None, request.get("variables") or {}, document_id
    )


def _apollo_hash(request: dict[str, Any]) -> str | None:
    """The hash of Apollo's persisted queries."""
    persisted = (request.get("extensions") or {}).get("persistedQuery")
    if persisted is None:
        return None
    if isinstance(persisted, dict) and persisted.get("version") == 1 and isinstance(persisted.get("sha256Hash"), str):
        return str(persisted["sha256Hash"])
    raise BadRequest(
        HTTPStatus.BAD_REQUEST, "`extensions.persistedQuery` must be an object with `version` 1 and a `sha256Hash`"
    )


@lru_cache(maxsize=64)
def accepted(header: bytes | None) -> str:
    """The media type to answer in.

    Raises:
        BadRequest: when the client takes none of ours.
    """
    for wanted in _by_quality(header or b"*/*"):
        if wanted in _RANGES:
            return _RANGES[wanted]
    raise BadRequest(HTTPStatus.NOT_ACCEPTABLE, f"the answer can be {GRAPHQL} or {JSON}")


def prefers_html(header: bytes | None) -> bool:
    """Whether this is a browser that shows a page."""
    first = next(iter(_by_quality(header or b"")), None)
    return first in {"text/html", "application/xhtml+xml"}


def _by_quality(header: bytes) -> list[str]:
    """The media types of an `Accept` header, the most wanted first."""
    wanted = []
    for part in header.decode("latin-1").split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        wanted.append((_number(quality), kind))
    return [kind for quality, kind in sorted(wanted, key=lambda each: -each[0]) if quality > 0]


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
    headers: Iterable[tuple[bytes, bytes]] = ()


async def respond(send: Send, answer: Answer, media_type: str) -> None:
    """Send a response. It is its reader's alone; what may be shared, the cache in front says (`cache.py`)."""
    content = orjson.dumps(answer.body)
    headers = [*_HEADERS[media_type], (b"content-length", b"%d" % len(content)), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


_HEADERS = {
    kind: ((b"content-type", f"{kind}; charset=utf-8".encode()), (b"cache-control", b"private, no-store"))
    for kind in (JSON, GRAPHQL)
}
