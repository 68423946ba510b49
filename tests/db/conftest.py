"""Databases as processes have them: each with its notifications."""

import asyncio
import contextlib

import pytest

from gateway.db.database import Database
from gateway.db.notifications import Notifications


@contextlib.asynccontextmanager
async def process(url, **options):
    """Open a database with notifications of its own, as another process would."""
    notifications = Notifications()
    database = Database(url, endpoints=(), on_commit=notifications, **options)
    with notifications.subscribe("anything") as begun:
        task = asyncio.create_task(notifications.run(database))
        await asyncio.wait_for(begun.wait(), 10)  # at its start it tells everybody to look
    yield database
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()


@pytest.fixture
async def database(database_url):
    """A migrated, empty database."""
    async with process(database_url) as database:
        yield database


@pytest.fixture
async def another(database_url, database):
    """The same database in another process."""
    async with process(database_url) as another:
        yield another


@pytest.fixture
def process_of():
    """Open a database by its URL, with options, as another process would."""
    return process
