"""The desk at which uses of counted features are taken down: what one transaction has read, locked and will write.

Whatever is counted of a customer is done one after the other, on however many machines: PostgreSQL has an advisory lock
for each customer, SQLite one writer. What many ask at a time is read together and written together.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from gateway.billing.catalog.product_features import UseKind
from gateway.billing.counting import controls, spend
from gateway.billing.counting.controls import Controls
from gateway.billing.counting.counters import (
    COUNTERS,
    HOLDS,
    MAX_COUNT,
    Count,
    Counter,
    Place,
    as_stored,
    of_credits,
    settled,
    stored,
)
from gateway.billing.counting.windows import present
from gateway.billing.credits.held import account_of, settle_held, write_lapsed
from gateway.billing.credits.spending import Purses, Spend
from gateway.billing.metering import totals
from gateway.billing.metering.totals import Period
from gateway.billing.metering.usage import counted_in
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.db.clock import now
from gateway.db.locks import advisory_locks
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.statements import insert_rows, write_rows
from gateway.db.tables import table_for
from gateway.mirror.accounts import own
from gateway.models.metering import UsageHold, UsageRecord
from gateway.models.mirrored import Meter

USAGE, METERS = table_for(UsageRecord), table_for(Meter)
Key = tuple[str, str]
"""A customer, and the name of a counter."""

_RECORD_COLUMNS = [column.name for column in USAGE.c]
_HOLD_COLUMNS = [column.name for column in HOLDS.c]
_COUNTER_COLUMNS = [column.name for column in COUNTERS.c]

_RECORDS = PreparedQuery(lambda dialect: sa.select(USAGE).where(in_json_array(dialect, USAGE.c.id, "ids")))
_METERS = PreparedQuery(
    lambda dialect: sa.select(METERS.c.event_name, METERS.c.formula).where(
        in_json_array(dialect, METERS.c.event_name, "names"), METERS.c.status == "active", own(METERS.c.id)
    )
)
_HOLDS = PreparedQuery(
    lambda dialect: sa.select(HOLDS).where(
        sa.or_(
            in_json_array(dialect, HOLDS.c.id, "ids"),
            sa.and_(
                in_json_array(dialect, HOLDS.c.customer_id, "customers"), in_json_array(dialect, HOLDS.c.key, "keys")
            ),
        )
    )
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a transaction is about.

    Attributes:
        keys: the counters.
        records: the ids of usage records that may be there.
        hold_keys: the callers' keys of holds that may be there.
        holds: the ids of holds that are.
        meters: the event names of meters.
    """

    keys: frozenset[Key] = frozenset()
    records: frozenset[str] = frozenset()
    hold_keys: frozenset[str] = frozenset()
    holds: frozenset[str] = frozenset()
    meters: frozenset[str] = frozenset()

    @classmethod
    def together(cls, parts: Iterable["Wanted"]) -> "Wanted":
        """Return what several want."""
        all_of = list(parts)
        return cls(*(frozenset().union(*(getattr(each, part.name) for each in all_of)) for part in fields(cls)))


@dataclass(slots=True)
class Desk:
    """What one transaction has read and will write."""

    connection: sa.Connection
    now: datetime
    records: dict[str, Any] = field(default_factory=dict)
    meters: dict[str, str] = field(default_factory=dict)
    holds: dict[str, UsageHold] = field(default_factory=dict)
    purses: Purses | None = None
    held_credits: dict[str, int] = field(default_factory=dict)
    _stored: dict[Key, Any] = field(default_factory=dict)
    _counters: dict[Key, Counter] = field(default_factory=dict)
    _settled: dict[Key, Place] = field(default_factory=dict)
    _controls: dict[str, Controls] = field(default_factory=dict)
    _new_records: list[UsageRecord] = field(default_factory=list)
    _touched: dict[str, UsageHold] = field(default_factory=dict)

    @classmethod
    def open(cls, connection: sa.Connection, wanted: Wanted, paying: Collection[str]) -> "Desk":
        """Lock and read what a transaction is about.

        Args:
            connection: the transaction.
            wanted: what.
            paying: the accounts of credits that it is about.
        """
        advisory_locks(connection, {lock for key in wanted.keys for lock in locks(*key)})
        desk = cls(connection, now(connection))
        customers = {customer for customer, _ in wanted.keys}
        desk._stored = stored(connection, wanted.keys, desk.now)
        desk._controls = controls.read(connection, customers)
        if wanted.meters:
            rows = _METERS.rows(connection, names=json_array(wanted.meters))
            desk.meters = {row.event_name: row.formula for row in rows}
        if wanted.records:
            rows = _RECORDS.rows(connection, ids=json_array(wanted.records))
            desk.records = {row.id: row for row in rows}
        if wanted.hold_keys or wanted.holds:
            desk.holds = _holds(connection, wanted.holds, customers, wanted.hold_keys)
        if any(row.lapsed for row in desk._stored.values()):
            write_lapsed(connection, customers, desk.now)
        if paying:
            desk.purses = Purses(connection, paying, wanted.records | wanted.holds)
            desk.held_credits = settle_held(connection, paying, desk.now)
        return desk

    def counter(self, place: Place) -> Counter:
        """Return the counter of a feature, in the window that counts now."""
        key = place.key
        if key not in self._settled:
            counter, is_new = settled(self.connection, place, self._counter_of(*key), self.now)
            self._settled[key] = place
            self._counters[key] = counter
            if is_new:  # what is not written yet was not summed up either
                its = (each for each in self._new_records if (each.customer_id, each.event_name) == key)
                counter.used += sum(each.value for each in its if counter.holds(each.timestamp))
        return self._counters[key]

    def count(self, place: Place) -> Count:
        """Return how a feature stands."""
        if account_id := place.account_id:
            return self.credits(account_id)
        return self.counter(place).count(place)

    def credits(self, account_id: str) -> Count:
        """Return how what credits pay for stands."""
        return of_credits(self._purses.balance(account_id), self.held_credits.get(account_id, 0))

    def pay(self, account_id: str, wanted: Spend, reserved: int) -> None:
        """Spend credits, once for a key.

        Args:
            account_id: from where.
            wanted: what.
            reserved: how many of those that are held are for this.

        Raises:
            Rejected: there are not enough beside what is held by others, or the key was used for something else.
        """
        held = self.held_credits.get(account_id, 0) - reserved
        if problem := self._purses.spend(account_id, wanted, held):
            raise Rejected(problem, current=self.credits(account_id))

    @property
    def _purses(self) -> Purses:
        if self.purses is None:
            raise AssertionError("unreachable: no account was named")
        return self.purses

    def moment(self, customer_id: str, name: str) -> datetime:
        """Return when a use counts: now, and within its counter's window where a clock is behind."""
        counter = self._counter_of(customer_id, name)
        return max(self.now, counter.window.start) if counter else self.now

    def admit(self, place: Place, amount: int, field: str = "amount") -> None:
        """Refuse an amount that is more than is left, and a meter that counts nothing, or otherwise than by a sum.

        Raises:
            Rejected: it is.
        """
        if place.counted.use.kind is UseKind.METER and self.meters.get(place.name) != "sum":
            message = f"there is no active meter {place.name!r} that sums up its values"
            raise Rejected(Problem(ProblemCode.METER_NOT_FOUND, message, "feature"))
        count = self.count(place)
        if (count.used or 0) + count.held + amount > MAX_COUNT:
            problem = Problem(ProblemCode.AMOUNT_INVALID, f"no more than {MAX_COUNT} is counted", field)
            raise Rejected(problem, current=count)
        if not count.overage and count.remaining is not None and amount > count.remaining:
            code = ProblemCode.INSUFFICIENT_CREDITS if place.is_credits else ProblemCode.LIMIT_REACHED
            raise Rejected(Problem(code, f"{amount} is wanted and {count.remaining} is left", field), current=count)
        if self._passes_cap(place, amount):
            message = (
                "this would cost more than the customer's spend cap for a period: raise the cap, or wait for the next"
            )
            raise Rejected(Problem(ProblemCode.SPEND_CAP_REACHED, message, field), current=count)

    def _passes_cap(self, place: Place, amount: int) -> bool:
        """Return whether an amount more would make what meters count cost more than the customer's cap."""
        bounds = self._controls.get(place.customer_id)
        if bounds is None or bounds.spend_cap is None or place.counted.use.kind is not UseKind.METER:
            return False
        paid = spend.prices(self.connection, place.customer_id)
        if all(each.event_name != place.name for each in paid):
            return False  # it costs nothing
        self.counter(place)  # in the window that counts now
        quantities = self._quantities(place.customer_id, paid)
        more = [used + amount * (each.event_name == place.name) for each, used in zip(paid, quantities, strict=True)]
        return spend.costs_more(zip(paid, more, strict=True), bounds.spend_cap, bounds.currency)

    def _quantities(self, customer_id: str, paid: Collection[spend.MeteredPrice]) -> list[int]:
        """Return how much is used and held of what a customer pays for, price by price, each in its own period.

        A counter tells where it counts in the period that is billed. Otherwise the records do: nobody has asked how it
        stands, or the plan that gives the feature has a longer period than the price of its use.
        """
        keys = {(customer_id, each.event_name) for each in paid}
        there = stored(self.connection, keys, self.now) if keys else {}
        counters = {key: as_stored(row) for key, row in there.items()} | self._counters
        found = []
        for price in paid:
            key = customer_id, price.event_name
            counter, billed = counters.get(key), present(price.period, self.now)
            if counter and counter.window == billed:
                used = counter.used
            else:
                used = self._counted_in(price.formula, Period(*key, *billed))
            found.append(used + (counter.held if counter else 0))
        return found

    def _counted_in(self, formula: str, period: Period) -> int:
        """Return what a meter has counted in a period, what this transaction is still to write included."""
        if formula != "sum":  # nothing of it is consumed here
            return counted_in(self.connection, formula, period)
        if (total := totals.read(self.connection, period)) is None:
            totals.sum_up(self.connection, period)
            total = totals.read(self.connection, period)
        its = (each for each in self._new_records if (each.customer_id, each.event_name) == period[:2])
        new = sum(each.value for each in its if period.start <= each.timestamp < period.end)
        return new + (total.value if total else 0)

    def hold(self, id: str) -> UsageHold:
        """Return a hold as it is.

        Raises:
            Rejected: there is none.
        """
        found = self.holds.get(id)
        if found is None:
            raise Rejected(Problem(ProblemCode.HOLD_NOT_FOUND, "there is no such hold", "holdId"))
        return found

    def keep(self, hold: UsageHold, change: int) -> None:
        """Write a hold, and what it keeps more (or less) than before."""
        self.holds[hold.id] = self._touched[hold.id] = hold
        if not change:
            return
        if account_id := account_of(hold.customer_id, hold.name):
            self.held_credits[account_id] = self.held_credits.get(account_id, 0) + change
        elif counter := self._counter_of(hold.customer_id, hold.name):
            counter.held += change

    def add(self, record: UsageRecord) -> None:
        """Write a use, which is counted."""
        self.records[record.id] = record
        self._new_records.append(record)
        counter = self._counter_of(record.customer_id, record.event_name)
        if counter and counter.holds(record.timestamp):
            counter.used += record.value

    def _counter_of(self, customer_id: str, name: str) -> Counter | None:
        """Return a counter as it is; of a feature that nobody has any more, as it was stored."""
        key = customer_id, name
        if key not in self._counters and (row := self._stored.get(key)):
            self._counters[key] = as_stored(row)
        return self._counters.get(key)

    def save(self) -> None:
        """Write everything."""
        dialect = self.connection.dialect.name
        if self._new_records:
            metered: dict[tuple[str, str, datetime], list[int]] = defaultdict(list)
            for each in self._new_records:
                if each.status != COUNTED:
                    metered[each.customer_id, each.event_name, each.timestamp].append(each.value)
            for (customer_id, name, moment), values in metered.items():
                totals.add(self.connection, customer_id, name, moment, value=sum(values), records=len(values))
            rows = [each.model_dump() for each in self._new_records]
            write_rows(self.connection, _insert(dialect, "usage_record"), rows)
        if self._touched:
            rows = [each.model_dump() for each in self._touched.values()]
            write_rows(self.connection, _insert(dialect, "usage_hold"), rows)
        for (customer_id, name), place in self._settled.items():
            controls.notify(self.connection, place, self._counters[customer_id, name], self._controls.get(customer_id))
        if self._counters:
            rows = [_row(key, counter) for key, counter in sorted(self._counters.items())]
            write_rows(self.connection, _insert(dialect, "usage_counter"), rows)
        if self.purses:
            self.purses.save()


def read_holds(connection: sa.Connection, ids: Sequence[str]) -> list[UsageHold | None]:
    """Return holds by their ids, in the order of these."""
    found = _holds(connection, ids)
    return [found.get(each) for each in ids]


def _holds(
    connection: sa.Connection, ids: Collection[str], customers: Collection[str] = (), keys: Collection[str] = ()
) -> dict[str, UsageHold]:
    """Return holds by their ids, and those of some customers under some keys."""
    given = {"ids": ids, "customers": customers, "keys": keys}
    rows = _HOLDS.rows(connection, **{name: json_array(each) for name, each in given.items()})
    return {row.id: UsageHold(**{name: getattr(row, name) for name in _HOLD_COLUMNS}) for row in rows}


COUNTED = "counted"
"""The status of a use that Stripe does not hear of."""


def locks(customer_id: str, name: str) -> tuple[str, str]:
    """Return the names of the advisory locks under which a customer's counter is read and written."""
    return f"use {customer_id}", totals.lock_name(customer_id, name)


def _row(key: Key, counter: Counter) -> dict[str, Any]:
    customer_id, name = key
    return {
        "customer_id": customer_id,
        "name": name,
        "subscription_id": counter.subscription_id,
        "period_start": counter.window.start,
        "period_end": counter.window.end,
        "used": counter.used,
        "alerted": counter.alerted,
        "alerted_of": counter.alerted_of,
    }


@lru_cache
def _insert(dialect: str, name: str) -> Any:
    """Return the statement that writes rows of a table; of what may be there already, those that change."""
    table, columns = {
        "usage_record": (USAGE, _RECORD_COLUMNS),
        "usage_hold": (HOLDS, _HOLD_COLUMNS),
        "usage_counter": (COUNTERS, _COUNTER_COLUMNS),
    }[name]
    new = insert_rows(dialect, table, columns)
    if table is USAGE:
        return new
    keys = [column.name for column in table.primary_key]
    return new.on_conflict_do_update(
        index_elements=keys, set_={each: new.excluded[each] for each in columns if each not in keys}
    )
