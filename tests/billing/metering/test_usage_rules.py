"""What usage may be reported, and what it comes to: on a database, without a server."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.metering.totals import Period
from gateway.billing.metering.usage import USAGE, Beside, Report, counted_in, current, report, report_all
from gateway.billing.user_errors import Rejected
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import Meter
from harness.databases import both_databases
from harness.rows import customer, item, price, put, subscription

TODAY = datetime.now(UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
MARGIN = timedelta(minutes=1)


def meter(id: str = "mtr_1", event_name: str = "calls", formula: str = "sum", **columns) -> Meter:
    given = {"display_name": id, "customer_key": "customer", "value_key": "value", "status": "active", "as_of": 0}
    return Meter(id=id, event_name=event_name, formula=formula, **{**given, **columns})


def record(id: str, value: int = 1, at: datetime = TODAY, **columns) -> UsageRecord:
    given = {"customer_id": "cus_1", "event_name": "calls", "fingerprint": "x", "status": "sent", "created": at}
    return UsageRecord(id=id, value=value, timestamp=at, **{**given, **columns})


async def reported(database, **wanted) -> UsageRecord | list[tuple[str, str | None]]:
    """The record of a report, or the codes and the fields of what stands against it."""
    given = {"external_id": "ada", "event_name": "calls", "value": 5, "identifier": "id_1", **wanted}
    try:
        return await report(database, Report(**given))
    except Rejected as rejected:
        return [(problem.code.name, problem.field) for problem in rejected.problems]


ADA = customer(external_id="ada")


async def test_a_report_is_written_down(database, fill):
    await fill(ADA, meter())
    moment = (TODAY - DAY).replace(microsecond=123)
    found = await reported(database, timestamp=moment)
    assert found.model_dump(include={"id", "customer_id", "event_name", "value", "timestamp", "status"}) == {
        "id": "id_1", "customer_id": "cus_1", "event_name": "calls", "value": 5,
        "timestamp": moment.replace(microsecond=0), "status": "pending",
    }  # fmt: skip
    now = await reported(database, identifier="id_2")
    for each in (now.timestamp, now.next_attempt_at, now.created, found.created):
        assert abs((each - datetime.now(UTC)).total_seconds()) < 60
    assert now.timestamp.microsecond == 0


async def test_one_identifier_counts_once(database, fill):
    await fill(ADA, customer("cus_2", "bob"), meter(), meter("mtr_2", "other"))
    moment = TODAY.replace(microsecond=0)
    first = await reported(database, timestamp=moment)
    assert await reported(database, timestamp=moment + timedelta(milliseconds=4)) == first
    for other in ({"value": 6}, {"event_name": "other"}, {"external_id": "bob"}, {"timestamp": moment - SECOND}):
        found = await reported(database, **{"timestamp": moment, **other})
        assert found == [("IDEMPOTENCY_KEY_REUSED", "identifier")]
    assert await reported(database) == [("IDEMPOTENCY_KEY_REUSED", "identifier")]


@pytest.mark.parametrize(("status", "then"), [("dead", "pending"), ("sent", "sent"), ("pending", "pending")])
async def test_what_stripe_refused_is_sent_once_more(database, fill, status, then):
    await fill(ADA, meter())
    await reported(database)
    values = {"status": status, "next_attempt_at": None}
    await database.transaction(lambda connection: connection.execute(sa.update(USAGE).values(**values)))
    await fill(record("id_2", status="dead"))
    again = await reported(database)
    assert (again.status, again.next_attempt_at is not None) == (then, status == "dead")
    other = await database.read(lambda connection: connection.execute(sa.select(USAGE.c.id, USAGE.c.status)).all())
    assert ("id_2", "dead") in other


async def test_another_report_opens_nothing_again(database, fill):
    await fill(ADA, meter())
    await reported(database)
    await database.transaction(lambda connection: connection.execute(sa.update(USAGE).values(status="dead")))
    assert await reported(database, value=6) == [("IDEMPOTENCY_KEY_REUSED", "identifier")]
    rows = await database.read(lambda connection: connection.execute(sa.select(USAGE.c.status)).all())
    assert rows == [("dead",)]


VALUE, IDENTIFIER = ("AMOUNT_INVALID", "value"), ("IDEMPOTENCY_KEY_INVALID", "identifier")
MOMENT, PROPERTIES = ("TIMESTAMP_INVALID", "timestamp"), ("METADATA_INVALID", "properties")
WRONG = {
    "nothing": ({"value": 0}, None),
    "less": ({"value": -1}, [VALUE]),
    "as much as can be": ({"value": 2**53 - 1}, None),
    "more": ({"value": 2**53}, [VALUE]),
    "no identifier": ({"identifier": ""}, [IDENTIFIER]),
    "a short one": ({"identifier": "x"}, None),
    "a long one": ({"identifier": "x" * 100}, None),
    "a longer one": ({"identifier": "x" * 101}, [IDENTIFIER]),
    "long ago": ({"timestamp": TODAY - 35 * DAY + MARGIN * 60}, None),
    "longer ago": ({"timestamp": TODAY - 35 * DAY - MARGIN}, [MOMENT]),
    "soon": ({"timestamp": TODAY + 4 * MARGIN}, None),
    "later": ({"timestamp": TODAY + 60 * MARGIN}, [MOMENT]),
    "no such meter": ({"event_name": "other"}, [("METER_NOT_FOUND", "eventName")]),
    "a meter that is switched off": ({"event_name": "off"}, [("METER_NOT_FOUND", "eventName")]),
    "a connected account's": ({"event_name": "theirs"}, [("METER_NOT_FOUND", "eventName")]),
    "ten properties": ({"properties": {f"p{n}": "x" for n in range(10)}}, None),
    "eleven": ({"properties": {f"p{n}": "x" for n in range(11)}}, [PROPERTIES]),
    "a long name and a long text": ({"properties": {"n" * 40: "x" * 100}}, None),
    "a longer name": ({"properties": {"n" * 41: "x"}}, [PROPERTIES]),
    "a longer text": ({"properties": {"n": "x" * 101, "m": ""}}, [PROPERTIES]),
    "all that a name may have": ({"properties": {"a_Z-9.": ""}}, None),
    "what it may not": ({"properties": {"ok": "x", "a b": "x"}}, [PROPERTIES]),
    "a letter of another alphabet": ({"properties": {"\u00e4": "x"}}, [PROPERTIES]),
    "what the meter calls the customer": ({"properties": {"customer": "cus_2"}}, [PROPERTIES]),
    "what it calls the value": ({"properties": {"ok": "x", "value": "0"}}, [PROPERTIES]),
    "properties of no meter": (
        {"properties": {"a b": "x"}, "event_name": "other"},
        [("METER_NOT_FOUND", "eventName"), PROPERTIES],
    ),
    "nobody": ({"external_id": "bob"}, [("NO_CUSTOMER", "externalId")]),
    "deleted": ({"external_id": "eve"}, [("NO_CUSTOMER", "externalId")]),
    "everything": (
        {"value": -1, "identifier": "", "event_name": "x", "external_id": "bob"},
        [VALUE, IDENTIFIER, ("METER_NOT_FOUND", "eventName"), ("NO_CUSTOMER", "externalId")],
    ),
}


@pytest.mark.parametrize(("wanted", "expected"), WRONG.values(), ids=WRONG)
async def test_what_a_report_may_say(database, fill, wanted, expected):
    await fill(ADA, customer("cus_3", "eve", deleted=True), meter(), meter("mtr_2", "off", status="inactive"))
    await fill(meter("acct_1/mtr_1", "theirs"))
    found = await reported(database, **wanted)
    assert (None if isinstance(found, UsageRecord) else found) == expected


NO_ONE = ("NO_CUSTOMER", "records.0.externalId")


def asked(identifier: str = "a", value: int = 1, external_id: str = "ada", **more) -> Report:
    return Report(external_id, "calls", value, identifier, **more)


async def reported_all(database, *reports: Report, beside: Beside | None = None) -> list:
    """The identifiers of many records at once, or the codes and fields of what stands against them."""
    try:
        places = [(f"records.{place}.", each) for place, each in enumerate(reports)]
        return [row.id for row in await report_all(database, places, beside)]
    except Rejected as rejected:
        return [(problem.code.name, problem.field) for problem in rejected.problems]


async def written(database) -> dict[str, int]:
    return dict(await database.read(lambda connection: connection.execute(sa.select(USAGE.c.id, USAGE.c.value)).all()))


async def test_many_are_written_down_together_or_none_of_them(database, fill):
    await fill(ADA, customer("cus_2", "bob"), meter())
    assert await reported_all(database, asked("a"), asked("b", 2, "bob"), asked("a")) == ["a", "b", "a"]
    assert await written(database) == {"a": 1, "b": 2}
    reused = "IDEMPOTENCY_KEY_REUSED"
    for reports, expected in (
        ([asked("c"), asked("c", 2)], [(reused, "records.1.identifier")]),
        ([asked("c"), asked("a", 2), asked("b", 2, "bob")], [(reused, "records.1.identifier")]),
        ([asked("c"), asked("d", -1)], [("AMOUNT_INVALID", "records.1.value")]),
        ([asked("", external_id="eve")], [("IDEMPOTENCY_KEY_INVALID", "records.0.identifier"), NO_ONE]),
    ):
        assert await reported_all(database, *reports) == expected
    assert await written(database) == {"a": 1, "b": 2}
    assert await reported_all(database, asked("a"), asked("c", 3)) == ["a", "c"]
    assert await written(database) == {"a": 1, "b": 2, "c": 3}


async def test_properties_are_kept_and_are_a_part_of_what_was_asked(database, fill):
    await fill(ADA, meter())
    found = await reported(database, properties={"model": "big", "team": "x"})
    assert found.properties == {"model": "big", "team": "x"}
    assert await reported(database, properties={"team": "x", "model": "big"}) == found
    for other in ({"model": "big"}, {}, None):
        assert await reported(database, properties=other) == [("IDEMPOTENCY_KEY_REUSED", "identifier")]
    plain = await reported(database, identifier="id_2", properties={})
    assert (plain.properties, await reported(database, identifier="id_2")) == (None, plain)


async def test_what_is_done_beside_is_done_once_and_what_it_refuses_is_not_written(database, fill):
    await fill(ADA, meter())
    done = []
    once = Beside(["lock"], lambda connection: done.append(connection.execute(sa.select(USAGE.c.id)).scalars().all()))
    assert await reported_all(database, asked(), beside=once) == ["a"]
    assert await reported_all(database, asked(), beside=once) == ["a"]
    assert done == [["a"]]

    def refuse(connection):
        raise Rejected

    assert await reported_all(database, asked("b"), beside=Beside([], refuse)) == []
    assert await written(database) == {"a": 1}


# --- What it comes to ---------------------------------------------------------------------------------------------

START, END = TODAY.replace(microsecond=0) - 3 * DAY, TODAY.replace(microsecond=0) + 27 * DAY
RECORDS = [
    record("a", 5, START),
    record("b", 7, START + DAY),
    record("c", 2, START + 2 * DAY, status="pending"),
    record("d", 100, START - SECOND),
    record("e", 100, END),
    record("f", 100, START + DAY, status="dead"),
    record("g", 100, START + DAY, customer_id="cus_2"),
    record("h", 100, START + DAY, event_name="other"),
]


def billed(start: datetime = START, end: datetime = END, subscription_id: str = "sub_1", price_id: str = "calls"):
    row = item(f"si_{subscription_id}", price_id, "pro", None)
    row.subscription_id, row.current_period_start, row.current_period_end = subscription_id, start, end
    return row


CALLS = price("calls", "pro", None, meter="mtr_1")


@pytest.mark.parametrize(("formula", "value"), [("sum", 14), ("count", 3), ("last", 2)])
async def test_what_came_together_in_the_present_period(database, fill, formula, value):
    await fill(meter(formula=formula), CALLS, subscription(), billed(), *RECORDS)
    found = await current(database, "cus_1", "calls")
    assert (found.meter.id, found.value, found.period_start, found.period_end) == ("mtr_1", value, START, END)


@both_databases
@pytest.mark.parametrize(("formula", "values"), [("sum", [14, 20, 20, 20, 18, 11]), ("count", [3, 5, 5, 5, 4, 3])])
async def test_what_was_summed_up_once_follows_every_report(database_url, formula, values):
    database = Database(database_url, endpoints=(), on_commit=Notifications())

    def mark(name: str, status: str):
        update = sa.update(USAGE).where(USAGE.c.id == name).values(status=status)
        return database.transaction(lambda connection: connection.execute(update))

    rows = [meter(formula=formula), CALLS, subscription(), billed(), ADA, *RECORDS]
    await database.transaction(lambda connection: put(connection, *rows))
    found = [(await current(database, "cus_1", "calls")).value]
    moments = [START + DAY, START + 2 * DAY, START - SECOND]
    await asyncio.gather(
        *(reported(database, identifier=f"new{n}", value=3, timestamp=moments[n % 3]) for n in (0, 1, 2, 0, 1))
    )
    for change in (reported(database, identifier="new0", value=3, timestamp=START + DAY), mark("d", "dead")):
        found.append((await current(database, "cus_1", "calls")).value)
        await change
    found.append((await current(database, "cus_1", "calls")).value)
    await mark("c", "dead")
    found.append((await current(database, "cus_1", "calls")).value)
    await mark("b", "dead")
    found.append((await current(database, "cus_1", "calls")).value)
    assert found == values
    await database.close()


async def test_of_one_second_the_last_report_counts(database, fill):
    rows = [record("a", 1, START, created=START), record("b", 2, START, created=START + SECOND)]
    await fill(
        meter(formula="last"), CALLS, subscription(), billed(), *rows, record("c", 3, START, created=START - DAY)
    )
    assert (await current(database, "cus_1", "calls")).value == 2


async def test_the_last_is_what_happened_last_and_not_what_was_told_last(database, fill):
    early, late = record("a", 1, START + SECOND, created=START), record("b", 2, START, created=START + DAY)
    await fill(meter(formula="last"), CALLS, subscription(), billed(), early, late)
    assert (await current(database, "cus_1", "calls")).value == 1


@pytest.mark.parametrize("formula", ["sum", "count", "last"])
async def test_nothing_is_zero(database, fill, formula):
    await fill(meter(formula=formula), CALLS, subscription(), billed())
    assert (await current(database, "cus_1", "calls")).value == 0


async def test_without_such_a_meter_there_is_nothing(database, fill):
    other = meter("mtr_0", event_name="other")
    await fill(meter("acct_1/mtr_1"), other, CALLS, subscription(), billed(), *RECORDS)
    assert await current(database, "cus_1", "calls") is None


MONTHS = {
    "none": [],
    "another customer's": [CALLS, subscription(customer_id="cus_2"), billed()],
    "of another meter": [price("calls", "pro", meter="mtr_2"), subscription(), billed()],
    "one that has ended": [CALLS, subscription(ended_at=TODAY), billed()],
}


@pytest.mark.parametrize("rows", MONTHS.values(), ids=MONTHS)
async def test_without_a_subscription_the_calendar_month_counts(database, fill, rows):
    await fill(meter(), *rows)
    found = await current(database, "cus_1", "calls")
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = month.replace(month=1, year=month.year + 1) if month.month == 12 else month.replace(month=month.month + 1)
    assert (found.period_start, found.period_end) == (month, after)


async def test_of_several_subscriptions_the_latest_period_counts(database, fill):
    later = billed(START + DAY, END + DAY, "sub_2")
    await fill(meter(), CALLS, subscription(), subscription("sub_2"), billed(), later, *RECORDS)
    found = await current(database, "cus_1", "calls")
    assert (found.period_start, found.value) == (START + DAY, 109)


BIG = {"properties": {"model": "big", "team": "x"}}
READ = [
    record("a", 5, START, **BIG),
    record("b", 7, START + DAY, **BIG),
    record("c", 2, START + DAY, properties={"model": "small"}),
    record("d", 4, START + 2 * DAY, status="dead", **BIG),
    record("e", 1, START + 2 * DAY, **BIG),
    record("f", -1, START + 2 * DAY, adjusts="e", **BIG),
    record("g", 3, START + DAY / 2, status="pending", properties={"model": "big"}),
]


@pytest.mark.parametrize(
    ("formula", "all_of_it", "big", "of_team"), [("sum", 17, 15, 12), ("count", 4, 3, 2), ("last", 2, 7, 7)]
)
async def test_usage_is_read_by_its_properties(database, fill, formula, all_of_it, big, of_team):
    await fill(meter(formula=formula), CALLS, subscription(), billed(), *READ[:2], READ[2], *READ[3:])
    for properties, value in ((None, all_of_it), ({"model": "big"}, big), ({"team": "x", "model": "big"}, of_team)):
        found = await current(database, "cus_1", "calls", properties)
        assert (found.value, found.period_start, found.period_end) == (value, START, END)
    assert (await current(database, "cus_1", "calls", {"model": "other"})).value == 0
    period = Period("cus_1", "calls", START, START + DAY)
    early = {"sum": 8, "count": 2, "last": 3}
    assert await database.read(lambda connection: counted_in(connection, formula, period)) == early[formula]


async def test_another_customers_correction_takes_nothing_back(database, fill):
    theirs = record("b", -1, START, adjusts="a", customer_id="cus_2")
    await fill(meter(formula="last"), CALLS, subscription(), billed(), record("a", 1, START), theirs)
    assert (await current(database, "cus_1", "calls")).value == 1


@pytest.mark.parametrize("formula", ["sum", "count", "last"])
async def test_who_is_no_customer_has_used_nothing(database, fill, formula):
    await fill(meter(formula=formula), record("a"))
    found = await current(database, None, "calls")
    assert (found.value, found.period_start.day) == (0, 1)
