"""Credit accounts: who holds the lock, what is left in which lot, and how an entry is appended.

Whoever changes a customer's credits opens the account first, which locks its row: on PostgreSQL until the end of the
transaction, on SQLite there is one writer anyway. So all changes of one account are one after the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from gateway.billing.credits.kinds import split
from gateway.db.clock import now
from gateway.db.notifications import publish
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.statements import insert_rows, write_rows
from gateway.db.tables import table_for
from gateway.models.credits import CARRYING_LOT, FILLED_LOT, OPEN_LOT, CreditAccount, CreditEntry, CreditLot
from gateway.outbound import outbox

PAGE = 100  # lots that are read at once
LONG_AGO = datetime.fromtimestamp(0, UTC)
"""The clock of an account of which nothing is known."""

MESSAGE_TYPES = {"grant": "credits.granted", "restore": "credits.granted", "revoke": "credits.revoked"}
"""What the application is told of; what it spends itself it knows."""

ACCOUNTS, LOTS, ENTRIES = table_for(CreditAccount), table_for(CreditLot), table_for(CreditEntry)

remaining = LOTS.c.granted - LOTS.c.revoked - LOTS.c.spent - LOTS.c.expired
"""What is left of a lot; below zero when credits that were already spent have been taken back."""


is_open, is_filled, is_carrying = sa.text(OPEN_LOT), sa.text(FILLED_LOT), sa.text(CARRYING_LOT)
"""Conditions by which an index finds the lots that matter among however many are used up.

They are text, because a plan that PostgreSQL keeps cannot know what a parameter will be: for `remaining > $1` it would
plan anew each time, which takes longer than it does to read.
"""

_PRESENT, _LIMIT = sa.bindparam("present", type_=ACCOUNTS.c.clock.type), sa.bindparam("limit", type_=sa.Integer)
_OVER = PreparedQuery(
    lambda _: (
        sa.select(LOTS.c.customer_id)
        .where(is_filled, LOTS.c.expires_at <= _PRESENT)
        .order_by(LOTS.c.expires_at)
        .limit(_LIMIT)
    )
)
_ON_TEST_CLOCKS = PreparedQuery(
    lambda _: (
        sa.select(ACCOUNTS.c.customer_id)
        .where(ACCOUNTS.c.clock > _PRESENT)
        .where(
            sa.exists().where(
                is_open,
                is_filled,
                LOTS.c.customer_id == ACCOUNTS.c.customer_id,
                LOTS.c.expires_at <= ACCOUNTS.c.clock,
            )
        )
        .limit(_LIMIT)
    )
)
_ENTRY = sa.insert(ENTRIES).returning(ENTRIES.c.id)
_BALANCE = sa.update(ACCOUNTS).where(ACCOUNTS.c.customer_id == sa.bindparam("whose"))

SPENT_FIRST = (LOTS.c.expires_at.is_(None), LOTS.c.expires_at, LOTS.c.granted_at, LOTS.c.id)
"""The order in which lots are spent: what expires first comes first."""


class Lots:
    """The lots with something left, in the order in which they are spent, that run out, or that never do.

    Args:
        condition: which of both.
        order: the columns that order them.
        size: how many are read at once.
    """

    def __init__(self, condition: sa.ColumnElement[bool], order: Sequence[sa.Column[Any]], *, size: int = PAGE) -> None:
        self.condition = condition
        self.order = order
        self._size = size
        self._page = self.of(sa.bindparam("account")).with_only_columns(*LOTS.c, remaining.label("left")).limit(size)
        self._first = PreparedQuery(lambda _: self._page)

    def of(self, account_id: Any) -> sa.Select[Any]:
        """Return the query of the ids of an account's."""
        whose = LOTS.c.customer_id == account_id, is_open, is_filled, self.condition
        return sa.select(LOTS.c.id).where(*whose).order_by(*self.order)

    def each(self, connection: sa.Connection, account_id: str) -> Iterator[Any]:
        """Yield an account's; only as many are read as somebody asks for."""
        page = self._first.rows(connection, account=account_id)
        yield from page
        while len(page) == self._size:
            page = list(connection.execute(self._after(account_id, page[-1])))
            yield from page

    def _after(self, account_id: str, last: Any) -> sa.Select[Any]:
        """Return the query of the page after a lot."""
        values = (sa.bindparam(None, getattr(last, column.name), type_=column.type) for column in self.order)
        return self._page.where(sa.tuple_(*self.order) > sa.tuple_(*values)).params(account=account_id)


def _lots_where(*conditions: sa.ColumnElement[bool] | sa.TextClause) -> PreparedQuery:
    """Return the query of those lots of an account of which something holds, in the order in which they are spent."""
    mine = sa.select(LOTS, remaining.label("left")).where(LOTS.c.customer_id == sa.bindparam("account"), *conditions)
    return PreparedQuery(lambda _: mine.order_by(*SPENT_FIRST))


_CARRYING = _lots_where(is_carrying)
_OWING = _lots_where(is_open, remaining < sa.literal_column("0"))
_RUN_OUT = _lots_where(
    is_open,
    LOTS.c.expires_at <= sa.bindparam("moment", type_=LOTS.c.expires_at.type),
    sa.or_(remaining > sa.literal_column("0"), LOTS.c.expired > sa.literal_column("0")),
)
ENDING = Lots(LOTS.c.expires_at.is_not(None), (LOTS.c.expires_at, LOTS.c.granted_at, LOTS.c.id))
LASTING = Lots(LOTS.c.expires_at.is_(None), (LOTS.c.granted_at, LOTS.c.id))


def expired(moment: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Return the condition that a lot has expired, for a query that joins its account."""
    return LOTS.c.expires_at <= sa.case((ACCOUNTS.c.clock > moment, ACCOUNTS.c.clock), else_=moment)


@lru_cache
def _more(column: str) -> sa.Update:
    """UPDATE one of the sums of a lot."""
    lot = sa.update(LOTS).where(LOTS.c.id == sa.bindparam("lot"))
    return lot.values({column: LOTS.c[column] + sa.bindparam("more", type_=sa.BigInteger)})


@dataclass(slots=True)
class Account:
    """An account that is locked by this transaction: the credits of one kind of a customer (`kinds.py`)."""

    connection: sa.Connection
    id: str
    balance: int
    now: datetime

    def append(self, kind: str, amount: int, **columns: Any) -> dict[str, Any]:
        """Append an entry and keep the balance; the entry."""
        self.balance += amount
        values = {
            "customer_id": self.id,
            "kind": kind,
            "amount": amount,
            "balance": self.balance,
            "parts": {},
            "meta": {},
            "created": now(self.connection),
            **columns,
        }
        found = self.connection.execute(_ENTRY, values)
        self.connection.execute(_BALANCE, {"whose": self.id, "balance": self.balance})
        customer_id, its_kind = split(self.id)
        publish(self.connection, f"customer:{customer_id}")
        if kind in MESSAGE_TYPES:
            purchase_id = split(columns.get("purchase_id") or "")[0] or None
            data = {"amount": amount, "balance": self.balance, "purchaseId": purchase_id, "kind": its_kind or None}
            once = columns.get("lot_id") if kind == "grant" else None  # a lot is granted once
            outbox.append(self.connection, customer_id, MESSAGE_TYPES[kind], data, once=once)
        return {**values, "id": found.scalar_one()}

    def add_to_lot(self, lot_id: str, column: str, amount: int) -> None:
        """Add to one of a lot's sums."""
        self.add_to_lots({lot_id: amount}, column)

    def add_to_lots(self, amounts: Mapping[str, int], column: str) -> None:
        """Add to one of the sums of each of some lots."""
        self.connection.execute(_more(column), [{"lot": lot_id, "more": amount} for lot_id, amount in amounts.items()])

    def move_expiry(self, lot_id: str, expires_at: datetime | None) -> None:
        """Say anew when a lot runs out: the time that follows it was paid, or the subscription has ended."""
        self.connection.execute(sa.update(LOTS).where(LOTS.c.id == lot_id).values(expires_at=expires_at))

    def balance_lots(self) -> None:
        """Bring the lots into order after any change; the balance changes only by what runs out.

        First a lot that has credits again takes back the spends that others have carried for it. Then what has run out
        is written down. Then lots with credits carry the spends of lots that were taken back after they were spent: so
        a debt is paid once, and does not come back when the lot that has paid it runs out.
        """
        self._take_back_spends()
        self.expire()
        self._carry_spends()

    def _take_back_spends(self) -> None:
        for lot in _CARRYING.rows(self.connection, account=self.id):
            debts = lot.debts
            for debtor_id, carried in sorted(debts.items()):
                again = self.connection.execute(sa.select(remaining).where(LOTS.c.id == debtor_id)).scalar() or 0
                if (amount := min(carried, again)) > 0:
                    debts = self._move_spend(lot.id, debts, debtor_id, -amount)

    def _carry_spends(self) -> None:
        for debtor in _OWING.rows(self.connection, account=self.id):
            owed = -debtor.left
            for lot in self.lots():
                amount = min(owed, lot.left)
                self._move_spend(lot.id, lot.debts, debtor.id, amount)
                owed -= amount
                if not owed:
                    break

    def _move_spend(self, lot_id: str, debts: dict[str, int], debtor_id: str, amount: int) -> dict[str, int]:
        """Have a lot carry more (or less) of what was spent from another; what it carries then."""
        debts = {**debts, debtor_id: debts.get(debtor_id, 0) + amount}
        debts = {name: carried for name, carried in debts.items() if carried}
        self.connection.execute(sa.update(LOTS).where(LOTS.c.id == lot_id).values(debts=debts))
        self.add_to_lot(lot_id, "spent", amount)
        self.add_to_lot(debtor_id, "spent", -amount)
        return debts

    def expire(self) -> None:
        """Write down what has run out. What was refunded after it ran out is taken from that, not from the living."""
        for lot in _RUN_OUT.rows(self.connection, account=self.id, moment=self.now):
            target = max(0, lot.granted - lot.revoked - lot.spent)
            change = target - lot.expired
            self.add_to_lot(lot.id, "expired", change)
            self.append("expire", -change, lot_id=lot.id, purchase_id=lot.purchase_id)

    def lots(self) -> Iterator[Any]:
        """Yield the lots with something left, in the order in which they are spent: what expires first comes first.

        Only as many are read as somebody asks for.
        """
        for kind in (ENDING, LASTING):
            yield from kind.each(self.connection, self.id)


def lock_accounts(connection: sa.Connection, clocks: dict[str, datetime]) -> dict[str, Account]:
    """Lock accounts, made where there were none, in one order for all.

    Args:
        connection: a transaction.
        clocks: the accounts' ids, each with a moment that is known to have come on Stripe's clock.
    """
    if not clocks:
        return {}
    rows = []
    for account_id in sorted(clocks):
        customer_id, kind = split(account_id)
        owner_id = customer_id if kind else None
        rows.append({"customer_id": account_id, "owner_id": owner_id, "balance": 0, "clock": clocks[account_id]})
    write_rows(connection, _locked(connection.dialect.name), rows)
    found = {row.customer_id: row for row in _ACCOUNTS.rows(connection, accounts=json_array(clocks))}
    present = now(connection)
    return {
        account_id: Account(connection, account_id, found[account_id].balance, max(present, found[account_id].clock))
        for account_id in sorted(clocks)
    }


_ACCOUNTS = PreparedQuery(
    lambda dialect: sa.select(ACCOUNTS).where(in_json_array(dialect, ACCOUNTS.c.customer_id, "accounts"))
)


@lru_cache
def _locked(dialect: str) -> Any:
    """Return the statement that makes accounts, and locks those that are there."""
    new = insert_rows(dialect, ACCOUNTS, ("customer_id", "owner_id", "balance", "clock"))
    later = sa.case((ACCOUNTS.c.clock < new.excluded.clock, new.excluded.clock), else_=ACCOUNTS.c.clock)
    return new.on_conflict_do_update(index_elements=["customer_id"], set_={"clock": later})


def expire_credits(connection: sa.Connection, limit: int = 100) -> int:
    """Write down what has run out, of at most `limit` accounts; of how many."""
    customers = expired_accounts(connection, limit)
    for account in (lock_accounts(connection, dict.fromkeys(customers, LONG_AGO))).values():
        account.expire()
    return len(customers)


def expired_accounts(connection: sa.Connection, limit: int = 1) -> Sequence[str]:
    """Return accounts with credits that have run out and are not written down; at most `limit`."""
    given = {"present": now(connection), "limit": limit}
    found = (row.customer_id for query in (_OVER, _ON_TEST_CLOCKS) for row in query.rows(connection, **given))
    return list(dict.fromkeys(found))[:limit]
