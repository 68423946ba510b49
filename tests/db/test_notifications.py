"""Notifications: heard by every process, with the commit and never without."""

import asyncio
import json
import string

import pytest

from gateway.db.database import Database
from gateway.db.notifications import MAX_NOTIFICATIONS, PAYLOAD_BYTES, Notifications, payloads, publish
from harness.databases import both_databases


def publishing(*topics):
    return lambda connection: publish(connection, *topics)


async def heard(subscription, seconds=10.0):
    try:
        await asyncio.wait_for(subscription.wait(), seconds)
    except TimeoutError:
        return False
    return True


@both_databases
async def test_a_commit_is_heard_by_this_process_before_its_writer_goes_on_and_by_others_soon(database, another):
    with database.on_commit.subscribe("customer:1") as here, another.on_commit.subscribe("customer:1") as there:
        await database.transaction(publishing("customer:1"))
        assert await heard(here, 0.05)
        assert await heard(there)


@both_databases
async def test_who_waits_until_the_others_are_heard_need_not_look_again(database_url, database):
    followed, notifications = [], Notifications()
    notifications.follow(followed.append)
    listener = Database(database_url, endpoints=(), on_commit=notifications)
    running = asyncio.create_task(notifications.run(listener))
    assert await notifications.listening()
    assert followed == [None]
    with notifications.subscribe("a") as changed:
        await database.transaction(publishing("a"))
        assert await heard(changed)
    assert followed == [None, ["a"]]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await listener.close()


async def test_who_hears_nobody_waits_a_moment_only():
    assert not await Notifications().listening()


@both_databases
async def test_other_topics_and_own_messages_are_not_heard_again(database, another):
    with database.on_commit.subscribe("customer:1") as mine, another.on_commit.subscribe("customer:2") as other:
        await database.transaction(publishing("customer:1"))
        assert await heard(mine)
        assert not await heard(mine, 1.2)
        assert not await heard(other, 0.05)


@both_databases
async def test_several_changes_before_a_look_are_one_and_a_topic_can_be_added(database):
    with database.on_commit.subscribe() as changed:
        assert changed.add("a", "b")
        assert not changed.add("a")
        for _ in range(3):
            await database.transaction(publishing("a", "b"))
        assert await heard(changed, 0.05)
        assert not await heard(changed, 0.05)
        assert changed.heard == 1


@both_databases
async def test_after_its_end_a_subscription_keeps_nothing(database):
    with database.on_commit.subscribe("a"):
        pass
    await database.transaction(publishing("a"))
    assert "a" not in database.on_commit._waiting


async def test_more_messages_than_are_kept_make_the_others_look_at_everything(sqlite_url, database, another):
    def burst(connection):  # the messages of as many transactions, between two looks of the other process
        for _ in range(MAX_NOTIFICATIONS + 10):
            database.on_commit.send(connection, {"unrelated"})

    with another.on_commit.subscribe("catalog") as changed:
        await database.transaction(burst)
        assert await heard(changed)


@pytest.mark.parametrize(
    "topics",
    [
        [],
        ["catalog"],
        [f"user:{number:0>200}" for number in range(300)],
        ["user:" + '"' * 200, *("user:" + "\U0001f980" * 199 + letter for letter in string.printable)],
    ],
    ids=["none", "one", "long", "of many bytes"],
)
def test_messages_are_cut_by_their_bytes_and_hold_every_topic_once(topics):
    sent = [payload.encode() for payload in payloads("me", topics)]
    assert [topic for payload in sent for topic in json.loads(payload)["topics"]] == topics
    assert all(len(payload) <= PAYLOAD_BYTES and json.loads(payload)["from"] == "me" for payload in sent)
    assert len(sent) <= 1 + 1.2 * sum(map(len, sent)) / PAYLOAD_BYTES


@both_databases
async def test_more_topics_than_one_message_holds_are_all_heard(database, another):
    topics = [f"user:{number:03}" + "\U0001f980" * 197 for number in range(100)]  # as long as a user's name may be
    with another.on_commit.subscribe(topics[0]) as first, another.on_commit.subscribe(topics[-1]) as last:
        await database.transaction(publishing(*topics))
        assert await heard(first)
        assert await heard(last)


@both_databases
async def test_publishing_where_nobody_would_hear_it_is_a_mistake(database):
    with pytest.raises(RuntimeError, match=r"outside Database\.transaction"):
        await database.read(publishing("catalog"))
