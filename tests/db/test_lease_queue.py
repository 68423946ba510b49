"""The lease queue: every item once, none lost, none held up by another."""

import asyncio
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.db.lease_queue import Backoff, LeaseQueue, count_by_status
from gateway.db.tables import table_for
from gateway.models.metering import UsageRecord
from gateway.observability.metrics import QUEUE_SECONDS
from harness.databases import both_databases

USAGE = table_for(UsageRecord)
ANY = {"event_name": "calls", "value": 1, "fingerprint": "", "status": "pending", "attempts": 0}


def now():
    return datetime.now(UTC)


async def add(database, *ids, customer="ada", due=timedelta(0)):
    moment = now() + due
    rows = [
        {"id": each, "customer_id": customer, "timestamp": moment, "created": moment, "next_attempt_at": moment, **ANY}
        for each in ids
    ]
    await database.transaction(lambda connection: connection.execute(sa.insert(USAGE), rows))


async def statuses(database):
    query = sa.select(USAGE.c.id, USAGE.c.status).order_by(USAGE.c.id)
    return dict(await database.read(lambda connection: connection.execute(query).all()))


def queue_of(database, work=None, **more):
    """A queue over the usage records; without `work` each is sent at once."""

    async def send(claim):
        await queue.write(claim, status="sent", next_attempt_at=None)

    async def do(claim):
        await work(queue, claim)

    def due(moment):
        chosen = sa.select(USAGE).where(USAGE.c.status == "pending", USAGE.c.next_attempt_at <= moment)
        return chosen.order_by(USAGE.c.next_attempt_at, USAGE.c.id)

    options = {"slots": 2, "batch": 10, "lease": timedelta(seconds=20), "work_seconds": 5.0, "idle_seconds": 0.05}
    queue = LeaseQueue(
        name="test",
        database=database,
        key=USAGE.c.id,
        due_at=USAGE.c.next_attempt_at,
        due=due,
        work=do if work else send,
        **{**options, **more},
    )
    return queue


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [(0, 4.0, 6.0), (1, 8.0, 12.0), (2, 16.0, 24.0), (9, 2048.0, 3072.0), (10, 2880.0, 4320.0), (5000, 2880.0, 4320.0)],
)
def test_pauses_double_up_to_the_longest_and_differ_by_a_fifth(failures, least, most):
    backoff = Backoff(first_seconds=5, longest_seconds=3600)
    pauses = [(backoff.next_attempt(failures) - now()).total_seconds() for _ in range(200)]
    assert least - 0.1 <= min(pauses) < max(pauses) <= most
    assert max(pauses) - min(pauses) > (most - least) / 2


@pytest.mark.parametrize(("failures", "last"), [(0, False), (15, False), (16, True), (17, True)])
def test_after_the_last_attempt_an_item_is_a_dead_letter(failures, last):
    backoff = Backoff(first_seconds=5, longest_seconds=3600, attempts=17)
    assert backoff.is_last(failures) is last
    assert (backoff.next_attempt(failures) is None) is last


@both_databases
async def test_what_is_due_is_worked_on_once_by_several_processes_and_the_rest_is_left(database, another):
    ids = [f"{number:03}" for number in range(60)]
    await add(database, *ids)
    await add(database, "later", due=timedelta(hours=1))
    taken = Counter()

    async def work(queue, claim):
        taken.update(row["id"] for row in claim.rows)
        await asyncio.sleep(0.005)  # as work that takes time
        await queue.write(claim, status="sent", next_attempt_at=None)

    counts = await asyncio.gather(queue_of(database, work).drain(), queue_of(another, work).drain())
    assert sum(counts) == 60
    assert taken == Counter(ids)
    assert await statuses(database) == {**dict.fromkeys(ids, "sent"), "later": "pending"}


@both_databases
async def test_what_one_process_has_claimed_another_passes_over(database, another):
    await add(database, *(f"{number:02}" for number in range(12)))
    first = queue_of(database)
    claims = await first.claim()
    assert len(claims) == first.batch
    assert await queue_of(another).drain() == 2
    await asyncio.gather(*(first.work(claim) for claim in claims))
    assert set((await statuses(database)).values()) == {"sent"}


@both_databases
async def test_a_slow_item_takes_one_slot_and_the_others_go_on(database):
    await add(database, "0-slow")
    await add(database, *(f"{number:02}" for number in range(1, 31)))
    go_on, others = asyncio.Event(), asyncio.Event()
    done = []

    async def work(queue, claim):
        if claim.rows[0]["id"] == "0-slow":
            await go_on.wait()
        await queue.write(claim, status="sent", next_attempt_at=None)
        done.append(claim.rows[0]["id"])
        if len(done) == 30:
            others.set()

    running = asyncio.create_task(queue_of(database, work).drain())
    await asyncio.wait_for(others.wait(), 20)
    assert "0-slow" not in done
    go_on.set()
    assert await running == 31


@both_databases
async def test_no_more_than_the_slots_are_worked_on_at_a_time(database):
    await add(database, *(f"{number:02}" for number in range(12)))
    inside, most = 0, 0

    async def work(queue, claim):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.01)  # as work that takes time
        await queue.write(claim, status="sent", next_attempt_at=None)
        inside -= 1

    await queue_of(database, work, slots=3).drain()
    assert most == 3


@both_databases
async def test_what_becomes_due_while_it_is_worked_on_stays_due(database):
    await add(database, "a")
    seen = []

    async def work(queue, claim):
        seen.append(claim.rows[0]["value"])
        if len(seen) == 1:  # something is written about it meanwhile
            change = sa.update(USAGE).values(value=2, next_attempt_at=now())
            await database.transaction(lambda connection: connection.execute(change))
        await queue.write(claim, status="sent", next_attempt_at=None)

    await queue_of(database, work).drain()
    assert seen == [1, 2]
    assert await statuses(database) == {"a": "sent"}


@both_databases
async def test_what_a_killed_process_had_claimed_is_due_again_when_its_lease_ends(database, another):
    await add(database, "a")
    (claim,) = await queue_of(database, lease=timedelta(seconds=20)).claim()
    assert await queue_of(another).drain() == 0
    assert await queue_of(another, now=lambda: now() + timedelta(seconds=21)).drain() == 1
    await queue_of(database).write(claim, status="pending", next_attempt_at=now())  # it comes back to life: too late
    assert await statuses(database) == {"a": "sent"}


@both_databases
async def test_what_waits_longer_than_any_row_can_was_put_off_by_a_wrong_clock_and_is_due(database):
    hour = timedelta(hours=1)
    await add(database, "early", due=hour)
    await add(database, "late", due=5 * hour)
    await add(database, "after another", due=timedelta(days=36500))
    assert await queue_of(database).drain() == 0
    assert await queue_of(database, longest=hour).drain() == 1
    assert await statuses(database) == {"after another": "pending", "early": "pending", "late": "sent"}


@both_databases
async def test_whoever_is_stopped_gives_back_what_it_had_not_finished(database, another):
    await add(database, *(f"{number:02}" for number in range(8)))
    begun = asyncio.Event()

    async def work(queue, claim):
        begun.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(queue_of(database, work).run())
    await asyncio.wait_for(begun.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await queue_of(another).drain() == 8


@both_databases
async def test_whoever_is_stopped_while_claiming_gives_back_what_it_gets(database, another):
    await add(database, "a", "b")
    begun, transaction = asyncio.Event(), database.transaction

    async def claim(work):
        begun.set()
        return await transaction(work)

    database.transaction = claim
    running = asyncio.create_task(queue_of(database).run())
    await asyncio.wait_for(begun.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await queue_of(another).drain() == 2


class SetClock:
    """A clock that stands still until it is told how much time has passed."""

    def __init__(self):
        self.passed = timedelta(0)
        self._start = now()

    def __call__(self):
        return self._start + self.passed


@both_databases
async def test_an_item_that_fails_takes_no_neighbour_along_and_is_due_again_when_its_lease_ends(database):
    await add(database, "a", "b", "c")
    clock, tries = SetClock(), Counter()

    async def work(queue, claim):
        (row,) = claim.rows
        tries[row["id"]] += 1
        if row["id"] == "a" and tries["a"] == 1:
            raise ValueError("no")
        await queue.write(claim, status="sent", next_attempt_at=None)

    queue = queue_of(database, work, now=clock)
    assert await queue.drain() == 3
    assert await statuses(database) == {"a": "pending", "b": "sent", "c": "sent"}
    clock.passed = queue.lease
    assert await queue.drain() == 1
    assert await statuses(database) == dict.fromkeys("abc", "sent")
    assert tries == {"a": 2, "b": 1, "c": 1}


@both_databases
async def test_what_has_waited_too_long_for_a_slot_is_not_begun_under_a_lease_that_may_end(database):
    await add(database, *"abc")
    clock, leases = SetClock(), []

    async def work(queue, claim):
        leases.append((claim.until - clock()).total_seconds())
        clock.passed += timedelta(seconds=4)
        await queue.write(claim, status="sent", next_attempt_at=None)

    await queue_of(database, work, slots=1, lease=timedelta(seconds=10), work_seconds=7, now=clock).drain()
    assert leases == [10, 10, 10]
    assert await statuses(database) == dict.fromkeys("abc", "sent")


@both_databases
async def test_rows_of_one_group_are_one_claim_and_other_rows_of_the_table_are_nobodys(database):
    await add(database, "a1", "a2", customer="ada")
    await add(database, "b1", customer="bob")
    await add(database, "c1", customer="eve")
    claims = []

    async def work(queue, claim):
        claims.append([row["id"] for row in claim.rows])
        await queue.write(claim, status="sent", next_attempt_at=None)

    scope = USAGE.c.customer_id != "eve"
    await queue_of(database, work, group=lambda row: row["customer_id"], scope=scope).drain()
    assert sorted(claims) == [["a1", "a2"], ["b1"]]
    assert await statuses(database) == {"a1": "sent", "a2": "sent", "b1": "sent", "c1": "pending"}


@both_databases
async def test_only_the_rows_that_are_named_are_worked_on(database):
    await add(database, *"abc")
    assert await queue_of(database).drain(["b"]) == 1
    assert await statuses(database) == {"a": "pending", "b": "sent", "c": "pending"}


@both_databases
async def test_a_queue_that_is_woken_does_not_wait_for_its_next_look(database):
    wake, done, looked, read = asyncio.Event(), asyncio.Event(), asyncio.Event(), database.read

    async def seen(work):
        found = await read(work)
        if getattr(work, "func", None) == queue._candidates:  # notifications read, too
            looked.set()
        return found

    async def work(queue, claim):
        await queue.write(claim, status="sent", next_attempt_at=None)
        done.set()

    queue, database.read = queue_of(database, work, idle_seconds=60), seen
    running = asyncio.create_task(queue.run(wake))
    await asyncio.wait_for(looked.wait(), 20)
    await add(database, "a")
    wake.set()
    await asyncio.wait_for(done.wait(), 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@both_databases
async def test_what_is_done_is_counted_with_the_seconds_since_it_was_due(database):
    def measured():
        samples = {each.name: each.value for each in QUEUE_SECONDS.labels("test")._child_samples()}
        return samples["_count"], samples["_sum"]

    before = measured()
    await add(database, "a", due=timedelta(seconds=-7))
    await queue_of(database).drain()
    count, seconds = (after - earlier for after, earlier in zip(measured(), before, strict=True))
    assert count == 1
    assert 7 <= seconds < 30


@both_databases
async def test_open_items_are_counted_by_status(database):
    await add(database, *"abcd")
    for each, status in (("c", "dead"), ("d", "sent")):
        change = sa.update(USAGE).where(USAGE.c.id == each).values(status=status)
        await database.transaction(lambda connection, change=change: connection.execute(change))
    open_ = sa.text("status IN ('pending', 'dead')")
    found = await database.read(
        lambda connection: count_by_status(connection, USAGE.c.status, open_, ("pending", "failed", "dead"))
    )
    assert found == {"pending": 2, "failed": 0, "dead": 1}


def test_the_pauses_of_eighteen_attempts_last_about_a_day():
    backoff = Backoff(first_seconds=2, longest_seconds=4 * 3600, attempts=18)
    moments = itertools.takewhile(bool, (backoff.next_attempt(failures) for failures in itertools.count()))
    assert 16 * 3600 < sum((moment - now()).total_seconds() for moment in moments) < 30 * 3600
