"""Copy a SQLite database while it is in use. A plain copy of the file lacks what its write-ahead log holds."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from gateway.errors import BadInput, DatabaseUnavailable


def backup(source: Path, target: Path) -> int:
    """Copy a database into a file that appears when it is whole, checked and on disk; its size in bytes.

    The copy is of one moment: all that was committed before. Whoever writes meanwhile does not wait.

    Args:
        source: the database's file.
        target: the copy; readable by its owner alone, because it holds what the database holds.

    Raises:
        BadInput: there is such a file already, or it cannot be written.
        DatabaseUnavailable: the database cannot be read, or the copy is damaged.
    """
    if target.exists():
        raise BadInput(f"{target} is there already: name another file")
    partial = target.with_name(f"{target.name}.partial")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise BadInput(f"{partial} is there: another backup is at work, or was killed; then delete it") from None
    except OSError as error:
        raise BadInput(f"{target} cannot be written ({error.strerror})") from None
    try:
        _copy(source, partial)
        _sync(partial)
        os.link(partial, target)  # which, unlike a renaming, never replaces a file
        _sync(target.parent)
        return target.stat().st_size
    except FileExistsError:
        raise BadInput(f"{target} is there already: name another file") from None
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"{source} cannot be copied ({error})") from error
    except OSError as error:
        raise BadInput(f"{target} cannot be written ({error.strerror})") from None
    finally:
        for left in (partial, *(partial.with_name(f"{partial.name}{end}") for end in ("-wal", "-shm", "-journal"))):
            with suppress(FileNotFoundError):
                left.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy all pages in one reading, and read the copy to its end.

    Sources: https://www.sqlite.org/backup.html, https://sqlite.org/pragma.html#pragma_quick_check.
    """
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as from_,
        closing(sqlite3.connect(target)) as to,
    ):
        from_.backup(to)
        to.execute("PRAGMA journal_mode = DELETE")  # one file; the gateway chooses its own mode when it opens it
        found = to.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise DatabaseUnavailable(f"the copy is damaged, so {source} is too ({found}): restore an earlier backup")


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
