"""Spending from accounts of credits: what one transaction spends, of however many, is read and written together."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.billing.credits.kinds import split
from gateway.billing.credits.ledger import (
    ACCOUNTS,
    ENDING,
    ENTRIES,
    LASTING,
    LONG_AGO,
    LOTS,
    Account,
    expired,
    is_open,
    lock_accounts,
    remaining,
)
from gateway.billing.user_errors import Problem, ProblemCode
from gateway.db.clock import now
from gateway.db.notifications import publish
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.statements import execute_many, insert_rows, write_rows
from gateway.models.columns import UtcDateTime

_COLUMNS = "customer_id", "kind", "amount", "balance", "key", "fingerprint", "reason", "parts", "meta", "created"
_MORE = sa.bindparam("more", type_=sa.BigInteger)
_FROM_LOT = sa.update(LOTS).where(LOTS.c.id == sa.bindparam("lot")).values(spent=LOTS.c.spent + _MORE)
_BALANCE = sa.update(ACCOUNTS).where(ACCOUNTS.c.customer_id == sa.bindparam("account")).values(balance=_MORE)


@dataclass(frozen=True, slots=True)
class Spend:
    """What to spend.

    Attributes:
        external_id: the application's own user.
        amount: how many credits, at least 1.
        key: the same key with the same spend spends once.
        reason: for people.
        meta: for programs.
        kind: of credits; empty for the one without a name.
    """

    external_id: str
    amount: int
    key: str
    reason: str | None = None
    meta: dict[str, str] = field(default_factory=dict)
    kind: str = ""

    @property
    def fingerprint(self) -> str:
        """What must be the same under one key."""
        fields: list[Any] = [self.amount, self.reason, sorted(self.meta.items())]
        if self.kind:
            fields.append(self.kind)
        return sha256(orjson.dumps(fields)).hexdigest()


def _spent(dialect: str) -> sa.Select[Any]:
    """Return the query of entries by their accounts and keys, for which there is an index: the ledger only grows."""
    theirs = (
        sa.select(ACCOUNTS.c.customer_id).where(in_json_array(dialect, column, "customers"))
        for column in (ACCOUNTS.c.customer_id, ACCOUNTS.c.owner_id)
    )
    keys = in_json_array(dialect, ENTRIES.c.key, "keys")
    return sa.select(ENTRIES).where(ENTRIES.c.customer_id.in_(sa.union_all(*theirs)), keys)


def _over(dialect: str) -> sa.Select[Any]:
    """Return the query of accounts with credits that have run out: the few of them, by the index, and not all lots."""
    over = is_open, sa.or_(remaining > 0, sa.and_(remaining < 0, LOTS.c.expired > 0))
    has_run_out = expired(sa.bindparam("now", type_=UtcDateTime))
    lots = sa.exists().where(LOTS.c.customer_id == ACCOUNTS.c.customer_id, *over, has_run_out).correlate(ACCOUNTS)
    return sa.select(ACCOUNTS.c.customer_id).where(in_json_array(dialect, ACCOUNTS.c.customer_id, "accounts"), lots)


def _first(dialect: str) -> sa.Select[Any]:
    """Return the query of the lot of each account that is spent first: mostly no other is needed.

    The 1 is text: for a parameter, PostgreSQL plans anew at each call where lots are many, as `is_filled` tells.
    """
    lot, one = LOTS.alias("first"), sa.literal_column("1", sa.Integer)
    first = (
        each.of(ACCOUNTS.c.customer_id).limit(one).correlate(ACCOUNTS).scalar_subquery() for each in (ENDING, LASTING)
    )
    joined = ACCOUNTS.join(lot, lot.c.id == sa.func.coalesce(*first))
    left = (lot.c.granted - lot.c.revoked - lot.c.spent - lot.c.expired).label("left")
    mine = in_json_array(dialect, ACCOUNTS.c.customer_id, "accounts")
    return sa.select(lot.c.customer_id, lot.c.id, left).select_from(joined).where(mine)


_SPENT, _OVER, _FIRST = PreparedQuery(_spent), PreparedQuery(_over), PreparedQuery(_first)


def entries_of(connection: sa.Connection, customer_ids: Collection[str], keys: Collection[str]) -> list[Any]:
    """Return what customers have spent under some keys, of whichever kind."""
    return _SPENT.rows(connection, customers=json_array(customer_ids), keys=json_array(keys))


class Purses:
    """Accounts that are locked by a transaction which spends from them.

    Args:
        connection: the transaction.
        account_ids: which.
        keys: under which is spent, so that what was spent before is known.
    """

    def __init__(self, connection: sa.Connection, account_ids: Collection[str], keys: Collection[str]) -> None:
        self._connection = connection
        self._accounts = lock_accounts(connection, dict.fromkeys(account_ids, LONG_AGO))
        for row in _OVER.rows(connection, accounts=json_array(account_ids), now=now(connection)):
            self._accounts[row.customer_id].expire()
        before = entries_of(connection, {split(account_id)[0] for account_id in account_ids}, keys)
        self._fingerprints = {(split(row.customer_id)[0], row.key): row.fingerprint for row in before}
        first = _FIRST.rows(connection, accounts=json_array(account_ids))
        self._open = {row.customer_id: (row.id, int(row.left)) for row in first}
        self._first = {row.id for row in first}
        self._lots: dict[str, Iterator[tuple[str, int]]] = {}
        self._parts: dict[str, int] = {}
        self._entries: list[dict[str, Any]] = []

    def balance(self, account_id: str) -> int:
        """Return how many credits are in an account."""
        return self._accounts[account_id].balance

    def spend(self, account_id: str, wanted: Spend, held: int) -> Problem | None:
        """Spend credits, those that run out first before others; all of them or none, and once for a key.

        Args:
            account_id: from where.
            wanted: what.
            held: how many credits are held for other work.
        """
        account, whose = self._accounts[account_id], (split(account_id)[0], wanted.key)
        if whose in self._fingerprints:
            if self._fingerprints[whose] == wanted.fingerprint:
                return None
            message = "this key was used for another amount, kind, reason or metadata; use a new one for another spend"
            return Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, message, "idempotencyKey")
        if account.balance - held < wanted.amount:
            there = max(account.balance - held, 0)
            message = f"{wanted.amount} credits are wanted and {there} are there"
            return Problem(ProblemCode.INSUFFICIENT_CREDITS, message, "amount")
        account.balance -= wanted.amount
        entry = account_id, "spend", -wanted.amount, account.balance, wanted.key, wanted.fingerprint, wanted.reason
        more = self._take(account, wanted.amount), wanted.meta, now(self._connection)
        self._entries.append(dict(zip(_COLUMNS, (*entry, *more), strict=True)))
        self._fingerprints[whose] = wanted.fingerprint
        return None

    def _take(self, account: Account, amount: int) -> dict[str, int]:
        """Take credits from the lots of an account; how many from which."""
        parts: dict[str, int] = {}
        if account.id not in self._lots:
            others = (lot for lot in account.lots() if lot.id not in self._first)
            self._lots[account.id] = ((lot.id, int(lot.left)) for lot in others)
        lots = self._lots[account.id]
        while amount and (found := self._open.pop(account.id, None) or next(lots, None)):
            lot_id, left = found
            parts[lot_id] = min(left, amount)
            amount -= parts[lot_id]
            if left > parts[lot_id]:
                self._open[account.id] = lot_id, left - parts[lot_id]
        for lot_id, part in parts.items():
            self._parts[lot_id] = self._parts.get(lot_id, 0) + part
        return parts

    def save(self) -> None:
        """Write the entries of what was spent, and publish the change; decisions about access stay valid beside it."""
        if not self._entries:
            return
        account_ids = sorted({entry["customer_id"] for entry in self._entries})
        write_rows(self._connection, _insert(self._connection.dialect.name), self._entries)
        lots = [{"lot": lot_id, "more": more} for lot_id, more in sorted(self._parts.items())]
        execute_many(self._connection, _FROM_LOT, lots)
        balances = [{"account": account_id, "more": self.balance(account_id)} for account_id in account_ids]
        execute_many(self._connection, _BALANCE, balances)
        publish(self._connection, *(f"credits:{split(account_id)[0]}" for account_id in account_ids))


@lru_cache
def _insert(dialect: str) -> Any:
    return insert_rows(dialect, ENTRIES, _COLUMNS)
