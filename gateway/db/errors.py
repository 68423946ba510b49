"""Driver errors as the gateway's own."""

import re

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import BadInput, DatabaseUnavailable

READ_ONLY = "it is read-only: DATABASE_URL names a standby, or a server that is set to read-only"
NO_RIGHT = "its user lacks a right: let it own the schema and the tables, which a backup may have restored as another's"
SHARED = "a pooler gave this process another one's connection: see `gateway doctor`"
WORDS = {
    "25006": READ_ONLY,  # read_only_sql_transaction
    "26000": SHARED,  # a prepared statement is not there, or is already
    "42501": NO_RIGHT,  # insufficient_privilege
    "42P05": SHARED,
    "53100": "the disk of its server is full",
    "53200": "its server has no memory left",
    "53300": "it has no connection left: raise its max_connections, or lower GATEWAY_DATABASE_CONNECTIONS",
    "55P03": "a lock was held for longer than its lock_timeout",
    "57014": "a statement was cancelled, mostly by its statement_timeout",
}
"""What PostgreSQL's SQLSTATE says, where the error's name does not say it.
Source: https://www.postgresql.org/docs/current/errcodes-appendix.html."""
NO_CONNECTION = r"too many clients|connection slots|too many connections"
"""The words of a server that accepts no more connections: of a refused connection the driver tells no SQLSTATE."""
DAMAGED = "its file is damaged: stop the gateway and restore a backup"


class ConnectionLost(DatabaseUnavailable):
    """The connection ended before the commit, so that nothing is left of the transaction."""


class translate_errors:  # noqa: N801 - reads as a context manager
    """Tell an unusable database from a wrong statement.

    Raises:
        DatabaseUnavailable: the database cannot be used. What the driver says may hold the password, so only the
            error's name is repeated.
        BadInput: a text holds the character NUL, which PostgreSQL cannot store.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and (reason := unavailability_reason(error)):
            raise DatabaseUnavailable(f"the database cannot be used ({reason})") from error
        if isinstance(error, DataError) and re.search(r"NUL|\\u0000", str(error.orig)):
            raise BadInput("a text must not hold the character NUL") from error


def unavailability_reason(error: BaseException) -> str | None:
    """Return in a word or two why the database itself is at fault; None when what was asked of it is."""
    cause = getattr(error, "orig", None) or error
    if "no such table" in str(cause) or type(cause).__name__ == "UndefinedTable":
        return "it is not migrated: run `gateway db upgrade`"
    if words := WORDS.get(getattr(cause, "sqlstate", None) or ""):
        return words
    if isinstance(error, OperationalError) and re.search(NO_CONNECTION, str(cause)):
        return WORDS["53300"]
    if getattr(cause, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DAMAGED
    gone = isinstance(error, DBAPIError) and error.connection_invalidated
    at_fault = isinstance(error, OperationalError | InterfaceError | PoolTimeout) or _is_sqlites(error)
    return type(cause).__name__ if gone or at_fault else None


def _is_sqlites(error: BaseException) -> bool:
    """Return whether it is SQLite's own `OperationalError`; its driver is not imported for PostgreSQL."""
    return (type(error).__module__, type(error).__name__) == ("sqlite3", "OperationalError")


def is_deadlock(error: BaseException | None) -> bool:
    """Return whether PostgreSQL ended this transaction so that others could go on; the same again will work."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in {"40001", "40P01"}


def is_lock_timeout(error: BaseException | None) -> bool:
    """Return whether PostgreSQL's `lock_timeout` ended a statement that waited for a lock."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == "55P03"
