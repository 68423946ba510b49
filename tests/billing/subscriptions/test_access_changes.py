"""Whose access is looked at, what is told of it and when it is looked at again: on a database, without a server."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
import structlog

from gateway.billing.subscriptions.access_changes import AccessChangePublisher, count_due_customers
from gateway.models.outbound import AccessWatch
from gateway.outbound.access_watch import WATCHES
from gateway.outbound.outbox import MESSAGES
from harness.rows import DAY, NOW, at, customer, invoice, item, line, put, subscription
from harness.waiting import eventually_async

GRACE = 7 * DAY
PAST = datetime(2020, 1, 1, tzinfo=UTC)
LATER = {"as_of": int(NOW.timestamp())}


def watch(customer_id: str = "cus_1", last: str | None = "", check_at: datetime | None = PAST) -> AccessWatch:
    return AccessWatch(customer_id=customer_id, last_notified=last, check_at=check_at)


def its(subscription_id: str, item_id: str = "si_1", **columns):
    row = item(item_id, "month", "pro")
    for name, value in {"subscription_id": subscription_id, **columns}.items():
        setattr(row, name, value)
    return row


async def rows(database, table: sa.Table) -> list[dict]:
    found = await database.read(lambda connection: connection.execute(sa.select(table)).mappings().all())
    return [dict(row) for row in found]


async def looked(database) -> tuple[list[dict], dict[str, tuple[str | None, datetime | None]]]:
    """What was told after all that is due was looked at, and what is kept of each customer."""
    await AccessChangePublisher(database, GRACE).queue.drain()
    messages = [json.loads(row["payload"]) for row in await rows(database, MESSAGES)]
    assert {each["type"] for each in messages} <= {"access.changed"}
    watched = {row["customer_id"]: (row["last_notified"], row["check_at"]) for row in await rows(database, WATCHES)}
    return [each["data"] for each in messages], watched


UNTIL = at(27)
ACTIVE = f"ACTIVE {UNTIL}"


async def test_access_that_begins_is_told(database, fill):
    await fill(customer(external_id="ada"), subscription(**LATER), its("sub_1"), watch())
    messages, watched = await looked(database)
    assert messages == [
        {
            "customerId": "cus_1",
            "externalId": "ada",
            "allowed": True,
            "reason": "ACTIVE",
            "until": UNTIL.isoformat(),
            "subscriptionId": "sub_1",
        }
    ]
    assert watched == {"cus_1": (ACTIVE, UNTIL)}
    assert (await looked(database))[0] == messages, "nothing is due any more"


PAST_DUE = {"status": "past_due", **LATER}
DECIDED = {
    "the first look is silent": ([subscription(**LATER), its("sub_1"), watch(last=None)], [], (ACTIVE, UNTIL)),
    "nothing new": ([subscription(**LATER), its("sub_1"), watch(last=ACTIVE)], [], (ACTIVE, UNTIL)),
    "another end": ([subscription(**LATER), its("sub_1"), watch(last=f"ACTIVE {at(9)}")], ["ACTIVE"], (ACTIVE, UNTIL)),
    "no end is known": (
        [subscription(**LATER), its("sub_1"), invoice("in_1", line(-3, 27), status="open"), watch()],
        ["ACTIVE"],
        ("ACTIVE None", None),
    ),
    "it ends": ([subscription(status="canceled", **LATER), its("sub_1"), watch(last=ACTIVE)], ["CANCELED"], ("", None)),
    "a refusal after a refusal is no news": ([subscription(**PAST_DUE), watch()], [], ("", None)),
    "nobody has a subscription": ([watch()], [], ("", None)),
    "the last one is gone": ([watch(last=ACTIVE)], ["NO_SUBSCRIPTION"], ("", None)),
    "the grace period": (
        [subscription(**PAST_DUE), its("sub_1"), watch()],
        ["GRACE_PERIOD"],
        (f"GRACE_PERIOD {at(4)}", at(4)),
    ),
    "the customer is deleted": (
        [customer(deleted=True), subscription(**LATER), its("sub_1"), watch(last=ACTIVE)],
        ["NO_SUBSCRIPTION"],
        ("", None),
    ),
    "what was bought for life": ([customer(owned={"pro": 1}), watch()], ["PURCHASED"], ("PURCHASED None", None)),
    "a plan beside what was bought for life": (
        [customer(owned={"pro": 1}), subscription(**LATER), its("sub_1"), watch()],
        ["ACTIVE"],
        (ACTIVE, UNTIL),
    ),
    "what a deleted customer bought for life": (
        [customer(deleted=True, owned={"pro": 1}), watch(last="PURCHASED None")],
        ["NO_SUBSCRIPTION"],
        ("", None),
    ),
    "of several the one that lasts longest": (
        [
            subscription("sub_1", cancel_at=at(9), **LATER),
            its("sub_1", "si_1"),
            subscription("sub_2", cancel_at=at(20), created=at(-9), **LATER),
            its("sub_2", "si_2"),
            subscription("sub_3", "past_due", created=at(1), **LATER),
            watch(),
        ],
        ["ACTIVE"],
        (f"ACTIVE {at(20)}", at(9)),
    ),
    "one that ended long ago is no reason to look again": (
        [subscription(status="canceled", ended_at=PAST, **LATER), its("sub_1"), watch()],
        [],
        ("", None),
    ),
    "what has ended is told of the newest": (
        [
            subscription("sub_1", "canceled", created=at(-1), **LATER),
            subscription("sub_2", "unpaid", created=at(-2), **LATER),
            watch(last=ACTIVE),
        ],
        ["CANCELED"],
        ("", None),
    ),
}  # fmt: skip


FIELDS = {"customerId", "externalId", "allowed", "reason", "until", "subscriptionId"}


@pytest.mark.parametrize(("given", "reasons", "watched"), DECIDED.values(), ids=DECIDED)
async def test_what_is_told_and_when_it_is_looked_at_again(database, fill, given, reasons, watched):
    await fill(*given)
    messages, found = await looked(database)
    assert [each["reason"] for each in messages] == reasons
    assert all(each["allowed"] is (each["reason"] in {"ACTIVE", "GRACE_PERIOD", "PURCHASED"}) for each in messages)
    assert all({*each} == FIELDS for each in messages)
    assert all((each["until"] is None) is (watched[1] is None) for each in messages)
    assert found == {"cus_1": watched}


async def test_what_is_not_due_is_not_looked_at(database, fill):
    await fill(watch("cus_1", ACTIVE, NOW), watch("cus_2", ACTIVE, None), watch("cus_3", ACTIVE))
    messages, watched = await looked(database)
    assert [each["customerId"] for each in messages] == ["cus_3"]
    assert watched == {"cus_1": (ACTIVE, NOW), "cus_2": (ACTIVE, None), "cus_3": ("", None)}


@pytest.mark.parametrize("neighbours", [(1,), (1, 3)])
async def test_one_that_cannot_be_decided_takes_no_neighbour_along(database, fill, neighbours):
    broken = invoice("in_1", customer_id="cus_2", subscription_id="sub_2")
    broken.lines = [{"period_start": "soon"}]
    await fill(*(watch(f"cus_{n}", ACTIVE) for n in (2, *neighbours)), broken)
    await fill(subscription("sub_2", customer_id="cus_2", **LATER), its("sub_2", "si_2"))
    with structlog.testing.capture_logs() as logs:
        messages, watched = await looked(database)
    assert [(each["event"], each.get("customer")) for each in logs] == [
        ("access_one_by_one", None),
        ("access_not_decided", "cus_2"),
    ]
    assert logs[0]["count"] == 1 + len(neighbours)
    assert [each["customerId"] for each in messages] == [f"cus_{n}" for n in neighbours]
    assert (watched["cus_1"], watched["cus_2"][0]) == (("", None), ACTIVE)


async def test_customers_from_before_the_endpoint_are_watched(database, fill):
    await fill(*(subscription(f"sub_{n}", customer_id=f"cus_{n}") for n in range(1, 4)), watch("cus_2", ACTIVE, NOW))
    await fill(subscription("sub_9", customer_id="cus_1"), subscription("acct_1/sub_1", customer_id="acct_1/cus_1"))
    publisher = AccessChangePublisher(database, GRACE)
    await publisher.find()
    found = {row["customer_id"]: row for row in await rows(database, WATCHES)}
    assert sorted(found) == ["cus_1", "cus_2", "cus_3"]
    assert found["cus_2"]["check_at"] == NOW
    assert found["cus_1"]["last_notified"] is None
    assert abs((found["cus_1"]["check_at"] - datetime.now(UTC)).total_seconds()) < 60
    await publisher.find()
    assert len(await rows(database, WATCHES)) == 3


async def test_everybody_is_found_however_many(database, fill):
    await fill(*(subscription(f"sub_{n:04}", customer_id=f"cus_{n:04}") for n in range(1_001)))
    await AccessChangePublisher(database, GRACE).find()
    assert len(await rows(database, WATCHES)) == 1_001


async def test_it_finds_and_looks_while_it_runs(database, fill):
    await fill(subscription(**LATER), its("sub_1"))
    running = asyncio.create_task(AccessChangePublisher(database, GRACE).run())

    async def notified():
        return [row["last_notified"] for row in await rows(database, WATCHES)]

    await eventually_async(notified, [ACTIVE], 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_all_pages_are_gone_through_at_once_and_then_it_rests(database, fill):
    await fill(*(subscription(f"sub_{n}", customer_id=f"cus_{n}") for n in (1, 2, 3)))
    pages: list[str] = []
    sa.event.listen(database._reader, "before_cursor_execute", lambda *given: pages.append(given[2]))
    running = asyncio.create_task(AccessChangePublisher(database, GRACE, page_size=1).run())

    async def found():
        return len(await rows(database, WATCHES)), len([each for each in pages if "DISTINCT" in each])

    await eventually_async(found, (3, 4), 20)  # the last page is empty
    await asyncio.sleep(0.2)  # without a rest it would begin anew meanwhile
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await found() == (3, 4)


async def test_it_rests_after_each_further_page_too(database, fill):
    await fill(*(subscription(f"sub_{n}", customer_id=f"cus_{n}") for n in (1, 2, 3)))
    looked_at: list[float] = []
    loop = asyncio.get_running_loop()

    def note(*given) -> None:
        looked_at.extend([loop.time()] if "DISTINCT" in given[2] else [])

    sa.event.listen(database._reader, "before_cursor_execute", note)
    running = asyncio.create_task(AccessChangePublisher(database, GRACE, page_size=1, rest_seconds=0.05).run())

    async def pages():
        return len(looked_at) >= 6

    await eventually_async(pages, True, 20)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert min(looked_at[4] - looked_at[3], looked_at[5] - looked_at[4]) >= 0.05, "the fourth was the last one"


async def test_nothing_is_done_where_nobody_is_told(database, fill):
    await fill(subscription(**LATER), its("sub_1"))
    database.endpoints = ()
    await asyncio.wait_for(AccessChangePublisher(database, GRACE).run(), 5)
    assert await rows(database, WATCHES) == []


def test_how_many_are_due(connection):
    put(connection, watch("cus_1"), watch("cus_2"), watch("cus_3", check_at=NOW), watch("cus_4", check_at=None))
    assert count_due_customers(connection) == {"pending": 2}
