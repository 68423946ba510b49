"""Subscriptions as they stand in the mirror, many customers' at once."""

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from gateway.billing.catalog.snapshot import NOWHERE, Snapshot
from gateway.billing.subscriptions.access import Access, Payments, Step, access, changes_at, facts, giving_items
from gateway.billing.subscriptions.payments import payments_of
from gateway.billing.subscriptions.pending import NOTHING_PLANNED, PHASES, PendingChange, Planned, plan_of
from gateway.db.clock import now
from gateway.db.database import Database
from gateway.db.queries import JoinedQuery, from_json_array, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.columns import UtcDateTime
from gateway.models.mirrored import OPEN_SUBSCRIPTIONS_PREDICATE, Invoice, Subscription, SubscriptionItem
from gateway.models.statuses import FINAL


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A subscription as it stands.

    Attributes:
        subscription: its row.
        items: its items, in Stripe's order.
        access: what it gives right to now.
        giving: the items that give it; none where access is refused.
        planned: what a schedule plans, if anything.
        changes_at: the next moment at which time alone may make its access another.
        unpaid: its items that a pause of the customer's has left unpaid.
        unkept: its items whose present was paid last by what went back in full, or to a bank in part, or was never
            paid and is a gift.
        owes: whether its latest invoice is not paid yet.
        disputed: whether a payment of its present is disputed and not decided.
    """

    subscription: Subscription
    items: tuple[SubscriptionItem, ...]
    access: Access
    giving: tuple[SubscriptionItem, ...] = ()
    planned: Planned = NOTHING_PLANNED
    changes_at: datetime | None = None
    unpaid: AbstractSet[str] = frozenset()
    unkept: AbstractSet[str] = frozenset()
    owes: bool = False
    disputed: bool = False

    @property
    def rests(self) -> bool:
        """Whether it is paused, or a pause that is over has left its present unpaid."""
        row = self.subscription
        return row.status == "paused" or row.pause_behavior is not None or bool(self.unpaid)

    @property
    def pending(self) -> PendingChange | None:
        """The change that is planned, if any."""
        return self.planned.change

    def is_bound(self, snapshot: Snapshot, *, always: bool) -> bool:
        """Return whether its customer cannot get out of what is planned (`Planned.binds`)."""
        return self.planned.binds(self.items, self.subscription.currency, snapshot, always=always)


SUBSCRIPTIONS, ITEMS, INVOICES = table_for(Subscription), table_for(SubscriptionItem), table_for(Invoice)
SUBSCRIPTION_COLUMNS = (*SUBSCRIPTIONS.c, PHASES)
"""What a state is made of, beside the items and the invoices."""
NEWEST_FIRST = SUBSCRIPTIONS.c.created.desc(), SUBSCRIPTIONS.c.id.desc(), ITEMS.c.position, ITEMS.c.created
"""The order of subscriptions with their items: these as Stripe lists them."""
PAYMENTS_MATTER = frozenset({"active", "past_due", "canceled"})
"""Statuses in which the invoices say more than the subscription."""


NEWEST_ENDED = 10
"""So many that have ended are looked at where not all are wanted: they tell why there is no access."""


def join_subscriptions(
    dialect: str, query: sa.Select[Any], customer_id: sa.Column[str], *, ended: bool
) -> sa.Select[Any]:
    """Join a query over customers with their subscriptions, if any.

    Where not all are wanted, these are those that have not ended, those of which something is still paid, and the
    newest of the others. However many have ended, nothing goes through them. Such a query has a parameter `now`.

    Args:
        dialect: which database is asked.
        query: over customers.
        customer_id: its column with the customer's id.
        ended: whether all are wanted, also those that have ended.
    """
    there = SUBSCRIPTIONS.c.deleted.is_(False)
    if ended:
        return query.outerjoin(SUBSCRIPTIONS, sa.and_(SUBSCRIPTIONS.c.customer_id == customer_id, there))
    each, service_end = SUBSCRIPTIONS.alias(), INVOICES.c.service_end
    its = sa.select(each.c.id).where(each.c.customer_id == customer_id)
    final = each.c.status.in_([sa.literal_column(f"'{status}'") for status in sorted(FINAL)])
    newest = its.where(final).order_by(each.c.created.desc()).limit(sa.literal_column(str(NEWEST_ENDED)))
    paid = sa.select(INVOICES.c.subscription_id).where(INVOICES.c.customer_id == customer_id)
    later = service_end > sa.bindparam("now", type_=UtcDateTime)
    going_on = its.where(sa.text(OPEN_SUBSCRIPTIONS_PREDICATE))
    # each a search of its own: an `or` would go through all of the customer's
    parts = going_on, paid.where(later), paid.where(service_end.is_(None)), newest
    ids = sa.union(*(sa.select(part.correlate(customer_id.table).subquery().c[0]) for part in parts))
    if dialect == "sqlite":
        return query.outerjoin(SUBSCRIPTIONS, sa.and_(SUBSCRIPTIONS.c.id.in_(ids), there))
    counting = ids.lateral("counting")
    return query.outerjoin(counting, sa.true()).outerjoin(
        SUBSCRIPTIONS, sa.and_(SUBSCRIPTIONS.c.id == counting.c[0], there)
    )


_WIDTHS = len(SUBSCRIPTION_COLUMNS), len(ITEMS.c)


def _by_id(dialect: str) -> sa.Select[Any]:
    """Return the subscriptions with some ids, each with its items."""
    return (
        sa.select(*SUBSCRIPTION_COLUMNS, *ITEMS.c)
        .outerjoin(ITEMS, ITEMS.c.subscription_id == SUBSCRIPTIONS.c.id)
        .where(in_json_array(dialect, SUBSCRIPTIONS.c.id, "ids"), SUBSCRIPTIONS.c.deleted.is_(False))
        .order_by(*NEWEST_FIRST)
    )


def _by_customer(dialect: str) -> sa.Select[Any]:
    """Return the subscriptions that count of some customers, each with its items; nothing in the row of one without."""
    asked = from_json_array(dialect, "ids")
    customers = sa.select(*SUBSCRIPTION_COLUMNS, *ITEMS.c).select_from(asked).order_by(*NEWEST_FIRST)
    held = join_subscriptions(dialect, customers, cast("sa.Column[str]", asked.c.value), ended=False)
    return held.outerjoin(ITEMS, ITEMS.c.subscription_id == SUBSCRIPTIONS.c.id)


_BY_ID, _BY_CUSTOMER = JoinedQuery(_by_id, *_WIDTHS), JoinedQuery(_by_customer, *_WIDTHS)


async def read_subscription(database: Database, id: str, grace: timedelta) -> SubscriptionState | None:
    """Return how a subscription stands; None when it is not in the mirror (yet).

    Args:
        database: the mirror.
        id: the subscription's id.
        grace: how long access goes on after a failed charge.

    Raises:
        DatabaseUnavailable: the database cannot be reached.
    """
    found = await database.read(
        lambda connection: _states(connection, _BY_ID.rows(connection, ids=json_array([id])), grace)
    )
    return next(iter(found), None)


def of_customers(
    connection: sa.Connection, customer_ids: Collection[str], grace: timedelta, steps: list[Step] | None = None
) -> dict[str, list[SubscriptionState]]:
    """Return how the subscriptions of many customers stand that count (`join_subscriptions`), each customer's newest
    first, in at most three queries.

    Args:
        connection: what is read with.
        customer_ids: whose.
        grace: how long access goes on after a failed charge.
        steps: where to tell how each was decided; None tells nobody.
    """
    rows = _BY_CUSTOMER.rows(connection, ids=json_array(customer_ids), now=now(connection))
    return by_customer(connection, [(held, item) for held, item in rows if held], grace, steps)


def by_customer(
    connection: sa.Connection,
    found: Iterable[tuple[Subscription, SubscriptionItem | None]],
    grace: timedelta,
    steps: list[Step] | None = None,
) -> dict[str, list[SubscriptionState]]:
    """Return how subscriptions stand that were read with their items, in at most two queries more."""
    its: dict[str, list[SubscriptionState]] = {}
    for each in _states(connection, found, grace, steps):
        its.setdefault(each.subscription.customer_id, []).append(each)
    return its


def current(states: Iterable[SubscriptionState], snapshot: Snapshot) -> SubscriptionState | None:
    """Return the subscription that counts; None when all have ended.

    One with access comes first, then a plan of the default group before one of another, and that before an add-on; then
    the plan that stands later in the catalogue, where the bigger ones are; at last the older subscription.

    Args:
        states: a customer's subscriptions.
        snapshot: the catalogue.
    """
    alive = [each for each in states if each.access.allowed or each.subscription.status not in FINAL]
    return max(
        alive,
        key=lambda each: (
            each.access.allowed,
            max((snapshot.standing(item.price_id) for item in each.items), default=NOWHERE),
            -each.subscription.created.timestamp(),
        ),
        default=None,
    )


def _states(
    connection: sa.Connection,
    found: Iterable[tuple[Subscription, SubscriptionItem | None]],
    grace: timedelta,
    steps: list[Step] | None = None,
) -> list[SubscriptionState]:
    """Return how these subscriptions stand. What only some statuses need is only read when one has it."""
    by_id: dict[str, Subscription] = {}
    items: dict[str, list[SubscriptionItem]] = {}
    for subscription, item in found:
        by_id[subscription.id] = subscription
        items.setdefault(subscription.id, []).extend([item] if item else [])
    judged = {row.id: (row, _now(connection, row)) for row in by_id.values() if row.status in PAYMENTS_MATTER}
    payments = payments_of(connection, judged.values()) if judged else {}
    return [
        _state(row, items[row.id], _now(connection, row), payments.get(row.id, Payments()), grace, steps)
        for row in by_id.values()
    ]


def _state(  # noqa: PLR0917 - all that decides
    row: Subscription,
    items: Sequence[SubscriptionItem],
    moment: datetime,
    payments: Payments,
    grace: timedelta,
    steps: list[Step] | None,
) -> SubscriptionState:
    if steps is not None:
        steps += facts(row, items, payments)
    decided = access(row, items, moment, grace=grace, payments=payments, steps=steps)
    giving = giving_items(row, items, payments) if decided.allowed else ()
    phases = getattr(row, "phases", None)
    plan = plan_of(phases, items, moment) if phases and row.status not in FINAL else NOTHING_PLANNED
    later = changes_at(row, items, moment, grace=grace, payments=payments)
    unpaid = frozenset(payments.unpaid if row.status not in FINAL else ())
    unkept = frozenset(_unkept(items, payments) if row.status not in FINAL else ())
    open_ones = payments.owes, payments.disputed
    return SubscriptionState(row, tuple(items), decided, giving, plan, later, unpaid, unkept, *open_ones)


def _unkept(items: Iterable[SubscriptionItem], payments: Payments) -> Iterable[str]:
    """Yield the items whose present went back, or is a gift: what was billed and not made has another price by now."""
    yield from (*payments.returned, *payments.in_part)
    for item in items:
        given = payments.given.get(item.id)
        if given and (given.price, given.quantity) == (item.price_id, item.quantity or 1):
            yield item.id


def _now(connection: sa.Connection, row: Subscription) -> datetime:
    """Return the present, which is never before what Stripe has told: its test clocks run ahead of ours."""
    return max(now(connection), datetime.fromtimestamp(row.as_of, UTC))
