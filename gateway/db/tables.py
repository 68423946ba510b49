"""Core tables of the models, for statements without the ORM."""

from importlib import import_module
from typing import Any

import sqlalchemy as sa
from sqlmodel import SQLModel


def table_for(model: type[SQLModel]) -> sa.Table:
    """Return the Core table of a SQLModel class."""
    table: sa.Table = model.metadata.tables[str(model.__tablename__)]
    return table


def insert(database: sa.Connection | str, table: sa.Table) -> Any:
    """Return the INSERT into `table` of the connection's (or the named) dialect, which knows ON CONFLICT."""
    name = database if isinstance(database, str) else database.dialect.name
    # by its name, so that PostgreSQL's, which take 2 MB, are not imported where SQLite is used
    return import_module(f"sqlalchemy.dialects.{name}").insert(table)
