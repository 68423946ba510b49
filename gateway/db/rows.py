"""Rows read as objects of their models, for whatever is not hot."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import SQLModel

from gateway.db.tables import table_for

M = TypeVar("M", bound=SQLModel)


def all_rows(
    connection: sa.Connection,
    model: type[M],
    *conditions: sa.ColumnElement[bool],
    order_by: Sequence[sa.ColumnElement[Any]] = (),
    limit: int | None = None,
) -> list[M]:
    """Return the rows of a table that fulfil some conditions, as objects.

    Args:
        connection: what is read with.
        model: of the table.
        conditions: all must be fulfilled.
        order_by: the order.
        limit: so many at most.
    """
    query = sa.select(table_for(model)).where(*conditions).order_by(*order_by).limit(limit)
    return [model(**row) for row in connection.execute(query).mappings()]


def first_row(
    connection: sa.Connection,
    model: type[M],
    *conditions: sa.ColumnElement[bool],
    order_by: Sequence[sa.ColumnElement[Any]] = (),
) -> M | None:
    """Return the first of the rows that `all_rows` would return; None where there is none."""
    return next(iter(all_rows(connection, model, *conditions, order_by=order_by, limit=1)), None)


def row_by_id(connection: sa.Connection, model: type[M], key: object) -> M | None:
    """Return the row with this primary key as an object; None where there is none."""
    found = connection.execute(_by_id(model), {"key": key}).mappings().first()
    return None if found is None else model(**found)


@cache
def _by_id(model: type[SQLModel]) -> sa.Select[Any]:
    """Return the query, which takes as long to make as to run."""
    table = table_for(model)
    (key,) = table.primary_key
    return sa.select(table).where(key == sa.bindparam("key"))
