"""A database without a gateway before it."""

import pytest

from gateway.db.database import Database
from gateway.db.notifications import Notifications
from harness.rows import put


@pytest.fixture
async def database(sqlite_url):
    """Migrated and empty, on SQLite; changes of access are told."""
    database = Database(sqlite_url, endpoints=("https://shop.example/hooks",), on_commit=Notifications())
    yield database
    await database.close()


@pytest.fixture
def fill(database):
    """Writes rows."""

    async def write(*rows) -> None:
        await database.transaction(lambda connection: put(connection, *rows))

    return write
