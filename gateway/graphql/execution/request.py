"""What a client asks for, read from the JSON of a body, of a URL or of a WebSocket message.

Source: the GraphQL over HTTP specification, "Request".
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

_DOCUMENT_IDS = ("documentId", "doc_id", "id")  # the specification's draft, Relay, and others
_TEXTS = frozenset({"query", "operationName", *_DOCUMENT_IDS})
_OBJECTS = frozenset({"variables", "extensions"})


class BadRequest(Exception):
    """A request that is no GraphQL request.

    Args:
        message: what to send instead.
        status: the HTTP status.
        code: the error's code.
        headers: to send along.
    """

    def __init__(
        self,
        message: str,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        code: str = "BAD_USER_INPUT",
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client wants to run.

    Attributes:
        query: the text of a document; None when it is named.
        operation_name: which of the document's operations.
        variables: their values.
        document_id: the name of a persisted document, such as its SHA-256.
    """

    query: str | None
    operation_name: str | None
    variables: dict[str, Any]
    document_id: str | None = None

    @classmethod
    def of(cls, request: Any) -> Self:
        """Return the request that some JSON describes.

        Raises:
            BadRequest: it describes none.
        """
        if isinstance(request, list):
            raise BadRequest("batches are not supported: send one query in a request")
        if not isinstance(request, dict):
            raise BadRequest('the body must be a JSON object such as {"query": "{ pricing { asOf } }"}')
        for name, value in request.items():
            if name in _TEXTS and not (value is None or isinstance(value, str)):
                raise BadRequest(f"`{name}` must be a string")
            if name in _OBJECTS and not (value is None or isinstance(value, dict)):
                raise BadRequest(f"`{name}` must be a JSON object")
        document_id = next(filter(None, map(request.get, _DOCUMENT_IDS)), None) or _apollo_hash(request)
        query = request.get("query") or None
        if query is None and document_id is None:
            raise BadRequest("there is no `query`: send the document in it")
        return cls(query, request.get("operationName") or None, request.get("variables") or {}, document_id)


def _apollo_hash(request: dict[str, Any]) -> str | None:
    """Return the hash of Apollo's persisted queries (Apollo, "Automatic Persisted Queries")."""
    persisted = (request.get("extensions") or {}).get("persistedQuery")
    if persisted is None:
        return None
    if isinstance(persisted, dict) and persisted.get("version") == 1 and isinstance(persisted.get("sha256Hash"), str):
        return str(persisted["sha256Hash"])
    raise BadRequest("`extensions.persistedQuery` must be an object with `version` 1 and a `sha256Hash`")
