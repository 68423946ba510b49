"""Documents that a client names by a hash instead of sending them.

Trusted documents come from manifests that the build of a client wrote. Automatic persisted queries are learned from the
clients: one sends the hash alone, is told that it is not known, and sends it once more with its text.
Sources: Apollo's "Automatic Persisted Queries"; GraphQL over HTTP, appendix "Persisted Documents".
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from sys import getsizeof
from typing import Any

import orjson
from cachetools import LRUCache
from graphql import GraphQLError

from gateway.errors import BadInput, SettingsError
from gateway.graphql.execution.request import GraphQLRequest
from gateway.settings import Settings

MAX_LEARNED_BYTES = 1024 * 1024


class PersistedDocuments:
    """Finds the texts of the documents that clients name.

    Args:
        settings: the manifests, and whether anything else may run.
        own: what is trusted in any case, by its SHA-256: the documents of the package for browsers.
        max_learned_bytes: what the learned documents may take.

    Raises:
        SettingsError: a manifest cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        own: Mapping[str, str] | None = None,
        max_learned_bytes: int = MAX_LEARNED_BYTES,
    ) -> None:
        self._trusted: dict[str, str] = dict(own or {})
        for path in settings.trusted_documents:
            self._trusted |= _manifest(path)
        self._texts = frozenset(self._trusted.values())
        self._only = self._texts if settings.trusted_documents_only else None
        self._learned: LRUCache[str, str] = LRUCache(max_learned_bytes, getsizeof=lambda text: 500 + getsizeof(text))

    def text_of(self, request: GraphQLRequest) -> str:
        """Return the document of a request, whether it was sent or named.

        Raises:
            GraphQLError: it is not known, not trusted, or has another hash; its code says which.
        """
        name = (request.document_id or "").removeprefix("sha256:")
        text = request.query if request.query is not None else self._known(name)
        if self._only is not None and text not in self._only:
            raise _refused("PERSISTED_QUERY_NOT_IN_LIST", "only the documents that this server was given are run")
        if text is None:  # the words are those that Apollo's clients look for
            raise _refused("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
        if name and self._known(name) != text:
            self._learn(name, text)
        return text

    def is_trusted(self, text: str) -> bool:
        """Return whether a document is one that this server was given."""
        return text in self._texts

    def _known(self, name: str) -> str | None:
        return self._trusted.get(name) or self._learned.get(name)

    def _learn(self, name: str, text: str) -> None:
        """Remember a text under its hash, which is checked: nobody can put another text under it."""
        if _hash(text) != name:
            raise _refused(BadInput.code, "the SHA-256 of the `query` is not the one that the request names")
        self._learned[name] = text


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _refused(code: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"code": code})


def _manifest(path: Path) -> dict[str, str]:
    """Read the documents of a manifest, by the names that it gives them and by their SHA-256.

    Two formats are in use: Apollo's list of operations (`@apollo/generate-persisted-query-manifest`, Apollo Kotlin and
    iOS), and one object of hash and document (GraphQL Code Generator's client preset, Relay's compiler).

    Raises:
        SettingsError: it cannot be read, or has neither format.
    """
    try:
        content = orjson.loads(path.read_bytes())
        named = _apollo(content) if "operations" in content else dict(content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unusable(path, f"{type(error).__name__}: {error}") from None
    if not named or not all(isinstance(text, str) for text in named.values()):
        raise _unusable(path, "it has no documents")
    return {_hash(text): text for text in named.values()} | {
        name.removeprefix("sha256:"): text for name, text in named.items()
    }


def _apollo(content: dict[str, Any]) -> dict[str, str]:
    if content.get("format") != "apollo-persisted-query-manifest":
        raise ValueError("its `format` is not apollo-persisted-query-manifest")
    return {str(operation["id"]): operation["body"] for operation in content["operations"]}


def _unusable(path: Path, reason: str) -> SettingsError:
    return SettingsError(
        f"GATEWAY_TRUSTED_DOCUMENTS: {path} is no manifest of documents ({reason}); give it the JSON that Apollo's "
        "generate-persisted-query-manifest, GraphQL Code Generator (persistedDocuments) or Relay's compiler wrote"
    )
