"""Credits that are held for work under way: they are there, and nobody else may spend them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.billing.credits.kinds import split, with_kind
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.columns import UtcDateTime
from gateway.models.metering import OPEN_HOLD, UsageHold

HOLDS = table_for(UsageHold)
CREDITS: Final = "credits:"
"""What the name of a hold of credits begins with; the kind follows."""


def account_of(customer_id: str, name: str) -> str | None:
    """Return the account of credits in which something of a name is held; None of what is no credits."""
    return with_kind(customer_id, name.removeprefix(CREDITS)) if name.startswith(CREDITS) else None


def _held(dialect: str) -> sa.Select[Any]:
    lives = HOLDS.c.expires_at > sa.bindparam("now", type_=UtcDateTime)
    amount = sa.cast(sa.func.sum(sa.case((lives, HOLDS.c.amount), else_=0)), sa.BigInteger)
    lapsed = sa.func.sum(sa.case((lives, 0), else_=1))
    mine = in_json_array(dialect, HOLDS.c.customer_id, "customers"), in_json_array(dialect, HOLDS.c.name, "names")
    found = sa.select(HOLDS.c.customer_id, HOLDS.c.name, amount.label("amount"), lapsed.label("lapsed"))
    return found.where(sa.text(OPEN_HOLD), *mine).group_by(HOLDS.c.customer_id, HOLDS.c.name)


_HELD = PreparedQuery(_held)


def _rows(connection: sa.Connection, account_ids: Collection[str], moment: datetime) -> Sequence[Any]:
    parts = [split(each) for each in account_ids]
    customers, names = {customer_id for customer_id, _ in parts}, {CREDITS + kind for _, kind in parts}
    return _HELD.rows(connection, customers=json_array(customers), names=json_array(names), now=moment)


def _sums(rows: Sequence[Any]) -> dict[str, int]:
    return {str(account_of(row.customer_id, row.name)): int(row.amount) for row in rows}


def held(connection: sa.Connection, account_ids: Collection[str], moment: datetime) -> dict[str, int]:
    """Return how many credits of accounts are held at a moment; where there are no holds is left out."""
    return _sums(_rows(connection, account_ids, moment))


def settle_held(connection: sa.Connection, account_ids: Collection[str], moment: datetime) -> dict[str, int]:
    """Return the same in a transaction that may give away what is not held any more."""
    rows = _rows(connection, account_ids, moment)
    write_lapsed(connection, {row.customer_id for row in rows if row.lapsed}, moment)
    return _sums(rows)


def write_lapsed(connection: sa.Connection, customer_ids: Collection[str], moment: datetime) -> None:
    """Write down which holds of customers have lapsed: whose clock is behind must not commit what is given away."""
    if customer_ids:
        over = HOLDS.c.customer_id.in_(customer_ids), sa.text(OPEN_HOLD), HOLDS.c.expires_at <= moment
        connection.execute(sa.update(HOLDS).where(*over).values(status="lapsed"))
