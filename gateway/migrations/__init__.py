"""The database's migrations: `gateway db upgrade`, and what `gateway dev` does at its start."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

import gateway.models  # noqa: F401 - fills SQLModel.metadata
from gateway.database import Database

LOCK = 7_262_466_001
"""Key of the PostgreSQL advisory lock under which one process at a time migrates."""


def _config(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration, without a file: the scripts lie beside this module, also in a wheel."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The revision that this version of the gateway needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("the package holds no migrations; it was built wrongly")
    return revision


async def _run(database: Database, work: Callable[[sa.Connection], Any]) -> Any:
    async with database.write() as connection:
        return await connection.run_sync(work)


async def upgrade(database: Database) -> None:
    """Bring the database to `head`, in one transaction and one process at a time."""

    def work(connection: sa.Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        command.upgrade(_config(connection), "head")

    await _run(database, work)


async def current(database: Database) -> str | None:
    """The revision that the database is at; None when it is empty."""
    revision: str | None = await _run(
        database, lambda connection: MigrationContext.configure(connection).get_current_revision()
    )
    return revision


async def drift(database: Database) -> list[str]:
    """In what the migrated tables differ from the models; nothing, or a migration is missing."""

    def work(connection: sa.Connection) -> list[str]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, SQLModel.metadata)]

    differences: list[str] = await _run(database, work)
    return differences


async def revision(database: Database, message: str) -> None:
    """Write a new migration from the difference between the tables and the models (for developers)."""
    await _run(database, lambda connection: command.revision(_config(connection), message, autogenerate=True))
