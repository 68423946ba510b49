"""Credit accounts: who holds the lock, what is left in which lot, and how an entry is appended.

Whoever changes a customer's credits opens the account first, which locks its row: on PostgreSQL until the end of the
transaction, on SQLite there is one writer anyway. So all changes of one account are one after the other.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from gateway.clock import now
from gateway.db.notifications import publish
from gateway.db.tables import insert, table_for
from gateway.models.credits import CreditAccount, CreditEntry, CreditLot
from gateway.outbound import outbox

LONG_AGO = datetime.fromtimestamp(0, UTC)
"""The clock of an account of which nothing is known."""

MESSAGE_TYPES = {"grant": "credits.granted", "restore": "credits.granted", "revoke": "credits.revoked"}
"""What the application is told of; what it spends itself it knows."""

ACCOUNTS, LOTS, ENTRIES = table_for(CreditAccount), table_for(CreditLot), table_for(CreditEntry)

remaining = LOTS.c.granted - LOTS.c.revoked - LOTS.c.spent - LOTS.c.expired
"""What is left of a lot; below zero when credits that were already spent have been taken back."""


def expired(moment: datetime | sa.BindParameter[datetime]) -> sa.ColumnElement[bool]:
    """Return the condition that a lot has expired, for a query that joins its account."""
    return sa.or_(LOTS.c.expires_at <= moment, LOTS.c.expires_at <= ACCOUNTS.c.clock)


@dataclass(slots=True)
class Account:
    """An account that is locked by this transaction."""

    connection: sa.Connection
    customer_id: str
    balance: int
    now: datetime

    def append(self, kind: str, amount: int, **columns: Any) -> dict[str, Any]:
        """Append an entry and keep the balance; the entry."""
        self.balance += amount
        values = {
            "customer_id": self.customer_id,
            "kind": kind,
            "amount": amount,
            "balance": self.balance,
            "parts": {},
            "meta": {},
            "created": now(self.connection),
            **columns,
        }
        found = self.connection.execute(sa.insert(ENTRIES).values(**values).returning(ENTRIES.c.id))
        self.connection.execute(
            sa.update(ACCOUNTS).where(ACCOUNTS.c.customer_id == self.customer_id).values(balance=self.balance)
        )
        publish(self.connection, f"customer:{self.customer_id}")
        if kind in MESSAGE_TYPES:
            data = {"amount": amount, "balance": self.balance, "purchaseId": columns.get("purchase_id")}
            outbox.append(self.connection, self.customer_id, MESSAGE_TYPES[kind], data)
        return {**values, "id": found.scalar_one()}

    def add_to_lot(self, lot_id: str, column: str, amount: int) -> None:
        """Add to one of a lot's sums."""
        lot = sa.update(LOTS).where(LOTS.c.id == lot_id)
        self.connection.execute(lot.values({column: LOTS.c[column] + amount}))

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
        for lot in self._all(sa.cast(LOTS.c.debts, sa.Text) != "{}"):
            debts = lot["debts"]
            for debtor_id, carried in sorted(debts.items()):
                again = self.connection.execute(sa.select(remaining).where(LOTS.c.id == debtor_id)).scalar() or 0
                if (amount := min(carried, again)) > 0:
                    debts = self._move_spend(lot["id"], debts, debtor_id, -amount)

    def _carry_spends(self) -> None:
        for debtor in self._all(remaining < 0):
            owed = -debtor["left"]
            for lot in self.lots():
                amount = min(owed, lot["left"])
                self._move_spend(lot["id"], lot["debts"], debtor["id"], amount)
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
        over = LOTS.c.expires_at <= self.now
        for lot in self._all(over, sa.or_(remaining > 0, sa.and_(remaining < 0, LOTS.c.expired > 0))):
            target = max(0, lot["granted"] - lot["revoked"] - lot["spent"])
            change = target - lot["expired"]
            self.add_to_lot(lot["id"], "expired", change)
            self.append("expire", -change, lot_id=lot["id"], purchase_id=lot["purchase_id"])

    def lots(self) -> list[Any]:
        """Return the lots with something left, in the order in which they are spent: what expires first comes first."""
        return self._all(remaining > 0)

    def _all(self, *conditions: sa.ColumnElement[bool]) -> list[Any]:
        query = (
            sa.select(LOTS, remaining.label("left"))
            .where(LOTS.c.customer_id == self.customer_id, *conditions)
            .order_by(LOTS.c.expires_at.is_(None), LOTS.c.expires_at, LOTS.c.granted_at, LOTS.c.id)
        )
        return list(self.connection.execute(query).mappings())


def lock_accounts(connection: sa.Connection, clocks: dict[str, datetime]) -> dict[str, Account]:
    """Lock accounts, made where there were none, in one order for all.

    Args:
        connection: a transaction.
        clocks: the customers, each with a moment that is known to have come on Stripe's clock.
    """
    accounts = {}
    for customer_id in sorted(clocks):
        clock = clocks[customer_id]
        new = insert(connection, ACCOUNTS).values(customer_id=customer_id, balance=0, clock=clock)
        later = sa.case((ACCOUNTS.c.clock < new.excluded.clock, new.excluded.clock), else_=ACCOUNTS.c.clock)
        locked = new.on_conflict_do_update(index_elements=["customer_id"], set_={"clock": later})
        row = connection.execute(locked.returning(ACCOUNTS.c.balance, ACCOUNTS.c.clock)).one()
        accounts[customer_id] = Account(connection, customer_id, row.balance, max(now(connection), row.clock))
    return accounts


def expire_credits(connection: sa.Connection, limit: int = 100) -> int:
    """Write down what has run out, of at most `limit` accounts; of how many."""
    due = (
        sa.select(LOTS.c.customer_id)
        .join(ACCOUNTS, ACCOUNTS.c.customer_id == LOTS.c.customer_id)
        .where(expired(now(connection)), remaining > 0)
        .distinct()
        .limit(limit)
    )
    customers = list(connection.execute(due).scalars())
    for account in (lock_accounts(connection, dict.fromkeys(customers, LONG_AGO))).values():
        account.expire()
    return len(customers)
