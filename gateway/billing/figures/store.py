"""Keep the sums: what was written about a customer marks him, and a task beside the requests reckons him anew.

A customer's parts are a pure function of his rows (`rules.py`), so that it does not matter when, how often and in which
order they are reckoned: the old ones are taken off the sums and the new ones added, in one transaction.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

import sqlalchemy as sa
import structlog

from gateway.billing.figures.rules import MONTHS_IN, Invoice, Part, Rate, Subscription, parts
from gateway.db.database import Database
from gateway.db.queries import in_json_array, json_array
from gateway.db.tables import insert, table_for
from gateway.mirror.accounts import account_of
from gateway.mirror.effects import Written
from gateway.models import mirrored
from gateway.models.figures import CustomerFigures, Figure

log = structlog.get_logger()

KEEPS_FIGURES: Final = "figures"
"""Under which a connection knows whether figures are kept: only where somebody can see them."""
KINDS: Final = frozenset({"invoice", "subscription"})
BATCH_SIZE, PAGE_SIZE = 50, 500
IDLE_SECONDS: Final = 1.0
UNKNOWN: Final = -1
"""In the place of the revisions of a customer who could not be reckoned."""

FIGURES, SUMS = table_for(CustomerFigures), table_for(Figure)
INVOICES, SUBSCRIPTIONS = table_for(mirrored.Invoice), table_for(mirrored.Subscription)
ITEMS, PRICES, CUSTOMERS = (table_for(each) for each in (mirrored.SubscriptionItem, mirrored.Price, mirrored.Customer))

Json = dict[str, Any]


def on_write(connection: sa.Connection, written: Sequence[Written]) -> None:
    """Mark the customers whose invoices or subscriptions were written, where figures are kept."""
    if connection.info.get(KEEPS_FIGURES):
        mark(connection, {row.columns["customer_id"] for row in written if row.kind in KINDS} - {None})


def mark(connection: sa.Connection, customer_ids: Collection[str]) -> None:
    """Have some customers reckoned anew. Who is being reckoned is waited for, and reckoned once more."""
    ours = sorted(each for each in customer_ids if account_of(each)[0] is None)
    if ours:
        connection.execute(_marks(connection.dialect.name), [{"customer_id": each} for each in ours])


@lru_cache
def _marks(dialect: str) -> Any:
    return insert(dialect, FIGURES).on_conflict_do_update(index_elements=["customer_id"], set_={"due": True})


class Figures:
    """Reckons customers; several processes share the work.

    Args:
        database: the mirror.
        page_size: how many customers are looked through at once.
    """

    def __init__(self, database: Database, *, page_size: int = PAGE_SIZE) -> None:
        self._database = database
        self._page_size = page_size

    async def run(self) -> None:
        """Look through all customers once, and reckon whoever is marked, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reckon_for_ever())
            tasks.create_task(self.look_through())

    async def _reckon_for_ever(self) -> None:
        while True:
            some = await self._database.read(is_waiting)
            done = await self._database.transaction(reckon) if some else 0
            if not done:  # nobody waits, or another process is at it
                await asyncio.sleep(IDLE_SECONDS)

    async def look_through(self) -> None:
        """Mark the customers whose figures are not of their present rows: written while no figures were kept."""
        reached = ""
        while True:
            ids = await self._database.read(partial(_page, after=reached, size=self._page_size))
            if not ids:
                return
            stale = await self._database.read(partial(_stale, ids=ids))
            if stale:
                await self._database.transaction(partial(mark, customer_ids=stale))
            reached = ids[-1]


def is_waiting(connection: sa.Connection) -> bool:
    """Return whether anybody is marked."""
    return connection.execute(sa.select(FIGURES.c.customer_id).where(sa.text("due")).limit(1)).first() is not None


def _page(connection: sa.Connection, after: str, size: int) -> Sequence[str]:
    query = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.id > after).order_by(CUSTOMERS.c.id).limit(size)
    return connection.execute(query).scalars().all()


def _stale(connection: sa.Connection, ids: Sequence[str]) -> list[str]:
    """Return those of some customers whose rows have other revisions than their figures."""
    given = json_array(ids)
    found: dict[str, int] = defaultdict(int)
    for table in (INVOICES, SUBSCRIPTIONS):
        its = in_json_array(connection.dialect.name, table.c.customer_id, "ids")
        query = sa.select(table.c.customer_id, sa.func.sum(table.c.revision)).where(its).group_by(table.c.customer_id)
        for customer_id, revisions in connection.execute(query, {"ids": given}):
            found[customer_id] += int(revisions)
    its = in_json_array(connection.dialect.name, FIGURES.c.customer_id, "ids")
    known = {
        row[0]: row[1]
        for row in connection.execute(sa.select(FIGURES.c.customer_id, FIGURES.c.revisions).where(its), {"ids": given})
    }
    return [each for each, revisions in found.items() if known.get(each) != revisions and account_of(each)[0] is None]


def reckon(connection: sa.Connection, most: int = BATCH_SIZE) -> int:
    """Reckon so many of the customers that are marked at most, and return how many."""
    due = sa.select(FIGURES.c.customer_id, FIGURES.c.parts).where(sa.text("due")).limit(most)
    rows = connection.execute(due.with_for_update(skip_locked=True)).all()
    if not rows:
        return 0
    ids = [row.customer_id for row in rows]
    new, revisions = reckoned(connection, ids)
    change: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        _add(change, (Part(*each) for each in row.parts), -1)
        _add(change, new[row.customer_id], 1)
    _apply(connection, change)
    update = sa.update(FIGURES).where(FIGURES.c.customer_id == sa.bindparam("id"))
    written = update.values(parts=sa.bindparam("new_parts"), revisions=sa.bindparam("new_revisions"), due=False)
    values = [{"id": each, "new_parts": [list(p) for p in new[each]], "new_revisions": revisions[each]} for each in ids]
    connection.execute(written, values)
    return len(ids)


def reckoned(connection: sa.Connection, ids: Sequence[str]) -> tuple[dict[str, list[Part]], dict[str, int]]:
    """Return what some customers add, and the revisions of the rows that this follows from."""
    dialect, given = connection.dialect.name, {"ids": json_array(ids)}

    def rows(table: sa.Table, column: sa.Column[Any]) -> list[Any]:
        return list(connection.execute(sa.select(table).where(in_json_array(dialect, column, "ids")), given))

    invoices, subscriptions = rows(INVOICES, INVOICES.c.customer_id), rows(SUBSCRIPTIONS, SUBSCRIPTIONS.c.customer_id)
    its = json_array([row.id for row in subscriptions])
    of_them = in_json_array(dialect, ITEMS.c.subscription_id, "ids")
    items: dict[str, set[tuple[str, str]]] = defaultdict(set)
    columns = ITEMS.c.subscription_id, ITEMS.c.id, ITEMS.c.price_id
    for subscription_id, item, price in connection.execute(sa.select(*columns).where(of_them), {"ids": its}):
        items[subscription_id].add((item, price))
    rates = _rates(connection, _priced(invoices) | {price for some in items.values() for _, price in some})
    held: dict[str, list[Any]] = defaultdict(list)
    billed: dict[str, list[Any]] = defaultdict(list)
    revisions = dict.fromkeys(ids, 0)
    for row in subscriptions:
        held[row.customer_id].append(_subscription(row, items[row.id]))
        revisions[row.customer_id] += row.revision
    for row in invoices:
        revisions[row.customer_id] += row.revision
        if not row.deleted:
            billed[row.customer_id].append(_invoice(row))
    found: dict[str, list[Part]] = {}
    for each in ids:
        try:
            found[each] = parts(billed[each], held[each], rates)
        except Exception:  # whatever it is, nobody else has to wait for it; the next start tries again
            log.exception("figures_not_reckoned", customer=each)
            found[each], revisions[each] = [], UNKNOWN
    return found, revisions


def _priced(invoices: Iterable[Any]) -> set[str]:
    return {price for row in invoices for line in row.lines if isinstance(line, dict) and (price := line.get("price"))}


def _rates(connection: sa.Connection, ids: Collection[str]) -> Mapping[str, Rate]:
    """Return the prices that are billed for time beforehand."""
    licensed = PRICES.c.interval.in_(MONTHS_IN), sa.func.coalesce(PRICES.c.usage_type, "licensed") != "metered"
    named = in_json_array(connection.dialect.name, PRICES.c.id, "ids")
    found = connection.execute(sa.select(PRICES).where(named, *licensed), {"ids": json_array(ids)})
    return {row.id: Rate(row.interval, row.interval_count or 1, _unit_amounts(row)) for row in found}


def _unit_amounts(row: Any) -> dict[str, int]:
    if row.billing_scheme != "per_unit" or row.transform_quantity:
        return {}
    options = {name: option.get("unit_amount") for name, option in row.currency_options.items()}
    amounts = {**options, row.currency: row.unit_amount}
    return {name: amount for name, amount in amounts.items() if amount is not None}


def _invoice(row: Any) -> Invoice:
    return Invoice(
        *(row.status, row.currency, row.total, row.amount_paid, row.paid_at, row.first_failed_at),
        *(row.subscription_id, row.lines, row.created, row.due_date),
    )


def _subscription(row: Any, items: Iterable[tuple[str, str]]) -> Subscription:
    return Subscription(
        *(row.id, row.status, row.currency, row.start_date, row.ended_at, row.cancel_at),
        *(row.trial_start, row.trial_end, row.pause_behavior is not None, frozenset(items)),
    )


def _add(change: dict[tuple[str, str, str], list[int]], some: Iterable[Part], sign: int) -> None:
    for month, currency, name, amount, count in some:
        change[month, currency, name][0] += sign * amount
        change[month, currency, name][1] += sign * count


def _apply(connection: sa.Connection, change: Mapping[tuple[str, str, str], Sequence[int]]) -> None:
    """Add to the sums, in one order for all processes, so that two of them wait in turn and do not block."""
    names = ("month", "currency", "name")
    rows = [
        {**dict(zip(names, key, strict=True)), "amount": amount, "count": count}
        for key, (amount, count) in sorted(change.items())
        if amount or count
    ]
    if rows:
        new = insert(connection, SUMS)
        more = {"amount": SUMS.c.amount + new.excluded.amount, "count": SUMS.c["count"] + new.excluded["count"]}
        connection.execute(new.on_conflict_do_update(index_elements=list(names), set_=more), rows)
