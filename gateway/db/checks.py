"""What can be wrong with a database that answers: it cannot be written, or its file is another one."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from gateway.db.errors import READ_ONLY
from gateway.errors import DatabaseUnavailable


class DatabaseFile:
    """The file of a SQLite database, known by its inode.

    A process that has opened a file goes on writing to it after somebody has deleted or replaced it: all of that would
    be acknowledged, and gone with the process.

    Args:
        url: of the database; one without a file is always itself.
    """

    def __init__(self, url: URL) -> None:
        self._path = Path(url.database) if url.drivername == "sqlite" and url.database else None
        self._opened = self._identity()

    def check(self) -> None:
        """Check that it is still the file that was opened.

        Raises:
            DatabaseUnavailable: it was deleted or replaced.
        """
        if self._path and self._identity() != self._opened:
            raise DatabaseUnavailable(f"{self._path} was deleted or replaced; put it back, or restart the gateway")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None


def write_problem(connection: sa.Connection) -> str | None:
    """Return why nothing can be written; None when it can."""
    if connection.dialect.name != "postgresql":
        return None  # a file that cannot be written stops the start
    setting = connection.execute(sa.select(sa.func.current_setting("transaction_read_only"))).scalar()
    return f"the database cannot be used ({READ_ONLY})" if setting == "on" else None


def damage(connection: sa.Connection) -> str | None:
    """Return what SQLite finds damaged in its file; None when nothing is, or on PostgreSQL, which has its own tools.

    It reads the whole file. Source: https://sqlite.org/pragma.html#pragma_quick_check.
    """
    if connection.dialect.name != "sqlite":
        return None
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    return None if found == "ok" else found
