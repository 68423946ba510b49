"""One cache of compiled statements for all the engines of a test process.

Each test has databases of its own, and each engine compiles its statements anew: a tenth of the suite's CPU.
"""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

_CACHES: defaultdict[type, LRUCache[Any, Any]] = defaultdict(lambda: LRUCache(2000))


def share_compiled_statements() -> None:
    """Let engines of the same dialect use what another one has compiled: a statement's key has the dialect in it."""
    for dialect in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        dialect.__eq__ = lambda self, other: type(self) is type(other)  # type: ignore[method-assign, assignment]
        dialect.__hash__ = lambda self: hash(type(self))  # type: ignore[method-assign, assignment]
    shared = property(lambda self: _CACHES[type(self.dialect)], lambda *_: None)
    sa.Engine._compiled_cache = shared  # type: ignore[assignment]
