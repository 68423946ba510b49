"""Statements that only read, made once: text for the driver, and rows that convert a value when somebody asks for it.

SQLAlchemy builds them, knows the dialects and the types. What it would do for every execution, and for every value of
every row, takes several times as long as the database does.
"""

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from gateway.statements import open_cursor


def as_list(texts: Iterable[str]) -> str:
    """A list as the parameter of `among`."""
    return orjson.dumps(list(texts)).decode()


Made = tuple[str, dict[str, Any], Callable[[Any], Any]]


class Reading:
    """A SELECT.

    Args:
        build: makes the statement for a dialect, by its name.
    """

    def __init__(self, build: Callable[[str], sa.Select[Any]]) -> None:
        self._build = build
        self._made: dict[str, Made] = {}

    def rows(self, connection: sa.Connection, **parameters: Any) -> list[Any]:
        """The rows; their attributes are the statement's columns.

        Args:
            connection: anything that may read.
            parameters: the statement's, as the driver takes them.

        Raises:
            DBAPIError: as for any statement of SQLAlchemy's.
        """
        dialect = connection.dialect
        text, constants, row = self._made.get(dialect.name) or self._make(dialect)
        parameters = {**constants, **parameters}
        with open_cursor(connection) as cursor:
            for hear in connection.dispatch.before_cursor_execute:  # who counts or traces statements misses none
                hear(connection, cursor, text, parameters, None, False)
            cursor.execute(text, parameters)
            return [row(values) for values in cursor.fetchall()]

    def _make(self, dialect: sa.Dialect) -> Made:
        """The text, the parameters that never change, and what makes a row of values."""
        statement = self._build(dialect.name)
        compiled = statement.compile(
            dialect=sqlite.dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
        )
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        made = str(compiled), constants, self._row(statement, dialect)
        self._made[dialect.name] = made
        return made

    def _row(self, statement: sa.Select[Any], dialect: sa.Dialect) -> Callable[[Any], Any]:
        return _row_class(statement.selected_columns, dialect)


class Joined(Reading):
    """A SELECT from two tables, of which the second may have nothing to a row of the first.

    Args:
        build: makes the statement for a dialect, by its name.
        first: how many columns are the first table's. The next one is null where the second table has nothing.
    """

    def __init__(self, build: Callable[[str], sa.Select[Any]], first: int) -> None:
        super().__init__(build)
        self._first = first

    def _row(self, statement: sa.Select[Any], dialect: sa.Dialect) -> Callable[[Any], Any]:
        columns, split = list(statement.selected_columns), self._first
        one, other = _row_class(columns[:split], dialect), _row_class(columns[split:], dialect)
        return lambda values: (one(values[:split]), None if values[split] is None else other(values[split:]))


def _row_class(columns: Iterable[sa.ColumnElement[Any]], dialect: sa.Dialect) -> type:
    """A class of tuples with an attribute for each column. It cannot be unpacked: that would miss the conversion."""
    members: dict[str, Any] = {"__slots__": (), "__iter__": None}
    for place, column in enumerate(columns):
        convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
        members[str(column.key)] = property(_converted(place, convert) if convert else itemgetter(place))
    return type("Row", (tuple,), members)


def _converted(place: int, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda row: convert(row[place])
