"""The migrations make exactly the tables that the models describe."""

import asyncio

from gateway import migrations
from gateway.db.database import Database
from harness.databases import both_databases


@both_databases
def test_the_migrated_tables_are_the_models(database_url):
    async def differences() -> list[str]:
        database = Database(database_url)
        try:
            return await migrations.drift(database)
        finally:
            await database.close()

    assert asyncio.run(differences()) == []


@both_databases
def test_two_processes_that_migrate_at_once_both_succeed(database_url):
    async def both() -> None:
        databases = [Database(database_url), Database(database_url)]
        await asyncio.gather(*(asyncio.to_thread(asyncio.run, migrations.upgrade(one)) for one in databases))
        for database in databases:
            await database.close()

    asyncio.run(both())
