"""The two verbs: what they return, what they repeat, and what they raise."""

import asyncio
import threading
from contextvars import ContextVar
from functools import partial

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, OperationalError

from gateway.db.database import Database
from gateway.db.errors import translate_errors
from gateway.db.notifications import Notifications, publish
from gateway.db.tables import table_for
from gateway.db.worker_threads import CLOSE_SECONDS
from gateway.errors import BadInput, DatabaseUnavailable
from gateway.models.infra import SyncState
from harness.databases import both_databases
from harness.waiting import eventually, eventually_async

STATES = table_for(SyncState)
NEW = {"resource": "a", "count": 1, "started_at": sa.func.now()}
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "


def add(connection, name="a"):
    connection.execute(sa.insert(STATES).values(**{**NEW, "resource": name}))


def add_and_tell(name, connection):
    add(connection, name)
    publish(connection, "catalog")


def names(connection):
    return sorted(connection.execute(sa.select(STATES.c.resource)).scalars())


@both_databases
async def test_a_transaction_returns_what_its_work_returns_and_is_seen_by_the_next_reading(database):
    assert await database.transaction(lambda connection: add(connection) or "added") == "added"
    assert await database.read(names) == ["a"]


@both_databases
async def test_a_transaction_that_raises_leaves_nothing_behind_and_publishes_nothing(database):
    def work(connection):
        add(connection)
        publish(connection, "catalog")
        raise ValueError("no")

    heard = []
    database.on_commit.on("catalog", lambda: heard.append("catalog"))
    with pytest.raises(ValueError, match="no"):
        await database.transaction(work)
    assert (await database.read(names), heard) == ([], [])


@both_databases
async def test_once_begun_a_transaction_goes_on_when_nobody_waits_for_it_any_more(database):
    begun, go_on = threading.Event(), threading.Event()

    def work(connection):
        begun.set()
        assert go_on.wait(10)
        add(connection)
        publish(connection, "catalog")

    with database.on_commit.subscribe("catalog") as changed:
        waiting = asyncio.create_task(database.transaction(work))
        await asyncio.to_thread(begun.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        await asyncio.wait_for(changed.wait(), 10)
    assert await database.read(names) == ["a"]


async def all_at_once(database, *works) -> list:
    """Have them all wait for SQLite's one writer, then let them go; what each returns or raises, and the commits."""
    begun, go_on, commits = threading.Event(), threading.Event(), []
    first = asyncio.create_task(database.transaction(lambda _: begun.set() or go_on.wait(10)))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [asyncio.create_task(database.transaction(work)) for work in works]
    await asyncio.sleep(0)
    sa.event.listen(database._writer, "commit", commits.append)
    go_on.set()
    await first
    found = await asyncio.gather(*waiting, return_exceptions=True)
    return [len(commits) - 1, *found]


MINE = ContextVar("mine", default="nobody's")


async def test_what_waits_for_sqlites_writer_shares_a_commit_in_order_and_each_has_its_own_outcome(
    sqlite_url, database_of
):
    database, heard = database_of(sqlite_url), []
    for topic in ("catalog", "never"):
        database.on_commit.on(topic, lambda topic=topic: heard.append(topic))

    def see(connection):
        publish(connection, "catalog")
        return names(connection), MINE.get()

    def fail(connection):
        add(connection, "c")
        publish(connection, "never")
        raise ValueError("no")

    MINE.set("the caller's")
    commits, one, seen, failed, twice, last = await all_at_once(database, add, see, fail, add, lambda c: add(c, "b"))
    assert (one, seen, last) == (None, (["a"], "the caller's"), None)
    assert (str(failed), type(twice)) == ("no", IntegrityError)
    assert (await database.read(names), heard, commits) == (["a", "b"], ["catalog"], 1)


async def test_where_one_ends_the_transaction_of_all_each_is_done_alone(sqlite_url, database_of):
    database = database_of(sqlite_url)

    def end(connection):  # as SQLite does itself when the disk is full
        add(connection, "c")
        connection.exec_driver_sql("ROLLBACK")
        raise ValueError("no")

    commits, *found = await all_at_once(database, add, end, lambda c: add(c, "b"))
    assert [type(each) for each in found] == [type(None), ValueError, type(None)]
    assert (await database.read(names), commits >= 2) == (["a", "b"], True)


@both_databases
async def test_readings_go_on_beside_a_transaction_and_see_what_was_committed(database):
    begun, go_on = threading.Event(), threading.Event()

    def work(connection):
        add(connection)
        begun.set()
        assert go_on.wait(10)

    writing = asyncio.create_task(database.transaction(work))
    await asyncio.to_thread(begun.wait, 10)
    assert await database.read(names) == []
    go_on.set()
    await writing
    assert await database.read(names) == ["a"]


@both_databases
async def test_concurrent_transactions_of_two_processes_all_get_through(database, another):
    databases = [database, another]
    for each in range(20):
        await asyncio.gather(
            *(
                databases[which % 2].transaction(lambda connection, name=f"{each}-{which}": add(connection, name))
                for which in range(8)
            )
        )
    assert len(await database.read(names)) == 160


@pytest.mark.postgres
async def test_what_postgresql_ends_to_solve_a_deadlock_is_done_again(postgres_url, database_of):
    database = database_of(postgres_url)
    await database.transaction(lambda connection: [add(connection, "a"), add(connection, "b")])
    both = threading.Barrier(2)
    tries = []

    def work(first, second):
        def write(connection):
            tries.append(first)
            update = sa.update(STATES).values(count=STATES.c.count + 1)
            connection.execute(update.where(STATES.c.resource == first))
            if len(tries) <= 2:
                both.wait(10)
            connection.execute(update.where(STATES.c.resource == second))

        return write

    await asyncio.gather(database.transaction(work("a", "b")), database.transaction(work("b", "a")))
    assert len(tries) == 3
    counts = sa.select(STATES.c.count)
    assert await database.read(lambda connection: connection.execute(counts).scalars().all()) == [3, 3]


@pytest.mark.postgres
async def test_after_every_connection_was_ended_both_verbs_work_at_once(postgres_url, database_of):
    database, operator = database_of(postgres_url), database_of(postgres_url)
    await asyncio.gather(*(database.transaction(names) for _ in range(5)), *(database.read(names) for _ in range(2)))
    end = TERMINATE + f"'{sa.make_url(postgres_url).database}'"
    for _ in range(3):
        await operator.transaction(lambda connection: connection.exec_driver_sql(end))
        await asyncio.gather(*(database.read(names) for _ in range(4)))
        await database.transaction(lambda connection: connection.execute(sa.delete(STATES)))
        await asyncio.gather(*(database.transaction(lambda c, name=f"{n}": add(c, name)) for n in range(5)))
        assert await database.read(names) == ["0", "1", "2", "3", "4"]


@pytest.mark.postgres
async def test_a_process_holds_five_connections_that_write_and_two_that_read(postgres_url, database_of):
    database = database_of(postgres_url)
    pid = sa.select(sa.func.pg_backend_pid(), sa.func.pg_sleep(0.05))
    work = [database.transaction(lambda connection: connection.execute(pid).first()[0]) for _ in range(30)]
    readings = [database.read(lambda connection: connection.execute(pid).first()[0]) for _ in range(12)]
    writers, readers = await asyncio.gather(asyncio.gather(*work), asyncio.gather(*readings))
    assert (len(set(writers)), len(set(readers))) == (5, 2)


@pytest.mark.postgres
async def test_all_connections_of_a_process_are_no_more_than_it_may_have(postgres_url, process_of):
    async with process_of(postgres_url, connections=4) as database:
        await asyncio.gather(*(verb(names) for _ in range(8) for verb in (database.transaction, database.read)))
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert await database.read(lambda connection: connection.exec_driver_sql(count).scalar()) == 4


def standbys_that_are_waited_for(url):
    with psycopg.connect(url) as connection:
        return connection.execute("SHOW synchronous_standby_names").fetchone()[0]


@pytest.mark.postgres
async def test_a_commit_that_waits_for_a_standby_is_given_up_in_time_and_what_has_not_begun_never_begins(
    postgres_url, database_of
):
    database, operator = database_of(postgres_url), psycopg.connect(postgres_url, autocommit=True)
    with operator, database.on_commit.subscribe("catalog") as changed:
        operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
        operator.execute(f"ALTER DATABASE {sa.make_url(postgres_url).database} SET synchronous_commit = on")
        operator.execute("SELECT pg_reload_conf()")
        eventually(
            partial(standbys_that_are_waited_for, postgres_url), "away"
        )  # the server reads it when it comes to it
        try:
            begun = [database.transaction(partial(add_and_tell, f"begun-{number}"), seconds=1) for number in range(5)]
            later = database.transaction(partial(add_and_tell, "later"), seconds=1)
            outcomes = await asyncio.gather(*begun, later, return_exceptions=True)
        finally:
            operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
            operator.execute("SELECT pg_reload_conf()")
        said = [str(each) for each in outcomes]
        assert said == ["the database does not answer; it may still write this"] * 5 + [
            "the database does not answer; nothing was written"
        ]
        await asyncio.wait_for(changed.wait(), 10)  # what is committed late is told as well
        written = [f"begun-{number}" for number in range(5)]
        await eventually_async(lambda: database_of(postgres_url).read(names), written)


@both_databases
async def test_closing_ends_beside_a_transaction_that_hangs_which_is_not_tried_again(database_url):
    database = Database(database_url, endpoints=(), on_commit=Notifications())
    begun, go_on, tried = threading.Event(), threading.Event(), []

    def hang(connection):
        tried.append(1)
        begun.set()
        if database.is_sqlite:
            go_on.wait(60)
        else:
            connection.execute(sa.select(sa.func.pg_sleep(60)))

    hanging = asyncio.create_task(database.transaction(hang, seconds=None))
    await asyncio.to_thread(begun.wait, 10)
    await asyncio.wait_for(database.close(), CLOSE_SECONDS + 2)
    assert not hanging.done()
    go_on.set()
    if not database.is_sqlite:
        with psycopg.connect(database_url, autocommit=True) as operator:
            operator.execute(f"{TERMINATE} current_database()")
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(hanging, 10)
    else:
        await asyncio.wait_for(hanging, 10)
    assert len(tried) == 1


@pytest.mark.postgres
async def test_a_text_that_postgresql_cannot_hold_is_the_callers_fault(postgres_url, database_of):
    with pytest.raises(BadInput, match="NUL"):
        await database_of(postgres_url).transaction(lambda connection: add(connection, "a\0b"))


@pytest.mark.parametrize("verb", ["read", "transaction"])
async def test_a_database_that_is_not_migrated_says_what_to_do(tmp_path, database_of, verb):
    database = database_of(f"sqlite:///{tmp_path}/new/empty.db")
    with pytest.raises(DatabaseUnavailable, match="not migrated: run `gateway db upgrade`"):
        await getattr(database, verb)(names)


@pytest.mark.parametrize("verb", ["read", "transaction"])
async def test_an_unreachable_database_is_unavailable_and_its_password_is_not_told(database_of, verb):
    database = database_of("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable, match="cannot be used") as raised:
        await getattr(database, verb)(names)
    assert "secret" not in str(raised.value)


async def test_a_reading_that_takes_too_long_is_given_up_and_the_next_one_works(sqlite_url, database_of):
    database = database_of(sqlite_url)
    go_on = threading.Event()
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await database.read(lambda _: go_on.wait(10), seconds=0.05)
    go_on.set()
    assert await database.read(names) == []


@pytest.mark.parametrize("verb", ["read", "transaction"])
async def test_a_mistake_of_ours_is_no_unavailable_database(sqlite_url, database_of, verb):
    with pytest.raises(ZeroDivisionError):
        await getattr(database_of(sqlite_url), verb)(lambda _: 1 / 0)


@pytest.fixture
async def database_of():
    """Open databases that are closed at the end."""
    opened = []

    def open_(url):
        opened.append(Database(url, endpoints=(), on_commit=Notifications()))
        return opened[-1]

    yield open_
    for database in opened:
        await database.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (psycopg.errors.DiskFull, "the disk of its server is full"),
        (psycopg.errors.OutOfMemory, "no memory left"),
        (psycopg.errors.TooManyConnections, "lower GATEWAY_DATABASE_CONNECTIONS"),
        (lambda _: psycopg.OperationalError("FATAL:  sorry, too many clients already"), "lower GATEWAY_DATABASE_CONN"),
        (psycopg.errors.LockNotAvailable, "lock_timeout"),
        (psycopg.errors.QueryCanceled, "statement_timeout"),
    ],
)
def test_what_ails_a_server_is_said_in_words(error, words):
    with pytest.raises(DatabaseUnavailable, match=words), translate_errors():
        raise OperationalError("SELECT 1", {}, error("no"))


@pytest.mark.postgres
@pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
async def test_behind_a_held_lock_a_low_limit_is_said_and_what_comes_again_is_written_once(
    postgres_url, database_of, limit
):
    database = database_of(f"{postgres_url}{'&' if '?' in postgres_url else '?'}options=-c%20{limit}%3D100")
    with psycopg.connect(postgres_url) as holder:
        holder.execute("LOCK TABLE sync_state IN EXCLUSIVE MODE")
        with pytest.raises(DatabaseUnavailable, match=limit):
            await database.transaction(add)
    await database.transaction(add)
    assert await database.read(names) == ["a"]
