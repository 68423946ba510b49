"""The migrations make exactly the tables that the models describe."""

import asyncio

import psycopg
import pytest
import sqlalchemy as sa

from gateway import migrations
from gateway.errors import DatabaseUnavailable
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


@pytest.fixture
async def database(database_url):
    opened = runtime_at(database_url).database
    yield opened
    await opened.close()


@both_databases
async def test_a_database_that_a_newer_version_has_migrated_will_do_and_one_that_is_behind_will_not(database):
    assert await migrations.problem(database) is None
    for revision, expected in (("9999", None), ("0001", "behind"), (None, "behind")):
        change = sa.text(
            "DELETE FROM alembic_version" if revision is None else "UPDATE alembic_version SET version_num=:to"
        )
        await database.transaction(lambda connection, c=change, to=revision: connection.execute(c, {"to": to}))
        problem = await migrations.problem(database)
        assert problem is None if expected is None else expected in problem
        assert problem is None or "gateway db upgrade" in problem


@pytest.mark.postgres
async def test_behind_a_long_reader_an_upgrade_lets_the_others_read_and_goes_on_when_it_can(empty_postgres_url):
    database = runtime_at(empty_postgres_url).database
    await migrations.upgrade(database, "0002")
    read = "SELECT count(*) FROM subscription_item"  # of which 0003 drops an index
    with psycopg.connect(empty_postgres_url) as reader:
        reader.execute(read)
        with pytest.raises(DatabaseUnavailable, match="lock_timeout"):
            await migrations.upgrade(database, lock_seconds=0.1, patience=0.3)
        upgrade = asyncio.create_task(migrations.upgrade(database, lock_seconds=0.3))
        for _ in range(5):
            await asyncio.sleep(0.2)  # the upgrade waits and tries again meanwhile
            await database.read(lambda connection: connection.exec_driver_sql(read).scalar(), seconds=3)
        assert not upgrade.done()
        assert await migrations.current(database) == "0002"
    await upgrade
    assert await migrations.current(database) == migrations.head()
    await database.close()
