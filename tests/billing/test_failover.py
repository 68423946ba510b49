"""Whose answered mutations are noted after a failover of PostgreSQL; `tests/soak/test_failover.py` loses a server."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.audit import ENTRIES
from gateway.billing.failover import Failover, Server, note, noted
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.errors import DatabaseUnavailable

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
"""Of a database that cannot be reached, what is remembered is the same."""


@pytest.fixture
def failover() -> Failover:
    heard = Notifications()
    return Failover(Database(NOWHERE, endpoints=(), on_commit=heard), heard, max_users=2)


def server(timeline: str | None = "00000001", last: float | None = None, clock: float = 0) -> Server:
    """A server whose last transaction was some seconds ago, and whose clock is some seconds ahead of ours."""
    now = datetime.now(UTC) + timedelta(seconds=clock)
    return Server(timeline, None if last is None else now - timedelta(seconds=last), now)


def answer(failover: Failover, *users: str | None) -> None:
    for user in users:
        with failover.answering(user):
            pass


@pytest.mark.parametrize(
    ("users", "remembered"),
    [("a", "a"), ("ab", "ab"), ("abc", "bc"), ("abac", "ac"), ("aab", "ab"), ([None, "a"], "a"), ([], "")],
)
def test_those_who_were_answered_last_are_remembered(failover, users, remembered):
    answer(failover, *users)
    assert failover.since(server()) == [*remembered]


@pytest.mark.parametrize("clock", [0, 3600, -3600])
@pytest.mark.parametrize(("last", "users"), [(60, ["ada"]), (-4, ["ada"]), (-6, []), (None, ["ada"])])
def test_who_was_answered_after_the_last_transaction_by_the_servers_clock(failover, clock, last, users):
    answer(failover, "ada")
    assert failover.since(server(last=last, clock=clock)) == users


def test_who_is_being_answered_is_among_them_until_nobody_answers_him(failover):
    long_ago = server(last=-3600)
    with failover.answering("ada"):
        with failover.answering("ada"), failover.answering(None):
            assert failover.since(long_ago) == ["ada"]
        assert failover.since(long_ago) == ["ada"]
    assert failover.since(long_ago) == []
    with contextlib.suppress(ValueError), failover.answering("bob"):
        raise ValueError
    assert failover.since(server()) == ["ada"]  # whom nothing was answered


async def test_on_sqlite_there_is_nothing_to_remember(database):
    failover = Failover(database, Notifications())
    answer(failover, "ada")
    assert failover.since(server()) == []
    async with asyncio.timeout(1):
        await failover.run()


def entries(connection) -> list:
    found = connection.execute(sa.select(ENTRIES).order_by(ENTRIES.c.id)).all()
    return [(row.external_id, row.action, row.by, row.status, row.input) for row in found]


def entry(user: str, server: Server) -> tuple:
    position = {"timeline": server.timeline, "last_commit": server.last.isoformat() if server.last else None}
    return (user, "failover", "gateway", "done", position)


def test_a_user_is_noted_once_for_a_server_by_all_processes(connection):
    one, other, third = server("00000002", last=60), server("00000003", last=60), server("00000003")
    for users, its in ((["ada"], one), (["ada", "bob"], one), ([], other), (["ada"], other), (["ada"], third)):
        note(users, its, connection)
    assert entries(connection) == [
        *(entry("ada", one), entry("bob", one)),
        *(entry("ada", other), entry("ada", third)),
    ]
    assert noted(connection) == {one.last: ["ada", "bob"], other.last: ["ada"], None: ["ada"]}
    assert None not in connection.execute(sa.select(ENTRIES.c.finished)).scalars().all()


def test_what_is_noted_is_told_for_thirty_days(connection):
    note(["ada"], server(), connection)
    connection.execute(sa.update(ENTRIES).values(external_id=None))
    assert noted(connection) == {None: ["somebody who was erased"]}
    for days, there in ((29, True), (31, False)):
        connection.execute(sa.update(ENTRIES).values(created=datetime.now(UTC) - timedelta(days=days)))
        assert bool(noted(connection)) is there
    connection.execute(sa.update(ENTRIES).values(created=datetime.now(UTC), action="invoice.refund"))
    assert noted(connection) == {}


async def test_a_server_that_cannot_be_written_to_is_looked_at_once_more(failover):
    answer(failover, "ada")
    for each in (server("00000001"), server("00000001"), server(None, last=60)):
        await failover.look(each)  # the same one, and a standby, tell nothing
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await failover.look(server("00000002", last=60))


@pytest.mark.postgres
async def test_each_connection_is_looked_at(postgres_url):
    heard = Notifications()
    database = Database(postgres_url, endpoints=(), on_commit=heard)
    looks = asyncio.Semaphore(0)

    class Observed(Failover):
        async def look(self, server: Server) -> None:
            await super().look(server)
            looks.release()

    failover = Observed(database, heard)
    task = asyncio.create_task(failover.run())
    async with asyncio.timeout(20):
        answer(failover, "ada")
        gone = Server("0000000A", None, datetime.now(UTC))
        await looks.acquire()
        await failover.look(gone)
        await looks.acquire()
        failover.hear({"catalog"})
        await asyncio.sleep(0.1)  # it would look at once
        assert looks.locked()
        assert len(await database.read(entries)) == 1
        failover.hear(None)
        await looks.acquire()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    found = await database.read(entries)
    assert [each[:4] for each in found] == [("ada", "failover", "gateway", "done")] * 2
    assert [each[4]["timeline"] for each in found] == ["0000000A", "00000001"]
    await database.close()
