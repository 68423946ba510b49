"""The database's migrations: `gateway db upgrade`, and what `gateway dev` does at its start.

Alembic is imported only to migrate: a gateway that serves compares two numbers.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlmodel import SQLModel

import gateway.models  # noqa: F401 - fills SQLModel.metadata
from gateway.db.checks import encoding_problem, write_problem
from gateway.db.database import Database
from gateway.db.errors import is_lock_timeout
from gateway.errors import DatabaseUnavailable, SettingsError

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent
LOCK = 7_262_466_001
"""Key of the PostgreSQL advisory lock under which one process at a time migrates."""
LOCK_SECONDS, PATIENCE_SECONDS = 2.0, 120.0
UTF8 = "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"


def _config(connection: sa.Connection | None = None) -> "Config":
    """Return Alembic's configuration, without a file: the scripts stand beside this module, in a wheel too."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """Return the revision that this version of the gateway needs: the highest number among the scripts' names."""
    numbers = [path.name.partition("_")[0] for path in (HERE / "versions").glob("[0-9]*.py")]
    if not numbers:
        raise RuntimeError("the package holds no migrations; it was built wrongly")
    return max(numbers)


async def _run(database: Database, work: Callable[[sa.Connection], Any]) -> Any:
    return await database.transaction(work, seconds=None)


async def upgrade(
    database: Database, to: str = "head", *, lock_seconds: float = LOCK_SECONDS, patience: float = PATIENCE_SECONDS
) -> None:
    """Bring the database to a revision, in one transaction and one process at a time.

    On PostgreSQL a statement that waits for its lock makes everybody wait who comes after it, readers included. So it
    gives up soon, lets them through, and tries again.

    Args:
        database: to migrate.
        to: the revision.
        lock_seconds: how long a statement waits for its lock.
        patience: for how many seconds it is tried again.

    Raises:
        SettingsError: it is empty, and cannot hold every name.
        DatabaseUnavailable: others have held a lock all the time; nothing has changed.
    """
    from alembic import command

    if await current(database) is None and (problem := await database.read(encoding_problem)):
        raise SettingsError(f"DATABASE_URL: {problem}; {UTF8}")

    def work(connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(lock_seconds * 1000)}")
        command.upgrade(_config(connection), to)

    until = time.monotonic() + patience
    while True:
        try:
            await _run(database, work)
        except DatabaseUnavailable as error:
            if not is_lock_timeout(error.__cause__) or time.monotonic() > until:
                raise
        else:
            return
        await asyncio.sleep(lock_seconds)


async def problem(database: Database) -> str | None:
    """Return why this version of the gateway cannot work with the database; None when it can.

    A database that a newer version has migrated will do: otherwise an upgrade would make all running processes
    unready at once.
    """
    try:
        return await behind(database) or await database.read(write_problem)
    except DatabaseUnavailable as error:
        return str(error)


async def behind(database: Database) -> str | None:
    """Return what to do about a database that an older version has migrated, or nobody; None when it is not behind.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    revision, needed = await current(database), head()
    if revision is None or revision < needed:
        return f"the database is at migration {revision or 'nothing'}, behind {needed}: run `gateway db upgrade`"
    return None


async def current(database: Database) -> str | None:
    """Return the revision that the database is at; None when it is empty."""

    def work(connection: sa.Connection) -> str | None:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        number: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return number

    return await database.read(work)


async def drift(database: Database) -> list[str]:
    """Return how the migrated tables differ from the models; any difference is a missing migration."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def work(connection: sa.Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, SQLModel.metadata)]

    differences: list[str] = await _run(database, work)
    return differences


async def revision(database: Database, message: str) -> None:
    """Write a new migration from the difference between the tables and the models, for developers."""
    from alembic import command

    number = f"{int(head()) + 1:04}"
    await _run(
        database,
        lambda connection: command.revision(_config(connection), message, autogenerate=True, rev_id=number),
    )
