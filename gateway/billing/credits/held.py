"""Credits that are held for work under way: they are there, and nobody else may spend them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.tables import table_for
from gateway.models.columns import UtcDateTime
from gateway.models.metering import OPEN_HOLD, UsageHold

HOLDS = table_for(UsageHold)
CREDITS: Final = "credits:"
"""The name of a hold of credits."""


def _held(dialect: str) -> sa.Select[Any]:
    lives = HOLDS.c.expires_at > sa.bindparam("now", type_=UtcDateTime)
    amount = sa.cast(sa.func.sum(sa.case((lives, HOLDS.c.amount), else_=0)), sa.BigInteger)
    lapsed = sa.func.sum(sa.case((lives, 0), else_=1))
    mine = in_json_array(dialect, HOLDS.c.customer_id, "customers"), HOLDS.c.name == sa.literal_column(f"'{CREDITS}'")
    found = sa.select(HOLDS.c.customer_id, amount.label("amount"), lapsed.label("lapsed"))
    return found.where(sa.text(OPEN_HOLD), *mine).group_by(HOLDS.c.customer_id)


_HELD = PreparedQuery(_held)


def held(connection: sa.Connection, customer_ids: Collection[str], moment: datetime) -> dict[str, int]:
    """Return how many credits of customers are held at a moment; who has no holds is left out."""
    rows = _HELD.rows(connection, customers=json_array(customer_ids), now=moment)
    return {row.customer_id: int(row.amount) for row in rows}


def settle_held(connection: sa.Connection, customer_ids: Collection[str], moment: datetime) -> dict[str, int]:
    """Return the same in a transaction that may give away what is not held any more."""
    rows = _HELD.rows(connection, customers=json_array(customer_ids), now=moment)
    write_lapsed(connection, [row.customer_id for row in rows if row.lapsed], moment)
    return {row.customer_id: int(row.amount) for row in rows}


def write_lapsed(connection: sa.Connection, customer_ids: Collection[str], moment: datetime) -> None:
    """Write down which holds of customers have lapsed: whose clock is behind must not commit what is given away."""
    if customer_ids:
        over = HOLDS.c.customer_id.in_(customer_ids), sa.text(OPEN_HOLD), HOLDS.c.expires_at <= moment
        connection.execute(sa.update(HOLDS).where(*over).values(status="lapsed"))
