"""Rows read as objects of their models, for whatever is not hot."""

from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlmodel import Session, SQLModel
from sqlmodel.sql.expression import SelectOfScalar

from gateway.db.tables import table_for

T = TypeVar("T")
M = TypeVar("M", bound=SQLModel)


def all_rows(connection: sa.Connection, statement: SelectOfScalar[T]) -> list[T]:
    """Return every row of a SELECT as an object; the objects outlive the connection."""
    with Session(connection, expire_on_commit=False) as session:
        return list(session.exec(statement).all())


def first_row(connection: sa.Connection, statement: SelectOfScalar[T]) -> T | None:
    """Return the first row of a SELECT as an object; None where there is none."""
    with Session(connection, expire_on_commit=False) as session:
        return session.exec(statement).first()


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
