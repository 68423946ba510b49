"""Counters: how much of a feature was used in the present period, and how much is held for work under way.

The use itself stands in `usage_record`, one row for each, whatever counts it: a plain counter or a meter of Stripe's.
A counter is the sum of its period's, kept with each of them, so that checking a limit costs the same however much was
used. Holds stand beside it until they are committed, released or lapsed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.billing.catalog.product_features import UseKind
from gateway.billing.counting.windows import Window, present, settle
from gateway.billing.credits.held import CREDITS, account_of
from gateway.billing.metering.totals import Period, summed
from gateway.billing.subscriptions.counted import Counted
from gateway.billing.subscriptions.payments import is_given_back
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.columns import UtcDateTime
from gateway.models.metering import OPEN_HOLD, UsageCounter, UsageHold
from gateway.models.mirrored import Invoice

COUNTERS, HOLDS, INVOICES = table_for(UsageCounter), table_for(UsageHold), table_for(Invoice)
MAX_COUNT: Final = 2**53 - 1
"""The most that is counted: what JavaScript's numbers hold exactly."""
PLAIN: Final = "counter:"
"""What the name of a plain counter begins with; the feature follows."""


@dataclass(frozen=True, slots=True)
class Place:
    """A customer's feature that is counted, and how.

    Attributes:
        customer_id: whose.
        feature: its key.
        counted: how.
        limit: how much the customer may use in a period; None for no limit.
    """

    customer_id: str
    feature: str
    counted: Counted
    limit: int | None

    @property
    def name(self) -> str:
        """The counter's."""
        use = self.counted.use
        names = {UseKind.METER: use.name, UseKind.CREDITS: CREDITS + use.name, UseKind.COUNTER: PLAIN + self.feature}
        return names[use.kind]

    @property
    def key(self) -> tuple[str, str]:
        """The key of its counter."""
        return self.customer_id, self.name

    @property
    def meters(self) -> frozenset[str]:
        """The event name of the meter, if one counts it."""
        use = self.counted.use
        return frozenset({use.name} if use.kind is UseKind.METER else ())

    @property
    def account_id(self) -> str | None:
        """The account of credits that pays, if one does."""
        return account_of(self.customer_id, self.name) if self.is_credits else None

    @property
    def is_credits(self) -> bool:
        """Whether it is paid by credits."""
        return self.counted.use.kind is UseKind.CREDITS


@dataclass(frozen=True, slots=True)
class Count:
    """How a counted feature stands.

    Attributes:
        limit: how much may be used in the period; None for no limit, and of credits.
        used: how much was; None of credits.
        held: what is kept for work under way.
        remaining: what is left beside both; None without a limit.
        resets_at: when the next period begins; None of credits.
        overage: whether it may go beyond the limit.
    """

    limit: int | None
    used: int | None
    held: int
    remaining: int | None
    resets_at: datetime | None
    overage: bool

    @property
    def is_open(self) -> bool:
        """Whether any more may be used."""
        return self.overage or self.remaining is None or self.remaining > 0


@dataclass(slots=True)
class Counter:
    """A counter as it stands in this transaction.

    Attributes:
        subscription_id: whose period its window began with.
        window: the time in which it counts.
        used: how much was.
        held: what is kept.
        alerted: the highest threshold that was told, in percent.
        alerted_of: the limit then.
    """

    subscription_id: str
    window: Window
    used: int
    held: int
    alerted: int = 0
    alerted_of: int = 0

    def holds(self, moment: datetime) -> bool:
        """Return whether a moment lies in its window."""
        return self.window.start <= moment < self.window.end

    def count(self, place: Place) -> Count:
        """Return how a feature stands that this counts."""
        limit = None if place.limit is None else min(place.limit, MAX_COUNT)
        left = None if limit is None else max(0, limit - self.used - self.held)
        return Count(limit, self.used, self.held, left, self.window.end, place.counted.overage)


def _stored(dialect: str) -> sa.Select[Any]:
    its = HOLDS.c.customer_id == COUNTERS.c.customer_id, HOLDS.c.name == COUNTERS.c.name, sa.text(OPEN_HOLD)
    lives = HOLDS.c.expires_at > sa.bindparam("now", type_=UtcDateTime)
    held = sa.cast(sa.func.coalesce(sa.func.sum(sa.case((lives, HOLDS.c.amount), else_=0)), 0), sa.BigInteger)
    lapsed = sa.func.coalesce(sa.func.sum(sa.case((lives, 0), else_=1)), 0)
    sums = (sa.select(each).where(*its).correlate(COUNTERS).scalar_subquery() for each in (held, lapsed))
    return sa.select(COUNTERS, *(each.label(name) for name, each in zip(("held", "lapsed"), sums, strict=True))).where(
        in_json_array(dialect, COUNTERS.c.customer_id, "customers"), in_json_array(dialect, COUNTERS.c.name, "names")
    )


_STORED = PreparedQuery(_stored)


def stored(
    connection: sa.Connection, keys: Collection[tuple[str, str]], moment: datetime
) -> dict[tuple[str, str], Any]:
    """Return the rows of counters by customer and name, each with what is held of it and how many holds have lapsed."""
    customers, names = (json_array({key[part] for key in keys}) for part in (0, 1))
    rows = _STORED.rows(connection, customers=customers, names=names, now=moment)
    return {(row.customer_id, row.name): row for row in rows}


def settled(connection: sa.Connection, place: Place, was: Counter | None, moment: datetime) -> tuple[Counter, bool]:
    """Return a counter in the window that counts now, and whether that is another one than before.

    Args:
        connection: what is read with.
        place: what it counts.
        was: as it stood last; None where nothing was counted.
        moment: now.
    """
    of = place.counted.subscription_id

    period = present(place.counted.period, moment)

    def bought_anew() -> bool:
        if was is None or (was.subscription_id == of and not place.counted.after_trial):
            return False
        return _was_paid(connection, of) and not is_given_back(connection, was.subscription_id, period.start)

    window, is_new = settle(was.window if was else None, period, moment, bought_anew=bought_anew)
    if is_new:
        found = connection.execute(summed(Period(place.customer_id, place.name, *window))).one()
        return Counter(of, window, int(found.value), was.held if was else 0), True
    if was is None:
        raise AssertionError("unreachable")
    return replace(was, window=window), False  # the next look may find that another subscription was paid meanwhile


def as_stored(row: Any) -> Counter:
    """Return a counter as it was stored last."""
    window = Window(row.period_start, row.period_end)
    return Counter(row.subscription_id, window, row.used, int(row.held), row.alerted, row.alerted_of)


def _was_paid(connection: sa.Connection, subscription_id: str) -> bool:
    paid = INVOICES.c.subscription_id == subscription_id, INVOICES.c.status == "paid", INVOICES.c.total > 0
    return connection.execute(sa.select(INVOICES.c.id).where(*paid).limit(1)).first() is not None


def read(
    connection: sa.Connection, places: Collection[Place], moment: datetime, credit_counts: Mapping[str, tuple[int, int]]
) -> dict[Place, Count]:
    """Return how features stand, of however many customers; nothing is written.

    Args:
        connection: what is read with.
        places: what is asked for.
        moment: now.
        credit_counts: of accounts the balance of credits, and what of it is held.
    """
    counting: Sequence[Place] = [each for each in places if not each.is_credits]
    rows = stored(connection, [(each.customer_id, each.name) for each in counting], moment) if counting else {}
    found = {}
    for place in places:
        if account_id := place.account_id:
            found[place] = of_credits(*credit_counts[account_id])
        else:
            row = rows.get((place.customer_id, place.name))
            counter, _ = settled(connection, place, as_stored(row) if row else None, moment)
            found[place] = counter.count(place)
    return found


def of_credits(balance: int, held: int) -> Count:
    """Return how a feature stands that is paid by credits."""
    return Count(None, None, held, max(0, balance - held), None, overage=False)
