"""Lists of an operator: pages of whatever table, the newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.billing.pagination import Page, bad_cursor, check_first, decode_cursor, encode_cursor
from gateway.db.database import Database

Found = dict[str, Any]
"""One row of a list, by the names of its columns."""


async def newest(
    database: Database,
    query: sa.Select[Any],
    order: Sequence[sa.Column[Any]],
    first: int,
    after: str | None,
) -> Page[Found]:
    """Return a page of a query.

    Args:
        database: the mirror.
        query: what is listed, without an order.
        order: a moment, and what tells any two rows of one moment apart, all of them columns of the query.
        first: how many, 1 to 100.
        after: the cursor of the last row of the page before.

    Raises:
        BadInput: `first` is out of range, or `after` is no cursor.
    """
    check_first(first)
    wanted = query.order_by(*(column.desc() for column in order)).limit(first + 1)
    if after is not None:
        place = (sa.literal(value, column.type) for value, column in zip(_place(after, order), order, strict=True))
        wanted = wanted.where(sa.tuple_(*order) < sa.tuple_(*place))

    def read(connection: sa.Connection) -> Sequence[Found]:
        return [dict(row) for row in connection.execute(wanted).mappings()]

    rows = await database.read(read)
    return Page(rows[:first], len(rows) > first, after is not None)


def cursor_of(moment: datetime, *keys: Any) -> str:
    """Return the opaque cursor of a row: its place in time, and what tells it apart."""
    return encode_cursor(orjson.dumps([moment.isoformat(), *keys]).decode())


def _place(cursor: str, order: Sequence[sa.Column[Any]]) -> list[Any]:
    text = decode_cursor(cursor)
    try:
        moment, *keys = orjson.loads(text)
        read = datetime.fromisoformat(moment)
    except (ValueError, TypeError):
        raise bad_cursor() from None
    kinds = [int if isinstance(column.type, sa.Integer) else str for column in order[1:]]
    fits = len(keys) == len(kinds) and all(type(key) is kind for key, kind in zip(keys, kinds, strict=True))
    if not fits or read.tzinfo is None or not text.isprintable():
        raise bad_cursor()
    return [read, *keys]
