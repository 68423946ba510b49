"""SQLite with one hop to its thread for each statement.

The driver keeps a connection in a thread of its own, and asks it four times for one statement: a cursor, the execution,
the rows, the end of the cursor. Each time two threads wake each other, which costs more than most statements do.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any, Self

import aiosqlite


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """Open a connection, as `aiosqlite.connect` does.

    Args:
        database: the file.
        options: what `sqlite3.connect` takes.
    """
    connection = _Connection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does with the driver's own connections
    return connection


INSTRUCTIONS = 200  # of SQLite's machine between two looks at the clock: some microseconds, if nothing is to be awaited


def end_after(seconds: float, connection: sqlite3.Connection) -> None:
    """Have every statement of a connection end with an error (`interrupted`) that still runs in so many seconds."""
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, INSTRUCTIONS)


class _Connection(aiosqlite.Connection):
    """A connection whose cursors do everything at once."""

    def cursor(self) -> "_Cursor":  # type: ignore[override]
        """A cursor; nothing happens yet."""
        return _Cursor(self)

    async def rollback(self) -> None:
        """Roll back, if there is anything: a reading has begun no transaction."""
        if self.in_transaction:
            await super().rollback()

    async def run(self, cursor: "_Cursor", how: str, sql: str, parameters: Iterable[Any]) -> None:
        """Have a statement executed in the connection's thread."""
        await self._execute(lambda: cursor.take(getattr(self._conn, how)(sql, parameters)))  # type: ignore[no-untyped-call]


class _Cursor:
    """What SQLAlchemy needs of a cursor: its rows are read together with the execution."""

    arraysize = 1

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> Self:
        """Execute a statement and read all its rows."""
        await self._connection.run(self, "execute", sql, parameters)
        return self

    async def executemany(self, sql: str, parameters: Iterable[Any]) -> Self:
        """Execute a statement once for each set of parameters."""
        await self._connection.run(self, "executemany", sql, parameters)
        return self

    def take(self, cursor: sqlite3.Cursor) -> None:
        """Take everything over from the real cursor, in the connection's thread."""
        self.description, self.lastrowid = cursor.description, cursor.lastrowid
        self._rows = cursor.fetchall() if cursor.description else ()
        self.rowcount = cursor.rowcount  # of a statement with RETURNING it is known after its rows
        cursor.close()

    async def fetchall(self) -> Sequence[Any]:
        """The rows."""
        return self._rows

    async def close(self) -> None:
        """Nothing is open."""
