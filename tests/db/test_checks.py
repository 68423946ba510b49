"""A database that answers and cannot be used: read-only, replaced, damaged."""

import asyncio
import contextlib
import shutil
from functools import partial
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from gateway import migrations
from gateway.errors import DatabaseUnavailable, SettingsError
from harness.command import run
from harness.databases import runtime_at
from harness.gateway import SERVICE, make_world
from harness.subscriptions import customer

SPEND = """mutation {
  spendCredits(input: {externalId: "ada", amount: 1, idempotencyKey: "one"}) { userErrors { code } }
}"""


def an_event(world):
    return world.event("a.b", {"object": "thing", "id": "thing_1"})


def checked(url):
    """What the doctor says of a database."""
    done = run("doctor", DATABASE_URL=url)
    assert "Traceback" not in done.stdout
    return next(line for line in done.stdout.splitlines() if "database:" in line)


@contextlib.contextmanager
def read_only(url):
    """The server allows no writing while the block runs, as a standby does."""
    name = sa.make_url(url).database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid != pg_backend_pid()"
        connection.execute(others, [name])  # sessions keep what they began with
        yield
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


@pytest.mark.postgres
def test_a_read_only_database_is_not_ready_and_its_fault(postgres_url):
    with make_world(postgres_url) as world, contextlib.ExitStack() as stack:
        customer(world, "ada")
        world.eventually(lambda: not world.rows("event", status="pending"))
        stack.enter_context(read_only(postgres_url))
        ready = world.client.get(f"{world.url}/readyz")
        assert ready.status_code == 503
        assert "read-only" in ready.json()["status"]
        assert world.deliver(an_event(world)).status_code == 503
        (error,) = world.graphql(SPEND, headers=SERVICE).json()["errors"]
        assert error["extensions"]["code"] == "UNAVAILABLE"
        assert "✗ database" in checked(postgres_url)
        assert "read-only" in checked(postgres_url)


@pytest.mark.postgres
async def test_a_database_that_cannot_hold_every_name_is_refused(empty_postgres_url, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")  # what a client would take for its own encoding
    monkeypatch.setenv("PGDATESTYLE", "German")  # in which the driver reads no time
    right = runtime_at(empty_postgres_url).database
    name = f"{right.url.database}_latin"
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute(f"""CREATE DATABASE "{name}" ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0""")
        wrong = runtime_at(right.url.set(database=name).render_as_string(hide_password=False)).database
        with pytest.raises(SettingsError, match=r"LATIN1, which cannot hold every name; CREATE DATABASE"):
            await migrations.upgrade(wrong)
        await wrong.close()
        connection.execute(f'DROP DATABASE "{name}"')
    smile = sa.select(sa.literal("\U0001f600"))
    assert await right.read(lambda connection: connection.execute(smile).scalar()) == "\U0001f600"
    assert await right.read(lambda connection: connection.execute(sa.select(sa.func.now())).scalar())
    await right.close()


@pytest.mark.postgres
async def test_a_user_who_may_not_write_is_told_so_and_not_ready(postgres_url):
    """As after a restore by somebody else, or in a schema that only its owner may fill (PostgreSQL 15)."""
    url = sa.make_url(postgres_url)
    name = f"reader_of_{url.database}"
    database = runtime_at(url.set(username=name).render_as_string(hide_password=False)).database
    delete = partial(database.transaction, lambda connection: connection.execute(sa.text("DELETE FROM lease")).rowcount)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{name}" LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{name}"')
        assert "lacks a right" in (await migrations.problem(database) or "")
        with pytest.raises(DatabaseUnavailable, match="lacks a right"):
            await delete()
        connection.execute(f'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{name}"')
        assert await migrations.problem(database) is None
        await database.close()
        connection.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
def test_a_file_that_is_taken_away_from_a_running_gateway_acknowledges_nothing_more(
    sqlite_url, sqlite_template, tmp_path, replaced
):
    path, aside = Path(sa.make_url(sqlite_url).database), tmp_path / "aside.db"
    with make_world(sqlite_url) as world:
        assert world.client.get(f"{world.url}/readyz").status_code == 200
        path.rename(aside)
        if replaced:
            shutil.copy(sqlite_template, path)

        ready = world.client.get(f"{world.url}/readyz")
        assert ready.status_code == 503
        assert "deleted or replaced" in ready.json()["status"]
        assert world.deliver(an_event(world)).status_code == 503
        (error,) = world.graphql(SPEND, headers=SERVICE).json()["errors"]
        assert error["extensions"]["code"] == "UNAVAILABLE"

        aside.rename(path)
        assert world.client.get(f"{world.url}/readyz").status_code == 200
        assert world.deliver(an_event(world)).status_code == 200


async def test_a_log_that_is_deleted_beside_its_file_acknowledges_nothing_more(sqlite_url):
    database = runtime_at(sqlite_url).database
    write = partial(database.transaction, lambda connection: connection.execute(sa.text("DELETE FROM lease")).rowcount)
    await write()
    await asyncio.to_thread(Path(f"{database.url.database}-wal").unlink)
    for verb in write, partial(migrations.current, database):
        with pytest.raises(DatabaseUnavailable, match=r"-wal was deleted"):
            await verb()
    database._writer.dispose()  # as when its one connection was lost
    await write()
    await database.close()


def test_the_doctor_finds_damaged_pages(sqlite_url):
    assert "✓ database" in checked(sqlite_url)
    path = Path(sa.make_url(sqlite_url).database)
    whole = path.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    middle = len(whole) // size // 2 * size
    path.write_bytes(whole[:middle] + b"\xff" * size + whole[middle + size :])
    assert "✗ database" in (said := checked(sqlite_url))
    assert "damaged" in said
    path.write_bytes(b"this is no database" * 1000)
    assert "damaged" in checked(sqlite_url)


async def test_words_for_a_damaged_file(tmp_path):
    (tmp_path / "damaged.db").write_bytes(b"this is no database" * 1000)
    sqlite_url = f"sqlite:///{tmp_path}/damaged.db"
    database = runtime_at(sqlite_url).database
    with pytest.raises(DatabaseUnavailable, match="its file is damaged"):
        await migrations.current(database)
    await database.close()
