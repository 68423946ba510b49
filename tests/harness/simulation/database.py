"""The database of a history: SQLite in memory, by one connection that all of its processes share.

A piece of work runs at one moment, so that no other one ever sees half of it. A history begins with what was kept: the
tables are filled anew and not made anew, so that SQLite goes on with the statements that it has read.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import URL

from gateway.db.engines import create_engines

MEMORY = "sqlite://"


class _Lasting(sqlite3.Connection):
    """A connection that outlives the processes which have used it."""

    def close(self) -> None:
        """Do nothing."""


class _LastingConnection(sa.Connection):
    """A connection of SQLAlchemy's for one piece of work after the other: to make each costs as much as a look."""

    def close(self) -> None:
        """End what was begun, and stay open."""
        self.rollback()


class _Engine(sa.Engine):
    """An engine whose pieces of work share one connection."""

    _lasting: _LastingConnection | None = None

    def connect(self) -> sa.Connection:
        self._lasting = self._lasting or _LastingConnection(self)
        return self._lasting

    def dispose(self, close: bool = True) -> None:  # noqa: ARG002 - as SQLAlchemy has it
        """Give the connection back, which outlives the process: SQLAlchemy remembers each that is not."""
        if self._lasting:
            super(_LastingConnection, self._lasting).close()
            self._lasting = None


class MemoryDatabase:
    """One database.

    Args:
        source: the file that it begins with.
    """

    def __init__(self, source: Path) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=2_000, factory=_Lasting)
        with sqlite3.connect(source) as file:
            file.backup(self._connection)
        self._execute("PRAGMA foreign_keys = ON")
        self._execute("ATTACH ':memory:' AS kept")
        self._tables = [name for (name,) in self._execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        self._filled: dict[str, list[str]] = {}
        """The tables that have rows, by the name under which they are kept."""
        self._seen = self._written = 0
        engine, _ = create_engines(sa.make_url(MEMORY), readers=1, writers=1)
        engine.connect().close()  # so the dialect asks what this SQLite can do, once
        self._dialect = engine.dialect

    def keep(self, as_: str) -> None:
        """Keep what is there now, under a name."""
        self._filled[as_] = [name for name in self._tables if next(self._execute(f'SELECT 1 FROM "{name}"'), None)]  # noqa: S608
        for name in self._filled[as_]:
            self._execute(f'CREATE TABLE kept."{as_} {name}" AS SELECT * FROM main."{name}"')  # noqa: S608

    def renew(self, kept: str) -> None:
        """Begin with what was kept under a name. No table refers to another, so that their order is of no account.

        No PRAGMA is set on the way: each would have SQLite read every statement anew.
        """
        self._execute("BEGIN")
        for name in self._tables:
            self._execute(f'DELETE FROM main."{name}"')  # noqa: S608
        for name in self._filled[kept]:
            self._execute(f'INSERT INTO main."{name}" SELECT * FROM kept."{kept} {name}"')  # noqa: S608
        self._execute("COMMIT")
        self._seen, self._written = 0, self._connection.total_changes

    def tells_of_access(self) -> bool:
        """Return whether something was told since the last call that may decide somebody's access."""
        if self._written == self._connection.total_changes:
            return False
        self._written = self._connection.total_changes
        new = self._execute("SELECT id, topics FROM notification WHERE id > ? ORDER BY id", [self._seen]).fetchall()
        self._seen = new[-1][0] if new else self._seen
        topics = (topic for _, told in new for topic in orjson.loads(told))
        return any(not topic.startswith(("lock:", "credits:")) for topic in topics)

    def engines(self, url: URL, *, readers: int = 1, writers: int = 1) -> tuple[sa.Engine, sa.Engine]:  # noqa: ARG002
        """Return the engines of a process, for its readings and its transactions."""
        pools = (sa.StaticPool(lambda: self._connection, reset_on_return=None) for _ in range(2))
        reader, writer = (_Engine(pool, self._dialect, url) for pool in pools)
        sa.event.listen(writer, "begin", lambda _: self._execute("BEGIN IMMEDIATE"))
        return reader, writer

    def _execute(self, statement: str, given: Sequence[Any] = ()) -> Any:
        return self._connection.execute(statement, given)
