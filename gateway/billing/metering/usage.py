"""Usage that is billed by Stripe's meters: reported, and read back for the present period.

A report is answered once it is in the table, which is the queue of `forwarder.py`: an outage of Stripe loses none.
"""

import re
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256

import sqlalchemy as sa
from sqlmodel import col, select

from gateway.billing.metering import totals
from gateway.billing.metering.totals import Period, Total
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.locks import advisory_locks
from gateway.db.rows import all_rows, first_row
from gateway.db.tables import insert, table_for
from gateway.mirror.accounts import own
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import OPEN_SUBSCRIPTIONS_PREDICATE, Customer, Meter, Price, Subscription, SubscriptionItem

USAGE = table_for(UsageRecord)
OLDEST, NEWEST = timedelta(days=35), timedelta(minutes=5)  # Stripe's own limits
MAX_VALUE, MAX_IDENTIFIER = 2**53 - 1, 100
MAX_RECORDS = 1_000
"""So many are written down at once."""
MAX_PROPERTIES, MAX_PROPERTY, PROPERTY = 10, 100, re.compile(r"[\w.-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Report:
    """Some usage of a user.

    Attributes:
        external_id: the application's own user.
        event_name: the meter's.
        value: how much.
        identifier: the same one counts once.
        timestamp: when; None is now.
        properties: the caller's, by which it can be read, such as the model that was used.
    """

    external_id: str
    event_name: str
    value: int
    identifier: str
    timestamp: datetime | None = None
    properties: Mapping[str, str] | None = None

    @property
    def fingerprint(self) -> str:
        """Return what must be the same under one identifier."""
        moment = int(self.timestamp.timestamp()) if self.timestamp else None
        fields: tuple[object, ...] = (self.external_id, self.event_name, self.value, moment)
        if self.properties:
            fields = (*fields, sorted(self.properties.items()))
        return sha256(repr(fields).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Beside:
    """What is done in the transaction that writes usage down, once it is.

    Attributes:
        locks: the names of the advisory locks that it needs.
        work: it; what it raises undoes all.
    """

    locks: Collection[str]
    work: Callable[[sa.Connection], None]


@dataclass(frozen=True, slots=True)
class Usage:
    """What came together in a period."""

    meter: Meter
    value: int
    period_start: datetime
    period_end: datetime


async def report(database: Database, usage: Report) -> UsageRecord:
    """Write usage down; once it is written, it reaches Stripe. Usage that Stripe refused is sent once more.

    Raises:
        Rejected: the report must be fixed.
        DatabaseUnavailable: it could not be written down; the same report can be sent again.
    """
    return (await report_all(database, [("", usage)]))[0]


async def report_all(
    database: Database, reports: Sequence[tuple[str, Report]], beside: Beside | None = None
) -> list[UsageRecord]:
    """Write the usage of many down, all of it or nothing, as `report` does.

    Args:
        database: where it is written.
        reports: each with where it stands in the input, such as `records.3.`.
        beside: what is done in the same transaction, where something is new.

    Raises: as `report`.
    """
    due, present = datetime.now(UTC), database.clock.now()
    users, names = ({getattr(each, name) for _, each in reports} for name in ("external_id", "event_name"))
    theirs = col(Customer.external_id).in_(users), col(Customer.deleted).is_(False)
    usable = col(Meter.event_name).in_(names), col(Meter.status) == "active", own(col(Meter.id))
    found, active = await database.read(
        lambda connection: (all_rows(connection, Customer, *theirs), all_rows(connection, Meter, *usable))
    )
    ids = {customer.external_id: customer.id for customer in found}
    by_name = {meter.event_name: meter for meter in active}
    problems = [problem for where, each in reports for problem in _problems(where, each, present, ids, by_name)]
    rows: dict[str, UsageRecord] = {}
    for where, each in reports if not problems else ():
        row = UsageRecord(
            id=each.identifier,
            customer_id=ids[each.external_id],
            event_name=each.event_name,
            value=each.value,
            timestamp=(each.timestamp or present).replace(microsecond=0),
            fingerprint=each.fingerprint,
            status="pending",
            next_attempt_at=due,
            created=due,
            properties=dict(each.properties) if each.properties else None,
        )
        if rows.setdefault(row.id, row).fingerprint != row.fingerprint:
            problems.append(_reused(where))
    if problems:
        raise Rejected(*problems)
    written = await database.transaction(partial(_write, rows=rows, beside=beside))
    wrong = [_reused(where) for where, each in reports if written[each.identifier].fingerprint != each.fingerprint]
    if wrong:
        raise Rejected(*wrong)
    return [written[each.identifier] for _, each in reports]


def _write(connection: sa.Connection, rows: Mapping[str, UsageRecord], beside: Beside | None) -> dict[str, UsageRecord]:
    """Write what is new, unless something else was reported under one of the names; all of it as it is then."""
    locks = {totals.lock_name(row.customer_id, row.event_name) for row in rows.values()}
    advisory_locks(connection, locks.union(beside.locks if beside else ()))  # all at once, in one order
    stored = sa.select(USAGE).where(USAGE.c.id.in_(rows))
    there = {row["id"]: UsageRecord(**row) for row in connection.execute(stored).mappings()}
    if any(row.fingerprint != rows[name].fingerprint for name, row in there.items()):
        return {**rows, **there}
    new = [row for name, row in rows.items() if name not in there]
    if new:
        values = [row.model_dump() for row in new]
        known = insert(connection, USAGE).on_conflict_do_nothing().returning(USAGE.c.id)
        inserted = set(connection.execute(known, values).scalars())
        add_up(connection, [row for row in new if row.id in inserted])
        if beside:
            beside.work(connection)
    refused = [name for name, row in there.items() if row.status == "dead"]
    if refused:
        again = {"status": "pending", "next_attempt_at": next(iter(rows.values())).next_attempt_at}
        connection.execute(sa.update(USAGE).where(USAGE.c.id.in_(refused)).values(**again))
    return {row["id"]: UsageRecord(**row) for row in connection.execute(stored).mappings()}


def add_up(connection: sa.Connection, rows: Sequence[UsageRecord]) -> None:
    """Add new records, written in this transaction, to the sums and the counter of their periods."""
    together: dict[tuple[str, str, datetime], list[UsageRecord]] = {}
    for row in rows:
        together.setdefault((row.customer_id, row.event_name, row.timestamp), []).append(row)
    for place, same in together.items():
        value, records = sum(row.value for row in same), sum(-1 if row.adjusts else 1 for row in same)
        totals.add(connection, *place, value=value, records=records)
        totals.count(connection, *place, value)


def _reused(where: str) -> Problem:
    message = "this identifier was used for other usage; use a new one"
    return Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, f"{where}identifier")


def _problems(
    where: str, usage: Report, present: datetime, customers: Container[str | None], meters: Mapping[str, Meter]
) -> Iterator[Problem]:
    if not 0 <= usage.value <= MAX_VALUE:
        yield Problem(ProblemCode.AMOUNT_INVALID, f"a value is 0 to {MAX_VALUE}", f"{where}value")
    if not 1 <= len(usage.identifier) <= MAX_IDENTIFIER:
        message = f"the identifier is empty or too long: use 1 to {MAX_IDENTIFIER} characters, such as a UUID"
        yield Problem(ProblemCode.IDEMPOTENCY_KEY_INVALID, message, f"{where}identifier")
    if usage.timestamp and not present - OLDEST <= usage.timestamp <= present + NEWEST:
        message = "Stripe counts usage of the past 35 days, and at most 5 minutes ahead"
        yield Problem(ProblemCode.TIMESTAMP_INVALID, message, f"{where}timestamp")
    meter = meters.get(usage.event_name)
    if meter is None:
        message = f"there is no active meter for {usage.event_name!r}: create it at Stripe first"
        yield Problem(ProblemCode.METER_NOT_FOUND, message, f"{where}eventName")
    if usage.properties and not _are_good(usage.properties, meter):
        message = (
            f"at most {MAX_PROPERTIES} properties; names of 1 to 40 letters, digits, `_`, `-` and `.` that the meter "
            "does not use itself, values of up to 100 characters"
        )
        yield Problem(ProblemCode.METADATA_INVALID, message, f"{where}properties")
    if usage.external_id not in customers:
        yield Problem(
            ProblemCode.NO_CUSTOMER,
            "this user has bought nothing yet: a first checkout comes before it",
            f"{where}externalId",
        )


def _are_good(properties: Mapping[str, str], meter: Meter | None) -> bool:
    taken = {meter.customer_key, meter.value_key} if meter else set()
    good = (PROPERTY.fullmatch(name) and len(text) <= MAX_PROPERTY for name, text in properties.items())
    return len(properties) <= MAX_PROPERTIES and all(good) and not taken & properties.keys()


async def current(
    database: Database, customer_id: str | None, event_name: str, properties: Mapping[str, str] | None = None
) -> Usage | None:
    """Return what was reported in the present period; None when there is no such meter.

    The period is that of the subscription whose price counts this meter; of somebody without one, the calendar month.

    Args:
        database: where it is.
        customer_id: whose; None of nobody.
        event_name: the meter's.
        properties: only what was reported with these.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    read = partial(_read, customer_id=customer_id, event_name=event_name, properties=properties or {})
    found = await database.read(read)
    if isinstance(found, Period):
        await database.transaction(partial(totals.sum_up, period=found))
        found = await database.read(read)
    return None if isinstance(found, Period) else found


def _read(
    connection: sa.Connection, customer_id: str | None, event_name: str, properties: Mapping[str, str]
) -> Usage | Period | None:
    """Return the usage; the period where it was not summed up yet, None without such a meter."""
    meter = first_row(connection, Meter, col(Meter.event_name) == event_name, own(col(Meter.id)))
    if meter is None:
        return None
    period = Period(customer_id or "", event_name, *_present_period(connection, customer_id, meter))
    having = [USAGE.c.properties[name].as_string() == text for name, text in properties.items()]
    if meter.formula == "last" or having:
        return Usage(meter, counted_in(connection, meter.formula, period, having), period.start, period.end)
    total = totals.read(connection, period) if customer_id else Total(0, 0)
    if total is None:
        return period
    return Usage(meter, total.records if meter.formula == "count" else total.value, period.start, period.end)


def counted_in(
    connection: sa.Connection, formula: str, period: Period, having: Sequence[sa.ColumnElement[bool]] = ()
) -> int:
    """Return what a meter has counted in a period, without what Stripe refuses, by going through its records.

    Args:
        connection: what is read with.
        formula: the meter's.
        period: of whom, and when.
        having: conditions of the records.
    """
    if formula == "last":
        return _last(connection, period, having)
    found = connection.execute(totals.summed(period).where(USAGE.c.status != "dead", *having)).one()
    return int(found.records if formula == "count" else found.value)


def _present_period(connection: sa.Connection, customer_id: str | None, meter: Meter) -> tuple[datetime, datetime]:
    periods = (
        select(SubscriptionItem.current_period_start, SubscriptionItem.current_period_end)
        .join(table_for(Subscription), col(Subscription.id) == SubscriptionItem.subscription_id)
        .join(table_for(Price), col(Price.id) == SubscriptionItem.price_id)
        .where(Subscription.customer_id == customer_id, Price.meter == meter.id, col(Subscription.ended_at).is_(None))
        .where(sa.text(OPEN_SUBSCRIPTIONS_PREDICATE))
        .order_by(col(SubscriptionItem.current_period_start).desc())
    )
    start, end = connection.execute(periods).first() or _month(now(connection))
    return start, end


def _last(connection: sa.Connection, period: Period, having: Sequence[sa.ColumnElement[bool]]) -> int:
    """Return the value of the latest record that Stripe does not refuse and nobody has taken back."""
    other = USAGE.alias("other")
    taken_back = sa.exists().where(other.c.adjusts == USAGE.c.id, other.c.customer_id == period.customer_id)
    counts = USAGE.c.status != "dead", USAGE.c.adjusts.is_(None), ~taken_back
    found = sa.select(USAGE.c.value).where(*totals.within(period), *counts, *having)
    latest = found.order_by(USAGE.c.timestamp.desc(), USAGE.c.created.desc()).limit(1)
    return int(connection.execute(latest).scalar() or 0)


def _month(moment: datetime) -> tuple[datetime, datetime]:
    """Return the calendar month, in UTC."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)
