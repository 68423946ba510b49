"""Usage that is billed by Stripe's meters: reported, and read back for the present period.

A report is answered once it is in the table, which is the queue of `forwarder.py`: an outage of Stripe loses none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256

import sqlalchemy as sa
from sqlmodel import col, select

from gateway.billing.metering import totals
from gateway.billing.metering.totals import Period, Total
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.clock import now
from gateway.db.database import Database
from gateway.db.rows import first_row
from gateway.db.tables import insert, table_for
from gateway.mirror.accounts import own
from gateway.models.metering import UsageRecord
from gateway.models.mirrored import OPEN_SUBSCRIPTIONS_PREDICATE, Customer, Meter, Price, Subscription, SubscriptionItem

USAGE = table_for(UsageRecord)
OLDEST, NEWEST = timedelta(days=35), timedelta(minutes=5)  # Stripe's own limits
MAX_VALUE, MAX_IDENTIFIER = 2**53 - 1, 100


@dataclass(frozen=True, slots=True)
class Report:
    """Some usage of a user.

    Attributes:
        external_id: the application's own user.
        event_name: the meter's.
        value: how much.
        identifier: the same one counts once.
        timestamp: when; None is now.
    """

    external_id: str
    event_name: str
    value: int
    identifier: str
    timestamp: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """Return what must be the same under one identifier."""
        moment = int(self.timestamp.timestamp()) if self.timestamp else None
        return sha256(repr((self.external_id, self.event_name, self.value, moment)).encode()).hexdigest()


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
    due, present = datetime.now(UTC), database.clock.now()
    customers = select(Customer).where(Customer.external_id == usage.external_id, col(Customer.deleted).is_(False))
    meters = select(Meter).where(Meter.event_name == usage.event_name, Meter.status == "active", own(col(Meter.id)))
    customer, meter = await database.read(
        lambda connection: (first_row(connection, customers), first_row(connection, meters))
    )
    problems = list(_problems(usage, present))
    if meter is None:
        message = f"there is no active meter for {usage.event_name!r}"
        problems.append(Problem(ProblemCode.METER_NOT_FOUND, message, "eventName"))
    if customer is None:
        problems.append(Problem(ProblemCode.NO_CUSTOMER, "this user has bought nothing yet", "externalId"))
    if problems or customer is None:
        raise Rejected(*problems)
    row = UsageRecord(
        id=usage.identifier,
        customer_id=customer.id,
        event_name=usage.event_name,
        value=usage.value,
        timestamp=(usage.timestamp or present).replace(microsecond=0),
        fingerprint=usage.fingerprint,
        status="pending",
        next_attempt_at=due,
        created=due,
    )

    def write(connection: sa.Connection) -> UsageRecord:
        totals.lock(connection, row.customer_id, row.event_name)
        new = insert(connection, USAGE).values(**row.model_dump()).on_conflict_do_nothing().returning(USAGE.c.id)
        if connection.execute(new).first():
            totals.add(connection, row.customer_id, row.event_name, row.timestamp, value=row.value)
            totals.count(connection, row.customer_id, row.event_name, row.timestamp, row.value)
        same = USAGE.c.id == usage.identifier, USAGE.c.fingerprint == usage.fingerprint
        refused = sa.update(USAGE).where(*same, USAGE.c.status == "dead")
        connection.execute(refused.values(status="pending", next_attempt_at=due))
        kept = sa.select(USAGE).where(USAGE.c.id == usage.identifier)
        return UsageRecord(**connection.execute(kept).mappings().one())

    found = await database.transaction(write)
    if found.fingerprint != usage.fingerprint:
        message = "this identifier was used for other usage; use a new one"
        raise Rejected(Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "identifier"))
    return found


def _problems(usage: Report, present: datetime) -> Iterator[Problem]:
    if not 0 <= usage.value <= MAX_VALUE:
        yield Problem(ProblemCode.AMOUNT_INVALID, f"a value is 0 to {MAX_VALUE}", "value")
    if not 1 <= len(usage.identifier) <= MAX_IDENTIFIER:
        message = f"use an identifier of 1 to {MAX_IDENTIFIER} characters, such as a UUID"
        yield Problem(ProblemCode.IDEMPOTENCY_KEY_INVALID, message, "identifier")
    if usage.timestamp and not present - OLDEST <= usage.timestamp <= present + NEWEST:
        message = "Stripe counts usage of the past 35 days, and at most 5 minutes ahead"
        yield Problem(ProblemCode.TIMESTAMP_INVALID, message, "timestamp")


async def current(database: Database, customer_id: str | None, event_name: str) -> Usage | None:
    """Return what was reported in the present period; None when there is no such meter.

    The period is that of the subscription whose price counts this meter; of somebody without one, the calendar month.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    read = partial(_read, customer_id=customer_id, event_name=event_name)
    found = await database.read(read)
    if isinstance(found, Period):
        await database.transaction(partial(totals.sum_up, period=found))
        found = await database.read(read)
    return None if isinstance(found, Period) else found


def _read(connection: sa.Connection, customer_id: str | None, event_name: str) -> Usage | Period | None:
    """Return the usage; the period where it was not summed up yet, None without such a meter."""
    meter = first_row(connection, select(Meter).where(Meter.event_name == event_name, own(col(Meter.id))))
    if meter is None:
        return None
    period = Period(customer_id or "", event_name, *_present_period(connection, customer_id, meter))
    if meter.formula == "last":
        return Usage(meter, _last(connection, period), period.start, period.end)
    total = totals.read(connection, period) if customer_id else Total(0, 0)
    if total is None:
        return period
    return Usage(meter, total.records if meter.formula == "count" else total.value, period.start, period.end)


def _present_period(connection: sa.Connection, customer_id: str | None, meter: Meter) -> tuple[datetime, datetime]:
    periods = (
        select(SubscriptionItem.current_period_start, SubscriptionItem.current_period_end)
        .join(Subscription, col(Subscription.id) == SubscriptionItem.subscription_id)
        .join(Price, col(Price.id) == SubscriptionItem.price_id)
        .where(Subscription.customer_id == customer_id, Price.meter == meter.id, col(Subscription.ended_at).is_(None))
        .where(sa.text(OPEN_SUBSCRIPTIONS_PREDICATE))
        .order_by(col(SubscriptionItem.current_period_start).desc())
    )
    start, end = connection.execute(periods).first() or _month(now(connection))
    return start, end


def _last(connection: sa.Connection, period: Period) -> int:
    """Return the value of the latest record that Stripe does not refuse."""
    found = sa.select(USAGE.c.value).where(*totals.within(period), USAGE.c.status != "dead")
    latest = found.order_by(USAGE.c.timestamp.desc(), USAGE.c.created.desc()).limit(1)
    return int(connection.execute(latest).scalar() or 0)


def _month(moment: datetime) -> tuple[datetime, datetime]:
    """Return the calendar month, in UTC."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)
