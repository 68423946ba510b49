"""`DATABASE_URL`, with one host and with several."""

import asyncio
import subprocess
import sys

import pytest
import sqlalchemy as sa

from gateway.db.engines import DEFAULTS, connect_arguments, create_engines, database_url
from gateway.db.notifications import publish
from gateway.errors import SettingsError
from harness.databases import runtime_at

USER = {"user": "ada", "password": "p,w"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://ada:p,w@one/shop", {"host": "one", "dbname": "shop"} | USER),
        ("postgres://ada:p,w@one:5433/shop", {"host": "one", "port": 5433, "dbname": "shop"} | USER),
        ("postgresql://ada:p,w@one:1,two:2/shop", {"host": "one,two", "port": "1,2", "dbname": "shop"} | USER),
        ("postgresql://ada:p,w@one,two/shop", {"host": "one,two", "dbname": "shop"} | USER),
        (
            "postgresql://one:1,two:2/shop?target_session_attrs=read-write",
            {"host": "one,two", "port": "1,2", "dbname": "shop", "target_session_attrs": "read-write"},
        ),
        ("postgresql:///shop?host=one:1&host=two:2", {"host": "one,two", "port": "1,2", "dbname": "shop"}),
        ("postgresql://one/shop?application_name=a%20b", {"host": "one", "dbname": "shop", "application_name": "a b"}),
        ("postgresql://one/shop?application_name=a,b", {"host": "one", "dbname": "shop", "application_name": "a,b"}),
    ],
)
def test_what_the_driver_is_given(text, expected):
    assert connect_arguments(database_url(text)) == DEFAULTS | expected


def test_a_url_may_say_itself_how_long_a_host_that_is_gone_is_waited_for():
    found = connect_arguments(database_url("postgresql://one/shop?connect_timeout=60&tcp_user_timeout=1"))
    assert found == DEFAULTS | {"host": "one", "dbname": "shop", "connect_timeout": "60", "tcp_user_timeout": "1"}


@pytest.mark.parametrize(
    "text", ["postgresql://one:port/shop", "postgresql://one:1,two:port/shop", "one", "mysql://one"]
)
def test_what_is_no_url_of_a_database_is_refused(text):
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        connect_arguments(database_url(text))


@pytest.mark.postgres
async def test_with_several_hosts_and_a_blank_in_a_parameter_changes_of_other_processes_are_heard(postgres_url):
    url = sa.make_url(postgres_url)
    hosts = {"host": ("/nowhere", url.query["host"]), "application_name": "a b"}
    several = url.set(query=hosts).render_as_string(hide_password=False)
    one, other = runtime_at(several), runtime_at(several)
    hearing = asyncio.create_task(one.notifications.run(one.database))
    with one.notifications.subscribe("customer:cus_1") as changes:
        async with asyncio.timeout(10):
            await changes.wait()  # once it hears, everybody looks again
            await other.database.transaction(lambda connection: publish(connection, "customer:cus_1"))
            await changes.wait()
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)
    for runtime in (one, other):
        await runtime.close()


LOOK = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as connection:
    connection.execute("SELECT * FROM t")
"""


def test_a_second_engine_on_a_file_ends_no_lock_that_this_process_has_on_it(tmp_path):
    """Otherwise whoever else closes the file takes himself for the last one, and deletes the log that is in use."""
    path = tmp_path / "one.db"
    url = sa.make_url(f"sqlite:///{path}")
    _, writer = create_engines(url, readers=1, writers=1)
    with writer.connect() as connection:
        with connection.begin():
            connection.exec_driver_sql("CREATE TABLE t (x)")
        for engine in create_engines(url, readers=1, writers=1):
            engine.dispose()
        subprocess.run([sys.executable, "-c", LOOK, path], check=True)
        assert path.with_name("one.db-wal").exists()
    writer.dispose()
