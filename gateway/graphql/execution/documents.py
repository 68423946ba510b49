"""Documents made ready to run: parsed, weighed, validated, and remembered."""

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    parse,
    specified_rules,
    validate,
)

from gateway.graphql.execution.cacheability import is_cacheable
from gateway.graphql.execution.compiler import Compiled
from gateway.graphql.execution.complexity import MAX_ERRORS, MAX_TOKENS, check_limits
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.observability import metrics

MAX_REMEMBERED_CHARACTERS = 1_000_000  # a parsed document takes about a hundred bytes for each
HIT, MISS = metrics.CACHE.labels("documents", "hit"), metrics.CACHE.labels("documents", "miss")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document, or what is wrong with it.

    Attributes:
        document: None when something is wrong.
        errors: what is wrong.
        compiled: what is compiled of it.
        public: whether everybody gets the same answer.
    """

    document: DocumentNode | None
    errors: tuple[GraphQLError, ...] = ()
    compiled: Compiled = field(default_factory=dict)
    public: bool = False


class Documents:
    """Prepares documents and remembers the recent ones.

    Args:
        schema: what they are validated against.
        persisted: what clients may name, and whether they may send anything else.
        introspection: whether they may ask for the schema, and errors may name its fields.
    """

    def __init__(self, schema: GraphQLSchema, persisted: PersistedDocuments, *, introspection: bool) -> None:
        self._schema = schema
        self._persisted = persisted
        self._open = introspection
        self._rules = specified_rules if introspection else (*specified_rules, NoSchemaIntrospectionCustomRule)
        self._remembered: OrderedDict[str, Prepared] = OrderedDict()
        self._characters = 0

    def prepare(self, operation: GraphQLRequest) -> Prepared:
        """The document of an operation, found, parsed and checked; its errors carry a code."""
        try:
            text = self._persisted.text_of(operation)
        except GraphQLError as error:
            return Prepared(None, (error,))
        prepared = self._remembered.get(text)
        if prepared is not None:
            HIT.inc()
            self._remembered.move_to_end(text)
            return prepared
        MISS.inc()
        prepared = self._remembered[text] = self._prepare(text)
        self._characters += len(text)
        while self._characters > MAX_REMEMBERED_CHARACTERS:
            oldest, _ = self._remembered.popitem(last=False)
            self._characters -= len(oldest)
        return prepared

    def _prepare(self, text: str) -> Prepared:
        try:
            document = parse(text, max_lexical_tokens=MAX_TOKENS, max_comments=MAX_TOKENS)
        except GraphQLError as error:
            return Prepared(None, (_coded(error, "GRAPHQL_PARSE_FAILED"),))
        heavy = tuple(islice(check_limits(self._schema, document), MAX_ERRORS))
        if heavy:
            return Prepared(None, heavy)
        errors = validate(self._schema, document, self._rules, max_errors=MAX_ERRORS, hide_suggestions=not self._open)
        if errors:
            return Prepared(None, tuple(_coded(error, "GRAPHQL_VALIDATION_FAILED") for error in errors[:MAX_ERRORS]))
        return Prepared(document, public=is_cacheable(self._schema, document))


def _coded(error: GraphQLError, code: str) -> GraphQLError:
    error.extensions = {**(error.extensions or {}), "code": code}
    return error
