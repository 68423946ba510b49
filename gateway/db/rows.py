"""Rows read as objects of their models, for whatever is not hot."""

from typing import TypeVar

import sqlalchemy as sa
from sqlmodel import Session, SQLModel
from sqlmodel.sql.expression import SelectOfScalar

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
    with Session(connection, expire_on_commit=False) as session:
        return session.get(model, key)
