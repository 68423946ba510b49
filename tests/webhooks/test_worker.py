"""What cannot be applied is tried again for a day and then waits for an operator; it stands in nobody's way."""

import asyncio
import itertools
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from gateway.runtime import open_runtime
from gateway.settings import Settings
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.inbox import Inbox, count_open_events
from gateway.webhooks.outcomes import EVENTS
from gateway.webhooks.worker import BATCH, Worker
from harness.command import run
from harness.databases import both_databases


def event(product, **more):
    """An event about a product, by default one that cannot be read: it must be fetched, for which there is no key."""
    obj = {"object": "product", "id": product, **more}
    made = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "product.updated", "created": 1_700_000_000}
    return {**made, "data": {"object": obj}}


WHOLE = {"name": "Tea", "description": None, "active": True, "images": [], "metadata": {}, "created": 1, "updated": 1}


@asynccontextmanager
async def parts(url):
    """One process's inbox and worker, without a key for Stripe."""
    async with open_runtime(Settings.load(database_url=url)) as runtime:
        inbox = Inbox(runtime.mirror)
        yield runtime.database, inbox, Worker(inbox, None)


async def record(inbox, *events):
    await inbox.record([Delivery(StripeEvent.of(each), "1") for each in events], source="webhook")


async def rows(database, *ids):
    chosen = sa.select(EVENTS).where(EVENTS.c.id.in_(ids)).order_by(EVENTS.c.id)
    return await database.read(lambda connection: connection.execute(chosen).mappings().all())


async def make_due(database):
    """As if the pauses were over."""
    waiting = sa.update(EVENTS).where(EVENTS.c.status == "failed").values(next_attempt_at=datetime.now(UTC))
    await database.transaction(lambda connection: connection.execute(waiting))


@both_databases
async def test_an_event_that_fails_is_tried_with_growing_pauses_for_a_day_and_is_then_a_dead_letter(database_url):
    async with parts(database_url) as (database, inbox, worker):
        torn = [event(f"prod_{number}") for number in range(8)]
        ids = [each["id"] for each in torn]
        await record(inbox, *torn)
        pauses = []  # of each round, one for each event
        while (await database.read(count_open_events))["dead"] < len(torn):
            now = datetime.now(UTC)
            await worker.queue.drain()
            found = await rows(database, *ids)
            if found[0]["status"] == "failed":
                pauses.append([(row["next_attempt_at"] - now).total_seconds() for row in found])
            await make_due(database)

        assert 20 * 3600 < sum(max(each) for each in pauses) < 30 * 3600
        assert 3 < min(pauses[0]) < max(pauses[0]) < 7
        for earlier, later in itertools.pairwise(pauses[:9]):
            assert min(later) > max(earlier)
        assert all(max(each) - min(each) > 0.02 * max(each) for each in pauses)  # not all at the same moment
        dead = await rows(database, *ids)
        assert {(row["status"], row["attempts"], row["next_attempt_at"]) for row in dead} == {
            ("dead", len(pauses) + 1, None)
        }
        assert all("STRIPE_SECRET_KEY" in row["last_error"] for row in dead)
        assert await worker.queue.drain() == 0  # it is left alone


@both_databases
async def test_behind_any_number_of_poisoned_events_the_others_have_their_turn(database_url):
    async with parts(database_url) as (database, inbox, worker):
        poisoned = [event(f"prod_bad_{number}") for number in range(2 * BATCH)]
        healthy = event("prod_good", **WHOLE)
        await record(inbox, *poisoned)
        await record(inbox, healthy)
        await inbox.reopen([healthy["id"]])  # it is the last in the queue
        await worker.queue.drain()
        (row,) = await rows(database, healthy["id"])
        assert row["status"] in {"applied", "stale"}
        assert (await database.read(count_open_events)) == {"pending": 0, "failed": len(poisoned), "dead": 0}


@both_databases
async def test_two_processes_share_the_queue_and_take_nothing_twice(database_url):
    async with parts(database_url) as (one, inbox, first), parts(database_url) as (_, _, second):
        waiting = [event(f"prod_{number}") for number in range(60)]
        await record(inbox, *waiting)
        claims = await first.queue.claim()
        assert len(claims) == BATCH
        assert await second.queue.drain() == len(waiting) - BATCH
        await asyncio.gather(*(first.queue.work(claim) for claim in claims))
        assert await first.queue.drain() == await second.queue.drain() == 0
        assert {row["attempts"] for row in await rows(one, *(each["id"] for each in waiting))} == {1}


@pytest.fixture
def graveyard(sqlite_url):
    """A database with a dead letter and events of two days; their ids."""
    dead = event("prod_dead")
    dead["type"] = "product.updated"
    changed = event("prod_tea", **WHOLE | {"metadata": {"tier": "gold"}, "default_price": {"id": "price_2"}})
    changed["data"]["previous_attributes"] = {"metadata": {"tier": "silver"}, "name": "Coffee", "default_price": None}
    later = {**event("prod_later", **WHOLE), "created": 1_700_200_000}

    async def fill():
        async with parts(sqlite_url) as (database, inbox, _):
            await record(inbox, dead, changed, later)
            words = "ValueError: [/] is no markup, and a long sentence that is read to its end"
            given_up = {"status": "dead", "attempts": 17, "last_error": words, "next_attempt_at": None}
            update = sa.update(EVENTS).where(EVENTS.c.id == dead["id"]).values(**given_up)
            await database.transaction(lambda connection: connection.execute(update))

    asyncio.run(fill())
    return {"dead": dead["id"], "changed": changed["id"], "later": later["id"]}


def test_an_operator_finds_dead_letters_sees_the_tries_and_what_changed_and_replays_a_range_of_time(
    tmp_path, sqlite_url, graveyard
):
    def gateway(*arguments):
        return run("events", *arguments, cwd=tmp_path, DATABASE_URL=sqlite_url)

    (line,) = gateway("list", "--dead").stdout.splitlines()  # wider than its window
    assert line.split(maxsplit=7) == [
        graveyard["dead"],
        *("2023-11-14", "22:13:20", "dead", "17", "tries", "product.updated"),
        "ValueError: [/] is no markup, and a long sentence that is read to its end",
    ]

    about = gateway("list", "--object", "prod_tea").stdout
    assert [each for each in graveyard.values() if each in about] == [graveyard["changed"]]
    newest = gateway("list", "--type", "product.updated", "--limit", "1").stdout
    assert [each for each in graveyard.values() if each in newest] == [graveyard["later"]]

    lines = [line.replace("│", " ").split() for line in gateway("show", graveyard["changed"]).stdout.splitlines()]
    assert ["metadata.tier", "silver", "gold"] in lines
    assert ["name", "Coffee", "Tea"] in lines
    assert any(line[:2] == ["default_price", "null"] for line in lines)

    replayed = gateway("replay", "--since", "2023-11-16T00:00:00", "--until", "2023-11-18")
    assert replayed.returncode == 0, replayed.stdout
    assert graveyard["later"] in replayed.stdout
    assert "1 events" in replayed.stdout
