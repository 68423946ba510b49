"""What can be wrong with a database that answers: it cannot be written, or its file is another one."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import URL

from gateway.db.engines import connect_arguments
from gateway.db.errors import NO_RIGHT, READ_ONLY
from gateway.errors import DatabaseUnavailable

if TYPE_CHECKING:
    import psycopg

POOLER = (
    "DATABASE_URL leads to a pooler that shares connections between transactions, where no change is heard: "
    "name PostgreSQL itself, or let the pooler work by sessions (PgBouncer: pool_mode = session)"
)
LOOKS = 5


class DatabaseFile:
    """The file of a SQLite database, and its log beside it, known by their inodes.

    A process that has opened a file goes on writing to it after somebody has deleted or replaced it: all of that would
    be acknowledged, and gone with the process.

    Args:
        url: of the database; one without a file is always itself.
    """

    def __init__(self, url: URL) -> None:
        self._path = url.database if url.drivername == "sqlite" else None
        self._log = f"{self._path}-wal" if self._path else None
        self._opened = _identity(self._path)
        self._logged: Identity | None = None

    def check(self) -> None:
        """Check that both are still those that were opened.

        Raises:
            DatabaseUnavailable: one of them was deleted or replaced.
        """
        if self._path and _identity(self._path) != self._opened:
            raise DatabaseUnavailable(f"{self._path} was deleted or replaced; put it back, or restart the gateway")
        if self._logged and _identity(self._log) != self._logged:
            raise DatabaseUnavailable(f"{self._log} was deleted; restart the gateway, then run `gateway reconcile`")

    def note_log(self) -> None:
        """Note, within a transaction, which log this process writes to; it stays while a connection is open."""
        if self._logged is None:
            self._logged = _identity(self._log)

    def forget_log(self, *_: object) -> None:
        """Take whatever log there is next for the right one: SQLite deletes it with the last connection."""
        self._logged = None


Identity = tuple[int, int]
"""The device and inode of a file."""


def _identity(path: str | None) -> Identity | None:
    try:
        found = os.stat(path) if path else None  # noqa: PTH116 - for each reading; a Path takes twice as long
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


_EVENTS = sa.func.to_regclass("event")  # null where there is no such table
_WRITABLE = sa.select(
    sa.func.current_setting("transaction_read_only"),
    sa.and_(*(sa.func.has_table_privilege(_EVENTS, right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE"))),
)


def write_problem(connection: sa.Connection) -> str | None:
    """Return why nothing can be written; None when it can."""
    if connection.dialect.name != "postgresql":
        return None  # a file that cannot be written stops the start
    read_only, has_rights = connection.execute(_WRITABLE).one()
    reason = READ_ONLY if read_only == "on" else NO_RIGHT if has_rights is False else None
    return f"the database cannot be used ({reason})" if reason else None


def encoding_problem(connection: sa.Connection) -> str | None:
    """Return why PostgreSQL's database cannot hold every name; None where it can."""
    if connection.dialect.name != "postgresql":
        return None
    encoding = connection.execute(sa.select(sa.func.current_setting("server_encoding"))).scalar()
    return None if encoding == "UTF8" else f"the encoding of the database is {encoding}, which cannot hold every name"


def damage(connection: sa.Connection) -> str | None:
    """Return what SQLite finds damaged in its file; None when nothing is, or on PostgreSQL, which has its own tools.

    It reads the whole file. Source: https://sqlite.org/pragma.html#pragma_quick_check.
    """
    if connection.dialect.name != "sqlite":
        return None
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    return None if found == "ok" else found


class Replication(NamedTuple):
    """What becomes of commits that were answered when PostgreSQL's server is lost.

    Attributes:
        synchronous_commit: the setting; `off` and `local` wait for no standby, `off` not even for the disk.
        synchronous: how many standbys a commit may wait for.
        asynchronous: how many follow later.
        hidden: how many are not shown to this user.
    """

    synchronous_commit: str
    synchronous: int
    asynchronous: int
    hidden: int

    @property
    def waits(self) -> bool:
        """Whether a commit waits for a standby."""
        return bool(self.synchronous) and self.synchronous_commit not in {"off", "local"}


_REPLICATION = sa.text(
    "SELECT current_setting('synchronous_commit'), count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')),"
    " count(*) FILTER (WHERE sync_state IN ('async', 'potential')), count(*) FILTER (WHERE sync_state IS NULL)"
    " FROM pg_stat_replication WHERE pid NOT IN (SELECT active_pid FROM pg_replication_slots"
    " WHERE slot_type = 'logical' AND active_pid IS NOT NULL)"
)


def replication(connection: sa.Connection) -> Replication | None:
    """Return how PostgreSQL's standbys follow; None on SQLite.

    Source: https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW.
    """
    return Replication(*connection.execute(_REPLICATION).one()) if connection.dialect.name == "postgresql" else None


async def pooler_problem(url: URL) -> str | None:
    """Return why a pooler before PostgreSQL will not do; None when there is none, or one that pools by sessions.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    import psycopg

    arguments = connect_arguments(url)
    try:
        async with await psycopg.AsyncConnection.connect(autocommit=True, **arguments) as connection:
            return None if await is_session(connection, arguments) else POOLER
    except (psycopg.Error, OSError) as error:
        raise DatabaseUnavailable(f"the database cannot be used ({type(error).__name__})") from error


async def is_session(connection: "psycopg.AsyncConnection", arguments: Mapping[str, Any]) -> bool:
    """Return whether a connection has a server process of its own for as long as it lasts, so that LISTEN is heard.

    Where a pooler shares connections between transactions, LISTEN is somebody else's a moment later, and nobody says
    so: the gateway would answer from memory what another process has changed. That there is a pooler tells the key with
    which a query is cancelled, which names another process than the one that answers. How it shares is tried out: does
    another one get the same process, or this one another?

    Args:
        connection: outside a transaction.
        arguments: with which psycopg made it.
    """
    import psycopg

    server = await _server_process(connection)
    if server == connection.info.backend_pid:
        return True
    try:
        for _ in range(LOOKS):
            async with await psycopg.AsyncConnection.connect(**arguments) as other:  # its transaction stays open
                if await _server_process(other) == server or await _server_process(connection) != server:
                    return False
    except psycopg.errors.ProtocolViolation:  # one that shares between statements has no transactions at all
        return False
    return True


async def _server_process(connection: "psycopg.AsyncConnection") -> int:
    """Return the number of the process of PostgreSQL's that answers."""
    ((number,),) = await (await connection.execute("SELECT pg_backend_pid()", prepare=False)).fetchall()
    return int(number)
