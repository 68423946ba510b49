"""The migrations make exactly the tables that the models describe."""

import asyncio

from gateway import migrations
from harness.databases import both_databases, runtime_at


@both_databases
def test_the_migrated_tables_are_the_models(database_url):
    async def differences() -> list[str]:
        database = runtime_at(database_url).database
        try:
            return await migrations.drift(database)
        finally:
            await database.close()

    assert asyncio.run(differences()) == []


@both_databases
def test_two_processes_that_migrate_at_once_both_succeed(database_url):
    async def both() -> None:
        databases = [runtime_at(database_url).database, runtime_at(database_url).database]
        await asyncio.gather(*(asyncio.to_thread(asyncio.run, migrations.upgrade(one)) for one in databases))
        for database in databases:
            await database.close()

    asyncio.run(both())
