"""Documents made ready to run: parsed, limited, validated, and remembered.

The cache is bounded by what it takes, not by the length of the texts: five characters that are refused can take more
than a hundred that are run. So errors are kept as clients see them (an exception would hold the parser), and of a
document its tokens and the fields that may be compiled are counted. A test measures that no kind takes more than is
counted.
"""

from dataclasses import dataclass, field
from itertools import islice
from sys import getsizeof
from typing import Any

import orjson
from cachetools import LRUCache
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NamedTypeNode,
    NonNullTypeNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    Token,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)

from gateway.graphql.execution.cacheability import is_cacheable
from gateway.graphql.execution.complexity import MAX_ERRORS, MAX_TOKENS, DocumentCost, check_limits, cost_of
from gateway.graphql.execution.kept_json import KeptJson
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.observability import metrics

MAX_CACHE_BYTES = 8 * 1024 * 1024

MAX_VARIANTS = 4
"""For how many combinations of the variables of `@skip` and `@include` one document is compiled."""

MAX_COMPILED_FIELDS = 1000
"""How many fields are compiled of one document, in all variants."""

BASE_BYTES, TOKEN_BYTES, FIELD_BYTES = 6000, 520, 800
"""What a document takes, each of its tokens, and each field that is compiled (measured, the most of several kinds)."""

HIT, MISS = metrics.CACHE.labels("documents", "hit"), metrics.CACHE.labels("documents", "miss")


@dataclass(slots=True)
class CompiledCode:
    """What the engine has compiled of one document.

    Attributes:
        room: how many fields may still be compiled.
        kept: the JSON of shared objects, of all documents.
        variants: functions, by the values of the variables of `@skip` and `@include`, then by type and selection.
    """

    room: int = 0
    kept: KeptJson = field(default_factory=KeptJson)
    variants: dict[Any, dict[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document, or what is wrong with it.

    Attributes:
        document: None when something is wrong.
        errors: what is wrong, as clients see it.
        compiled: what is compiled of it.
        cacheable: whether everybody gets the same answer.
        size: the bytes that it may take, once everything is compiled.
        trusted: whether the operator vouches for it, so that metrics may name its operations.
        known: its operations that were asked for, by the name that was given.
    """

    document: DocumentNode | None
    errors: tuple[dict[str, Any], ...] = ()
    compiled: CompiledCode = field(default_factory=CompiledCode)
    cacheable: bool = False
    size: int = BASE_BYTES
    trusted: bool = False
    known: dict[str | None, OperationDefinitionNode] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Return the operation of a name, or the only one; None when there is none, or it is not clear which."""
        found = self.known.get(name)
        if found is None and self.document and (found := get_operation_ast(self.document, name)):
            self.known[name] = found
        return found


class Documents:
    """Prepares documents and remembers the recent ones.

    Args:
        schema: what they are validated against.
        persisted: what clients may name, and whether they may send anything else.
        introspection: whether they may ask for the schema, and errors may name its fields.
        max_cache_bytes: what the remembered ones may take.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        persisted: PersistedDocuments,
        *,
        introspection: bool,
        max_cache_bytes: int = MAX_CACHE_BYTES,
    ) -> None:
        self._schema = schema
        self._persisted = persisted
        self._introspection = introspection
        self._rules = specified_rules if introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._kept = KeptJson()
        self._cache: LRUCache[str, Prepared] = LRUCache(max_cache_bytes, getsizeof=lambda prepared: prepared.size)

    def prepare(self, request: GraphQLRequest) -> Prepared:
        """Return the document of a request, found, parsed and checked; its errors carry a code."""
        try:
            text = self._persisted.text_of(request)
        except GraphQLError as error:
            return Prepared(None, (dict(error.formatted),))
        prepared = self._cache.get(text)
        if prepared is not None:
            HIT.inc()
            return prepared
        MISS.inc()
        prepared = self._prepare(text)
        if prepared.size <= self._cache.maxsize:
            self._cache[text] = prepared
        return prepared

    def _prepare(self, text: str) -> Prepared:
        try:
            document = parse(text, max_lexical_tokens=MAX_TOKENS, max_comments=MAX_TOKENS)
        except GraphQLError as error:
            return _refused(text, "GRAPHQL_PARSE_FAILED", error)
        cost = cost_of(self._schema, document)
        if exceeded := list(islice(check_limits(cost), MAX_ERRORS)):
            return _refused(text, None, *exceeded)
        suggests = self._introspection
        errors = validate(self._schema, document, self._rules, max_errors=MAX_ERRORS, hide_suggestions=not suggests)
        if errors:
            return _refused(text, "GRAPHQL_VALIDATION_FAILED", *errors[:MAX_ERRORS])
        room = _room(cost)
        size = _text_bytes(text) + TOKEN_BYTES * _tokens(document) + FIELD_BYTES * room
        code, cacheable = CompiledCode(room, self._kept), is_cacheable(self._schema, document)
        return Prepared(document, (), code, cacheable, size, self._persisted.is_trusted(text))


def _refused(text: str, code: str | None, *errors: GraphQLError) -> Prepared:
    """Return what is remembered of a document that is not run."""
    shown = tuple(_formatted(error, code) for error in errors)
    return Prepared(None, shown, size=_text_bytes(text) + sum(2000 + 5 * len(orjson.dumps(s)) for s in shown))


def _formatted(error: GraphQLError, code: str | None) -> dict[str, Any]:
    extensions = {**(error.extensions or {}), **({"code": code} if code else {})}
    return {**error.formatted, "extensions": extensions}


def _text_bytes(text: str) -> int:
    """Return what a text takes by itself, and again in its tokens: a comment is one."""
    return BASE_BYTES + 2 * getsizeof(text)


def _tokens(document: DocumentNode) -> int:
    """Count the tokens of a document, with its comments."""
    token: Token | None = document.loc.start_token if document.loc else None
    count = 0
    while token is not None:
        token, count = token.next, count + 1
    return count


def _room(document: DocumentCost) -> int:
    """Return how many fields of a document may be compiled: all of them in each variant, up to a limit."""
    fields, switches = 0, 0
    for node, cost in document.operations:
        fields += cost.total
        for variable in node.variable_definitions or ():
            kind = variable.type.type if isinstance(variable.type, NonNullTypeNode) else variable.type
            switches += isinstance(kind, NamedTypeNode) and kind.name.value == "Boolean"
    variants = MAX_VARIANTS if switches > 1 else 1 + switches
    return min(2 * fields * variants, MAX_COMPILED_FIELDS)
