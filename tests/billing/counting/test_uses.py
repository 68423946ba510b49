"""What is admitted, counted, held and let go of: on a database, without a server."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.catalog.product_features import UseKind
from gateway.billing.counting.counters import Count, Place, of_credits
from gateway.billing.counting.desk import read_holds
from gateway.billing.counting.uses import Commit, Consume, Hold, Release, record_id, status_of
from gateway.billing.metering.usage import Report, current, report
from gateway.models.credits import CreditAccount, CreditEntry, CreditLot
from gateway.models.metering import UsageHold, UsageRecord
from harness.rows import invoice
from harness.till import ADA, CALLS, DAY, METERED, PAID, TODAY, Till, place


@pytest.fixture
async def till(database, fill):
    await fill(ADA, CALLS)
    return Till(database)


async def test_no_more_is_used_than_the_limit(till):
    assert await till.stands() == "0+0 of 100, 100 left"
    assert await till.use(60, "a") == "60+0 of 100, 40 left"
    assert await till.use(41, "b") == "LIMIT_REACHED amount"
    assert await till.use(40, "b") == "100+0 of 100, 0 left"
    assert await till.use(1, "c") == "LIMIT_REACHED amount"
    assert await till.stands() == "100+0 of 100, 0 left"


async def test_many_in_one_transaction_are_admitted_one_after_the_other(till):
    steps = [Consume(till.place, 30, key) for key in ("a", "a", "b", "c", "d")]
    assert await till.do(*steps, till.holding(10), till.holding(10), Consume(till.place, 1, "e")) == [
        *("30+0 of 100, 70 left", "30+0 of 100, 70 left", "60+0 of 100, 40 left", "90+0 of 100, 10 left"),
        *("LIMIT_REACHED amount", "open 10/None: 90+10 of 100, 0 left", "open 10/None: 90+10 of 100, 0 left"),
        "LIMIT_REACHED amount",
    ]
    assert [len(await till.rows(each)) for each in (UsageRecord, UsageHold)] == [3, 1]
    assert await till.stands() == "90+10 of 100, 0 left"


async def test_a_key_counts_once_and_for_nothing_else(till):
    assert await till.use(5) == await till.use(5) == "5+0 of 100, 95 left"
    assert await till.use(6) == "IDEMPOTENCY_KEY_REUSED idempotencyKey"
    other = Place("cus_1", "images", till.place.counted, 100)
    assert await till.do(Consume(other, 5, "k")) == ["IDEMPOTENCY_KEY_REUSED idempotencyKey"]
    assert await till.do(Consume(Place("cus_2", "tokens", till.place.counted, 100), 6, "k")) == ["6+0 of 100, 94 left"]
    await till.hold(5)
    assert await till.hold(6) == "IDEMPOTENCY_KEY_REUSED idempotencyKey"
    again = replace(till.holding(5), place=other)
    assert await till.do(again) == ["IDEMPOTENCY_KEY_REUSED idempotencyKey"]
    assert await till.stands() == "5+5 of 100, 90 left"


async def test_the_keys_of_two_customers_are_not_the_same(till):
    other = replace(till.place, customer_id="cus_2")
    his = Hold(other, "bob", 6, "h", timedelta(seconds=60))
    assert await till.do(till.holding(5), his, Consume(till.place, 7, "k"), Consume(other, 8, "k")) == [
        *("open 5/None: 0+5 of 100, 95 left", "open 6/None: 0+6 of 100, 94 left"),
        *("7+5 of 100, 88 left", "8+6 of 100, 86 left"),
    ]
    found = {(row["customer_id"], row["external_id"], row["amount"]) for row in await till.rows(UsageHold)}
    assert found == {("cus_1", "ada", 5), ("cus_2", "bob", 6)}


@pytest.mark.parametrize(
    ("where", "name", "status"), [({}, "counter:tokens", "counted"), (METERED, "calls", "pending")]
)
async def test_what_is_written_down_of_a_use_and_of_a_hold(till, where, name, status):
    till.place = place(**where)
    await till.use(4)
    await till.hold(6)
    await till.commit(4)
    (hold,) = await till.rows(UsageHold)
    its = {"customer_id": "cus_1", "external_id": "ada", "feature": "tokens", "name": name, "key": "h"}
    its |= {"status": "committed", "amount": 6, "actual": 4}
    assert its == {name: hold[name] for name in its}
    assert hold["expires_at"] - hold["created"] == timedelta(seconds=60)
    records = {row["id"]: row for row in await till.rows(UsageRecord)}
    assert set(records) == {hold["id"], record_id("cus_1", "k")}
    assert len({row["fingerprint"] for row in records.values()}) == 1, "each is 4 tokens"
    for row in records.values():
        assert (row["customer_id"], row["event_name"], row["value"], row["status"]) == ("cus_1", name, 4, status)
        assert row["timestamp"].microsecond == 0
        assert abs(row["created"] - hold["created"]) < timedelta(minutes=1)
        assert row["next_attempt_at"] == (row["created"] if status == "pending" else None)


def test_a_key_has_one_record_whichever_version_of_the_gateway_counts():
    assert record_id("cus_1", "k") == "use_09f9e9b00583adcde0aaaac5673f19c311b94586"


@pytest.mark.parametrize(
    ("status", "seconds", "expected"),
    [("open", -1, "open"), ("open", 0, "lapsed"), ("open", 1, "lapsed"), ("committed", 1, "committed")],
)
def test_how_a_hold_stands_around_its_end(status, seconds, expected):
    assert status_of(UsageHold(status=status, expires_at=TODAY), TODAY + timedelta(seconds=seconds)) == expected


async def test_a_limit_may_be_none_or_nothing_or_passed(till):
    for limit, overage, expected in (
        (None, False, "7+0 of None, None left"),
        (0, False, "LIMIT_REACHED amount"),
        (5, True, "7+0 of 5, 0 left"),
        (10**400, False, f"7+0 of {2**53 - 1}, {2**53 - 8} left"),
    ):
        till.place = Place("cus_1", f"{limit} {overage}"[:20], place(overage=overage).counted, limit)
        assert await till.use(7, str(limit)[:20]) == expected
    till.place = place(limit=None)
    assert await till.use(2**53 - 1, "all") == f"{2**53 - 1}+0 of None, None left"
    assert await till.use(1, "more") == "AMOUNT_INVALID amount"


async def test_a_hold_keeps_its_amount_until_its_end(till):
    assert await till.hold(60) == "open 60/None: 0+60 of 100, 40 left"
    assert await till.use(41) == "LIMIT_REACHED amount"
    assert await till.hold(41, "i") == "LIMIT_REACHED amount"
    assert await till.commit(25) == "committed 60/25: 25+0 of 100, 75 left"
    assert await till.commit(25) == "committed 60/25: 25+0 of 100, 75 left"
    assert await till.commit(26) == await till.release() == "HOLD_ENDED holdId"
    assert await till.release(gone=True) == "HOLD_ENDED holdId"
    assert till.said == "25 of it was committed"
    assert await till.hold(75, "i") == "open 75/None: 25+75 of 100, 0 left"
    assert await till.release("i") == await till.release("i") == "released 75/None: 25+0 of 100, 75 left"
    assert await till.commit(1, "i") == "HOLD_ENDED holdId"
    assert till.said == "it was released"
    assert await till.hold(75, "i") == "released 75/None: 25+0 of 100, 75 left"  # its key holds nothing any more
    assert await till.hold(1, "j") == "open 1/None: 25+1 of 100, 74 left"
    assert await till.commit(0, "j") == "committed 1/0: 25+0 of 100, 75 left"


async def test_more_than_is_held_is_committed_as_far_as_so_much_is_left(till):
    await till.use(80)
    await till.hold(15)
    assert await till.commit(21) == "LIMIT_REACHED actual"
    assert await till.stands() == "80+15 of 100, 5 left"
    assert await till.commit(20) == "committed 15/20: 100+0 of 100, 0 left"


async def test_a_hold_lapses_by_time_alone(till):
    await till.hold(60, seconds=60)
    till.later(59)
    assert await till.use(41, "a") == "LIMIT_REACHED amount"
    till.later(61)
    assert await till.stands() == "0+0 of 100, 100 left"
    assert await till.use(70, "a") == "70+0 of 100, 30 left"
    assert [row["status"] for row in await till.rows(UsageHold)] == ["lapsed"]
    till.later(0)  # a host whose clock is behind must not count what is given away
    assert await till.commit(60) == "LIMIT_REACHED actual"
    assert await till.commit(30) == "committed 60/30: 100+0 of 100, 0 left"


async def test_what_is_not_held_is_neither_committed_nor_let_go_of(till, database):
    await till.hold(5)
    held = till.holds["h"]
    gone = held.model_copy(update={"id": "gone"})
    assert await till.do(Commit(gone, 1, till.place), Release(gone, till.place)) == ["HOLD_NOT_FOUND holdId"] * 2
    found = await database.read(lambda connection: read_holds(connection, ["gone", held.id]))
    assert [each and each.id for each in found] == [None, held.id]


async def test_a_lapsed_hold_can_be_let_go_of_or_committed_late(till):
    await till.hold(60)
    await till.hold(30, "i")
    till.later(61)
    assert await till.release() == "released 60/None: 0+0 of 100, 100 left"
    assert await till.release(gone=True) == "released 60/None: -"
    assert await till.commit(30, "i") == "committed 30/30: 30+0 of 100, 70 left"


async def test_a_hold_of_who_has_the_feature_no_more_is_counted_up_to_its_amount(till):
    await till.hold(60)
    await till.hold(30, "i")
    assert await till.commit(61, gone=True) == "FEATURE_NOT_ALLOWED actual"
    assert await till.commit(60, gone=True) == "committed 60/60: -"
    till.later(61)
    assert await till.commit(1, "i", gone=True) == "FEATURE_NOT_ALLOWED actual"
    assert await till.stands() == "60+0 of 100, 40 left"


async def test_what_is_under_way_at_the_end_of_a_period_keeps_its_room_in_the_next(till):
    till.place = place(period=(TODAY - 30 * DAY, TODAY + DAY / 2))
    await till.use(40)
    await till.hold(60, seconds=86_400)
    till.later(43_201)
    assert await till.use(41, "next") == "LIMIT_REACHED amount"
    assert await till.use(40, "next") == "40+60 of 100, 0 left"
    assert await till.commit(60) == "committed 60/60: 100+0 of 100, 0 left"
    till.later(86_400 * 32)
    assert await till.stands() == "0+0 of 100, 100 left"


async def test_a_new_period_begins_at_nothing_used_and_a_subscription_taken_again_does_not(till, fill):
    await till.use(70)
    till.later(2 * 86_400)
    again = TODAY + DAY, TODAY + 31 * DAY
    till.place = place(period=again, subscription_id="sub_3")
    assert await till.stands() == "70+0 of 100, 30 left"
    await fill(invoice("in_1", total=0, subscription_id="sub_3"), invoice("in_2", subscription_id="sub_4"))
    await fill(invoice("in_3", status="open", subscription_id="sub_3"))
    assert await till.use(31, "b") == "LIMIT_REACHED amount"
    await fill(invoice("in_4", total=1, subscription_id="sub_3"))  # paid for: what was used since counts alone
    assert await till.use(20, "c") == "20+0 of 100, 80 left"
    till.place = place(period=(again[1], again[1] + 30 * DAY), subscription_id="sub_3")
    assert await till.use(100, "d") == "100+0 of 100, 0 left"


def test_what_is_left_of_credits():
    assert of_credits(5, 2) == Count(None, None, 2, 3, None, overage=False)
    states = ((0, True), (0, False), (None, False))
    assert [Count(5, 9, 0, left, None, over).is_open for left, over in states] == [True, False, True]
    assert (of_credits(1, 3).remaining, of_credits(1, 3).is_open, of_credits(2, 1).is_open) == (0, False, True)


async def test_a_meter_counts_what_is_consumed_and_what_is_reported(till, database):
    till.place = place(**METERED)
    await report(database, Report("ada", "calls", 20, "r1"))
    assert await till.use(30) == "50+0 of 100, 50 left"
    await report(database, Report("ada", "calls", 40, "r2"))
    await report(database, Report("ada", "calls", 40, "r2"))
    await report(database, Report("ada", "calls", 500, "r3", TODAY - 10 * DAY))
    assert await till.use(11, "b") == "LIMIT_REACHED amount"
    await till.hold(10)
    await till.commit(10)
    assert await till.stands() == "100+0 of 100, 0 left"
    assert {row["status"] for row in await till.rows(UsageRecord)} == {"pending"}
    assert (await current(database, "cus_1", "calls")).value in (100, 600)  # of the calendar month: no price counts it
    update = sa.text("UPDATE meter SET formula = 'count'")
    await database.transaction(lambda connection: connection.execute(update))
    for name in ("tea", "calls"):
        till.place = place(kind=UseKind.METER, name=name)
        assert await till.use(1, name) == "METER_NOT_FOUND feature"


async def test_credits_pay_and_are_held(till, fill, database):
    lot = CreditLot(id="a", customer_id="cus_1", purchase_id="in_1", granted=100, granted_at=TODAY)
    await fill(CreditAccount(customer_id="cus_1", balance=100, clock=TODAY), lot)
    till.place = place(**PAID)
    assert await till.use(30) == await till.use(30) == "None+0 of None, 70 left"
    assert await till.use(31) == "IDEMPOTENCY_KEY_REUSED idempotencyKey"
    assert await till.hold(50) == "open 50/None: None+50 of None, 20 left"
    assert await till.use(21, "b") == "INSUFFICIENT_CREDITS amount"
    assert await till.commit(71) == "INSUFFICIENT_CREDITS amount"
    assert await till.commit(40) == await till.commit(40) == "committed 50/40: None+0 of None, 30 left"
    await till.hold(30, "i")
    till.later(61)
    assert await till.use(25, "c") == "None+0 of None, 5 left"
    assert await till.commit(30, "i") == "INSUFFICIENT_CREDITS amount"
    assert await till.commit(0, "i") == "committed 30/0: None+0 of None, 5 left"
    assert await till.hold(5, "j") == "open 5/None: None+5 of None, 0 left"
    assert await till.release("j") == await till.release("j") == "released 5/None: None+0 of None, 5 left"
    assert await till.commit(5, "j") == "HOLD_ENDED holdId"
    assert await till.stands() == "None+0 of None, 5 left"
    paid = [
        (row["amount"], row["reason"], row["key"]) for row in await till.rows(CreditEntry) if row["kind"] == "spend"
    ]
    keys = (record_id("cus_1", "k"), till.holds["h"].id, record_id("cus_1", "c"))
    assert paid == [(-amount, "tokens", key) for amount, key in zip((30, 40, 25), keys, strict=True)]
