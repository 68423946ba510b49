"""Running sums of usage, so that reading a period costs the same however much was reported in it.

A period that somebody asks for is summed up once. From then on each new report is added to it in the report's own
transaction. What Stripe refuses is among it, and is taken off when it is read: there is little of that, and it changes.
"""

from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa

from gateway.db.locks import advisory_locks
from gateway.db.statements import execute
from gateway.db.tables import insert, table_for
from gateway.models.metering import UsageCounter, UsageRecord, UsageTotal

USAGE, TOTALS, COUNTERS = table_for(UsageRecord), table_for(UsageTotal), table_for(UsageCounter)
RETENTION = timedelta(days=35)  # after a period, as long as anything may be reported for it
DEAD: sa.ColumnElement[str] = sa.literal_column("'dead'")


def _lies_within(table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that a moment of a customer's usage lies within a period."""
    moment: sa.BindParameter[datetime] = sa.bindparam("moment")
    event_name = table.c.event_name if table is TOTALS else table.c.name
    mine = table.c.customer_id == sa.bindparam("customer"), event_name == sa.bindparam("event")
    return *mine, table.c.period_start <= moment, table.c.period_end > moment


@cache
def _adding() -> sa.Update:
    sums = {"value": TOTALS.c.value + sa.bindparam("more"), "records": TOTALS.c.records + sa.bindparam("count")}
    return sa.update(TOTALS).where(*_lies_within(TOTALS)).values(**sums)


@cache
def _counting() -> sa.Update:
    return sa.update(COUNTERS).where(*_lies_within(COUNTERS)).values(used=COUNTERS.c.used + sa.bindparam("more"))


class Period(NamedTuple):
    """What is summed up: a customer's usage of a meter, from a moment to another, which does not belong to it."""

    customer_id: str
    event_name: str
    start: datetime
    end: datetime


class Total(NamedTuple):
    """The sum of the values, and how many records there are."""

    value: int
    records: int


def add(
    connection: sa.Connection, customer_id: str, event_name: str, moment: datetime, *, value: int, records: int = 1
) -> None:
    """Add new records of one moment, written in this transaction, to every period in which it lies.

    Call `lock` before writing them.
    """
    place = {"customer": customer_id, "event": event_name, "moment": moment}
    execute(connection, _adding(), {**place, "more": value, "count": records})


def count(connection: sa.Connection, customer_id: str, event_name: str, moment: datetime, value: int) -> None:
    """Add what was reported to the counter by which limits are kept, if there is one."""
    place = {"customer": customer_id, "event": event_name, "moment": moment}
    execute(connection, _counting(), {**place, "more": value})


def lock_name(customer_id: str, event_name: str) -> str:
    """Return the name of the advisory lock of a customer's usage of a meter."""
    return f"usage {customer_id} {event_name}"


def lock(connection: sa.Connection, customer_id: str, event_name: str) -> None:
    """Keep others from writing, or summing up, a customer's usage of a meter until the transaction ends."""
    advisory_locks(connection, [lock_name(customer_id, event_name)])


def read(connection: sa.Connection, period: Period) -> Total | None:
    """Return what came together in a period; None where nobody has asked for it yet."""
    key = zip(TOTALS.primary_key, period, strict=True)
    query = sa.select(TOTALS.c.value, TOTALS.c.records).where(*(column == value for column, value in key))
    found = connection.execute(query).first()
    if found is None:
        return None
    refused = connection.execute(summed(period).where(USAGE.c.status == DEAD)).one()
    return Total(found.value - refused.value, found.records - refused.records)


def sum_up(connection: sa.Connection, period: Period) -> None:
    """Sum a period up, in a transaction; of those long past nothing is kept."""
    lock(connection, period.customer_id, period.event_name)
    total = connection.execute(summed(period)).one()
    columns = dict(zip((column.name for column in TOTALS.primary_key), period, strict=True))
    row = insert(connection, TOTALS).values(**columns, value=total.value, records=total.records)
    connection.execute(row.on_conflict_do_nothing())
    mine = TOTALS.c.customer_id == period.customer_id, TOTALS.c.event_name == period.event_name
    connection.execute(sa.delete(TOTALS).where(*mine, TOTALS.c.period_end <= period.start - RETENTION))


def within(period: Period) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that a record belongs to a period."""
    mine = USAGE.c.customer_id == period.customer_id, USAGE.c.event_name == period.event_name
    return *mine, USAGE.c.timestamp >= period.start, USAGE.c.timestamp < period.end


def summed(period: Period) -> sa.Select[int, int]:
    """Return the query of what came together in a period, what Stripe refuses included: `value` and `records`.

    What was taken back is in neither: its record is there twice, once with the value below zero.
    """
    value = sa.cast(sa.func.coalesce(sa.func.sum(USAGE.c.value), 0), sa.BigInteger)
    one = sa.case((USAGE.c.adjusts.is_(None), 1), else_=-1)
    records = sa.cast(sa.func.coalesce(sa.func.sum(one), 0), sa.BigInteger)
    return sa.select(value.label("value"), records.label("records")).select_from(USAGE).where(*within(period))
