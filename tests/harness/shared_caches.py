"""What one test process need not find out again for each gateway in it.

Each test has a gateway and databases of its own, and each of those would compile its statements and validate its
documents anew: a sixth of the suite's CPU.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import structlog
from graphql import DocumentNode, GraphQLError, GraphQLSchema, validate
from pydantic._internal import _fields
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from gateway.graphql.execution import documents

_CACHES: defaultdict[type, LRUCache[Any, Any]] = defaultdict(lambda: LRUCache(2000))


def share_caches() -> None:
    """Let all gateways of this process, and the rows that tests make, share what follows from code alone."""
    share_compiled_statements()
    _remember_valid_documents()
    # SQLModel asks it of each default of each row that is made; it reads the factory's signature.
    _fields.takes_validated_data_argument = functools.cache(_fields.takes_validated_data_argument)  # type: ignore[assignment]


def share_compiled_statements() -> None:
    """Let engines of the same dialect use what another one has compiled: a statement's key has the dialect in it."""
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        dialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign, assignment]
        dialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign, assignment]
    shared = property(lambda self: _CACHES[type(self.dialect)], lambda *_: None)
    sa.Engine._compiled_cache = shared  # type: ignore[assignment]


def log_plain_tracebacks() -> None:
    """Do not draw what is logged where nothing is configured: rich takes a hundredth of a second for each traceback."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


def _remember_valid_documents() -> None:
    """Validate a text against a schema once; of what is valid, its hash is remembered."""
    valid: set[int] = set()

    def validate_once(
        schema: GraphQLSchema, document: DocumentNode, rules: Sequence[Any], **options: Any
    ) -> list[GraphQLError]:
        text = document.loc.source.body if document.loc else ""
        key = hash((schema, text, tuple(rules), *options.items()))
        if text and key in valid:
            return []
        if not (errors := validate(schema, document, rules, **options)):
            valid.add(key)
        return errors

    documents.validate = validate_once  # type: ignore[assignment]
