"""Usage that is taken back or written anew, and the sums that follow it: as tables, on a database."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from billing.metering.test_usage_rules import meter, record

from gateway.billing.metering import totals
from gateway.billing.metering.adjustments import adjust
from gateway.billing.metering.totals import COUNTERS, TOTALS, Period, Total
from gateway.billing.metering.usage import USAGE, current
from gateway.billing.user_errors import Rejected
from gateway.models.metering import UsageCounter, UsageTotal
from harness.rows import put

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BACK = "adj_ca978112ca1bbdcafac231b39a23dc4da786eff8"
"""What takes the record `a` back: every release names it so, or two of them would take it back twice."""


async def stored(database) -> dict[str, dict]:
    rows = await database.read(lambda connection: connection.execute(sa.select(USAGE)).mappings().all())
    return {row["id"]: dict(row) for row in rows}


async def adjusted(database, identifier: str = "a", value: int | None = None):
    """The record in the place of another, or the code and the field of what stands against it."""
    try:
        found = await adjust(database, identifier, value)
    except Rejected as rejected:
        (problem,) = rejected.problems
        return problem.code.name, problem.field
    return found and found.id


@pytest.mark.parametrize(("value", "there"), [(None, [BACK]), (0, [BACK, f"{BACK}+"]), (7, [BACK, f"{BACK}+"])])
async def test_a_record_is_taken_back_once_and_another_is_in_its_place(database, fill, value, there):
    wrong = record("a", 5, NOW - HOUR, attempts=3, last_error="was down", properties={"model": "big"}, customer_id="x")
    await fill(wrong, record("b"))
    assert [await adjusted(database, value=value) for _ in range(2)] == [None if value is None else f"{BACK}+"] * 2
    rows = await stored(database)
    assert rows.keys() == {"a", "b", *there}
    for name in there:
        written = rows[name]
        assert abs(written["created"] - datetime.now(UTC)) < HOUR / 2
        assert written["created"] == written["next_attempt_at"]
        changed = {"id": name, "value": -5, "adjusts": "a"} if name == BACK else {"id": name, "value": value}
        fresh = {"status": "pending", "attempts": 0, "last_error": None, "fingerprint": str(value)}
        times = {key: written[key] for key in ("created", "next_attempt_at")}
        assert written == rows["a"] | fresh | changed | times
    assert await adjusted(database, value=3) == ("IDEMPOTENCY_KEY_REUSED", "identifier")
    assert (await stored(database)).keys() == rows.keys()


NOT_FOUND, LATE = ("USAGE_NOT_FOUND", "identifier"), ("TIMESTAMP_INVALID", "identifier")
AMOUNT = ("AMOUNT_INVALID", "value")
WRONG = {
    "nothing": ([], {}, NOT_FOUND),
    "what takes another back": ([record("a", adjusts="b")], {}, NOT_FOUND),
    "what Stripe refuses": ([record("a", status="dead")], {}, NOT_FOUND),
    "what it has for a day": ([record("a", created=NOW - DAY - HOUR)], {}, LATE),
    "what waits for a day": ([record("a", status="pending", created=NOW - DAY - HOUR)], {}, LATE),
    "what it has for less": ([record("a", created=NOW - DAY + HOUR)], {}, None),
    "what it does not hear of": ([record("a", status="counted", created=NOW - 3 * DAY)], {}, None),
    "less than nothing": ([record("a")], {"value": -1}, AMOUNT),
    "too much": ([record("a")], {"value": 2**53}, AMOUNT),
    "the most": ([record("a")], {"value": 2**53 - 1}, f"{BACK}+"),
}


@pytest.mark.parametrize(("rows", "wanted", "expected"), WRONG.values(), ids=WRONG)
async def test_what_can_be_taken_back(database, fill, rows, wanted, expected):
    await fill(*rows)
    assert await adjusted(database, **wanted) == expected


@pytest.mark.parametrize(("formula", "values"), [("sum", [6, 8, 7]), ("count", [2, 2, 1])])
async def test_what_was_summed_up_follows_a_correction(database, fill, formula, values):
    times = {"period_start": NOW - DAY, "period_end": NOW + DAY}
    await fill(UsageCounter(customer_id="cus_1", name="calls", subscription_id="sub_1", used=6, **times))
    await fill(meter(formula=formula), record("a", 5, NOW), record("b", 1, NOW))
    found = [(await current(database, "cus_1", "calls")).value]
    for identifier, value in (("a", 7), ("b", None)):
        await adjusted(database, identifier, value)
        found.append((await current(database, "cus_1", "calls")).value)
    assert found == values
    assert await database.read(lambda connection: connection.execute(sa.select(COUNTERS.c.used)).scalar()) == 7


async def test_of_a_plain_counter_stripe_hears_nothing(database, fill):
    await fill(record("a", 5, status="counted"))
    await adjusted(database, value=4)
    rows = await stored(database)
    assert [(rows[name]["status"], rows[name]["next_attempt_at"]) for name in (BACK, f"{BACK}+")] == [
        ("counted", None)
    ] * 2


def test_a_sum_is_of_its_own_period_and_follows_what_comes(connection):
    mine = Period("cus_1", "calls", NOW, NOW + DAY)
    others = [
        *(mine._replace(customer_id="cus_2"), mine._replace(event_name="other")),
        *(mine._replace(start=NOW + DAY, end=NOW + 2 * DAY), mine._replace(start=NOW - DAY, end=NOW)),
    ]
    rows = [record("a", 5, NOW), record("b", 7, NOW, status="dead"), record("c", -5, NOW, adjusts="a")]
    put(connection, meter(), *rows, *(record(f"{n}", 100, at) for n, at in enumerate((NOW - HOUR, NOW + DAY))))
    assert totals.read(connection, mine) is None
    for each in (mine, mine, *others):
        totals.sum_up(connection, each)
    assert totals.read(connection, mine) == Total(0, 0)
    before = [totals.read(connection, each) for each in others]
    assert before == [Total(0, 0), Total(0, 0), Total(100, 1), Total(100, 1)]
    for moment in (NOW - HOUR, NOW, NOW + HOUR, NOW + DAY):
        totals.add(connection, "cus_1", "calls", moment, value=3)
    totals.add(connection, "cus_1", "calls", NOW, value=20, records=4)
    assert totals.read(connection, mine) == Total(26, 6)
    assert [totals.read(connection, each) for each in others] == [*before[:2], Total(103, 2), Total(103, 2)]


def test_sums_of_long_ago_are_kept_no_longer(connection):
    old = NOW - 35 * DAY
    put(
        connection,
        *(
            UsageTotal(customer_id=who, event_name=name, period_start=old - DAY, period_end=end, value=1, records=1)
            for who, name, end in (
                *(("cus_1", "calls", old), ("cus_1", "calls", old + HOUR)),
                *(("cus_1", "other", old), ("cus_2", "calls", old)),
            )
        ),
    )
    totals.sum_up(connection, Period("cus_1", "calls", NOW, NOW + DAY))
    left = connection.execute(sa.select(TOTALS.c.customer_id, TOTALS.c.event_name, TOTALS.c.period_end)).all()
    assert sorted(left) == [
        *(("cus_1", "calls", old + HOUR), ("cus_1", "calls", NOW + DAY)),
        *(("cus_1", "other", old), ("cus_2", "calls", old)),
    ]


def test_a_counter_counts_what_is_in_its_period(connection):
    def counter(who: str, name: str) -> UsageCounter:
        times = {"period_start": NOW, "period_end": NOW + DAY}
        return UsageCounter(customer_id=who, name=name, subscription_id="sub_1", used=10, **times)

    put(connection, *(counter(who, name) for who in ("cus_1", "cus_2") for name in ("calls", "other")))
    for moment, value in ((NOW - HOUR, 1), (NOW, 2), (NOW + HOUR, -4), (NOW + DAY, 8)):
        totals.count(connection, "cus_1", "calls", moment, value)
    used = connection.execute(sa.select(COUNTERS.c.customer_id, COUNTERS.c.name, COUNTERS.c.used)).all()
    assert sorted(used) == [
        *(("cus_1", "calls", 8), ("cus_1", "other", 10)),
        *(("cus_2", "calls", 10), ("cus_2", "other", 10)),
    ]
