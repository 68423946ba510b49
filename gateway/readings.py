"""Statements that only read, made once: text for the driver, and rows that convert a value when somebody asks for it.

SQLAlchemy builds them, knows the dialects and the types. What it would do for every execution, and for every value of
every row, takes several times as long as the database does.
"""

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.statements import execute


def as_list(texts: Iterable[str]) -> str:
    """A list as the parameter of `among`."""
    return orjson.dumps(list(texts)).decode()


Made = tuple[sa.Select[Any], Callable[[Any], Any]]


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
        statement, row = self._made.get(connection.dialect.name) or self._make(connection.dialect)
        return [row(values) for values in execute(connection, statement, parameters)]

    def _make(self, dialect: sa.Dialect) -> Made:
        """The statement, and what makes a row of values."""
        statement = self._build(dialect.name)
        made = self._made[dialect.name] = statement, self._row(statement, dialect)
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
