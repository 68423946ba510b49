"""SQLite: its engines, its pragmas, and how Python's values are written into it. Imported only where it is used."""

import os
import sqlite3
from collections import OrderedDict
from datetime import UTC, datetime
from errno import EACCES
from functools import lru_cache
from pathlib import Path
from types import NoneType
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import URL

from gateway.errors import SettingsError

LOCK_WAIT_SECONDS = 5
"""How long a connection waits for another process that writes."""


def create_engine(url: URL, connections: int, begin: str | None, **options: Any) -> sa.Engine:
    """Return an engine of SQLite with the safety that money asks for.

    Args:
        url: of the file.
        connections: the most that are kept open.
        begin: the statement that opens a transaction. Taking the writer's lock at BEGIN queues writers instead of
            failing the second one at its first write (a deferred transaction that has read cannot be upgraded once
            another has written).
        options: of any engine.
    """
    if url.database:
        _make_file(Path(url.database))
    # the driver sends no BEGIN of its own
    arguments = {"isolation_level": None, "timeout": LOCK_WAIT_SECONDS, "check_same_thread": False}
    pool = {"poolclass": sa.QueuePool, "pool_size": connections, "max_overflow": 0}
    engine = sa.create_engine(url, **options, **pool, connect_args=arguments)
    sa.event.listen(engine, "connect", _set_pragmas)
    if begin:
        sa.event.listen(engine, "begin", lambda connection: _execute(connection.connection, begin))
    return engine


def _make_file(path: Path) -> None:
    """Make a database file, and its folder, unless it is there.

    One that is there is not opened: closing it would end the locks that this process has on it. Source:
    https://www.sqlite.org/howtocorrupt.html, 2.2.

    Raises:
        SettingsError: it cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()  # an empty file is an empty database
        elif not path.is_file() or not os.access(path, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES))
    except OSError as error:
        raise SettingsError(
            f"DATABASE_URL: {path} cannot be written ({error.strerror}); use a file in a folder of the gateway's own"
        ) from None


def _set_pragmas(connection: Any, _record: object) -> None:
    """Let readers go on beside the writer (WAL), and make a commit survive a power cut (FULL), which 2xx promises."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        _execute(connection, f"PRAGMA {pragma}")


def _execute(connection: Any, statement: str) -> None:
    cursor = connection.cursor()  # the driver's, for what every transaction needs
    cursor.execute(statement)
    cursor.close()


@lru_cache(1024)  # of one group, many moments are the same
def _moment(value: datetime) -> str:
    return (value if value.tzinfo is UTC else value.astimezone(UTC)).isoformat(" ", "microseconds")[:26]


# How SQLAlchemy would write these, and reads them.
sqlite3.register_adapter(datetime, _moment)
for kind in (list, dict, OrderedDict):  # Stripe's SDK reads objects as the last
    sqlite3.register_adapter(kind, lambda value: orjson.dumps(value).decode())


# These stay as they are, but each is looked for among all adapters, and asked itself, until it has one of its own.
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(NoneType, {}.get)  # type: ignore[arg-type]  # it gives None, which is what is bound
