"""The parameter that makes a test run on SQLite and on PostgreSQL, a runtime on a database, and who waits there."""

from typing import Any

import pytest

from gateway.db.database import Database
from gateway.runtime import Runtime, compose
from gateway.settings import Settings
from harness.waiting import eventually_async

both_databases = pytest.mark.parametrize(
    "database_url",
    ["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)],
    indirect=True,
    ids=["sqlite", "postgres"],
)

sqlite_later = pytest.mark.parametrize(
    "database_url",
    [pytest.param("sqlite_url", marks=pytest.mark.soak), pytest.param("postgres_url", marks=pytest.mark.postgres)],
    indirect=True,
    ids=["sqlite", "postgres"],
)
"""Both, of what is dear: PostgreSQL in `make test`, SQLite with the judges."""

postgres_later = pytest.mark.parametrize(
    "database_url",
    ["sqlite_url", pytest.param("postgres_url", marks=[pytest.mark.postgres, pytest.mark.soak])],
    indirect=True,
    ids=["sqlite", "postgres"],
)
"""The other way round."""

both_connections = pytest.mark.parametrize(
    "connection", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
"""The same for a test of statements, which needs a transaction alone."""


def runtime_at(url: str, **overrides: Any) -> Runtime:
    """A runtime on a database, by default without a key for Stripe; whoever asks for it closes it."""
    return compose(Settings.load(database_url=url, **overrides))


async def waiters(database: Database, lock: str, count: int = 1) -> None:
    """Wait until so many wait for a user lock, which the test holds."""

    async def waiting() -> int:
        return database.on_commit.waiting(f"lock:{lock}")

    await eventually_async(waiting, count)
