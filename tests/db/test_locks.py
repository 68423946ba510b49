"""Locks that processes share."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.db.locks import LEASES, advisory_locks, leader, user_lock
from gateway.errors import RateLimited, StripeUnavailable
from harness.databases import both_databases


def count_of_leases(connection):
    return connection.execute(sa.select(sa.func.count()).select_from(LEASES)).scalar()


@both_databases
async def test_of_many_in_two_processes_one_at_a_time_is_inside(database, another):
    inside, most = 0, 0

    async def work(where):
        nonlocal inside, most
        async with user_lock(where, "checkout:ada"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)  # so that another could come in
            inside -= 1

    await asyncio.gather(*(work(where) for where in (database, another) * 5))
    assert most == 1
    assert await database.read(count_of_leases) == 0


@both_databases
async def test_another_name_does_not_wait(database):
    async with user_lock(database, "checkout:ada"), asyncio.timeout(5), user_lock(database, "checkout:bob"):
        pass


@both_databases
async def test_whoever_waits_writes_nothing_meanwhile_and_goes_on_when_the_lock_is_released(database):
    """The wait is for a notification: the database gets one attempt before and one after, not one every 50 ms."""
    attempts = []
    begun, transaction = asyncio.Event(), database.transaction

    async def counted(work):
        attempts.append(work)
        try:
            return await transaction(work)
        finally:
            begun.set()

    async def wait():
        async with user_lock(database, "checkout:ada", wait_seconds=30, look_seconds=30):
            return len(attempts)

    async with user_lock(database, "checkout:ada"):
        database.transaction = counted
        waiting = asyncio.create_task(wait())
        await begun.wait()
        await asyncio.sleep(0.2)  # nothing happens, which nothing tells
        assert len(attempts) == 1
    async with asyncio.timeout(20):  # sooner than its next look
        assert await waiting == 3, "its own attempt before and after, and the release"


@both_databases
async def test_the_lease_of_a_dead_process_runs_out(database):
    until = sa.func.now()
    lease = {"name": "checkout:ada", "holder": "dead", "until": until}
    await database.transaction(lambda connection: connection.execute(sa.insert(LEASES).values(**lease)))
    async with asyncio.timeout(5), user_lock(database, "checkout:ada"):
        pass


@both_databases
async def test_whoever_waits_too_long_is_told_to_try_again(database, another):
    async with user_lock(database, "checkout:ada"):
        with pytest.raises(RateLimited, match="still being worked on"):
            async with user_lock(another, "checkout:ada", wait_seconds=0.2):
                raise AssertionError


@both_databases
async def test_work_that_takes_too_long_is_cut_off_and_gives_the_lock_back(database):
    with pytest.raises(StripeUnavailable, match="in time"):
        async with user_lock(database, "checkout:ada", work_seconds=0.1):
            await asyncio.Event().wait()
    assert await database.read(count_of_leases) == 0


@both_databases
@pytest.mark.parametrize("lock", [user_lock, leader])
async def test_a_caller_who_goes_away_while_acquiring_leaves_no_lock_behind(database, another, lock):
    async def work():
        async with lock(database, "checkout:ada"):
            await asyncio.Event().wait()

    for yields in range(6):
        task = asyncio.create_task(work())
        for _ in range(yields):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with lock(another, "checkout:ada") as leads:  # it waits for whoever is writing, and so sees what is left
            assert leads is not False
    assert await database.read(count_of_leases) == 0


@both_databases
async def test_of_two_processes_one_leads_until_it_ends(database, another):
    async with leader(database, "catch-up") as first, leader(another, "catch-up") as second:
        assert (first, second) == (True, False)
    async with leader(another, "catch-up") as second:
        assert second


@both_databases
async def test_a_leader_renews_its_lease(database, another):
    lease = timedelta(seconds=0.6)
    async with leader(database, "catch-up", lease=lease):
        await asyncio.sleep(1.0)  # longer than the lease
        async with leader(another, "catch-up") as second:
            assert not second


async def test_who_is_stopped_while_giving_a_task_back_has_given_it_back(database):
    async def lead() -> None:
        async with leader(database, "catch-up"):
            asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(lead())
    async with leader(database, "catch-up") as leads:
        assert leads


@both_databases
async def test_a_renewal_that_is_under_way_when_a_leader_ends_leaves_no_lease_behind(database, another):
    begun, written, transaction = asyncio.Event(), threading.Event(), database.transaction

    async def renew_late(work):
        def late(connection):
            time.sleep(0.1)  # the leader ends meanwhile
            try:
                return work(connection)
            finally:
                written.set()

        begun.set()
        return await transaction(late)

    async with leader(database, "catch-up", lease=timedelta(seconds=0.6)):
        database.transaction = renew_late
        await begun.wait()
        database.transaction = transaction
    await asyncio.to_thread(written.wait, 10)
    async with leader(another, "catch-up") as leads:
        assert leads


@pytest.mark.postgres
async def test_who_works_on_the_same_payment_waits_for_the_other_transaction(postgres_url):
    engine = sa.create_engine(sa.make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as first, engine.begin() as second:
        advisory_locks(first, ["pi_1", "pi_2"])
        second.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
        advisory_locks(second, ["pi_3"])
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            advisory_locks(second, ["pi_0", "pi_2"])
    engine.dispose()


@both_databases
async def test_a_lease_that_ends_later_than_any_can_was_taken_by_a_wrong_clock_and_is_nobodys(database):
    def leave(connection):
        until = datetime.now(UTC) + timedelta(hours=5)
        connection.execute(sa.insert(LEASES).values(name="checkout:ada", holder="killed", until=until))

    await database.transaction(leave)
    async with user_lock(database, "checkout:ada", wait_seconds=0):
        pass
