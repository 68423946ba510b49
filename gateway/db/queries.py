"""Statements that only read, made once: text for the driver, and rows that convert a value when somebody asks for it.

SQLAlchemy builds them, knows the dialects and the types. What it would do for every execution, and for every value of
every row, takes several times as long as the database does.
"""

from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.db.statements import execute


def json_array(texts: Iterable[str]) -> str:
    """Return a list as the parameter of `in_json_array`."""
    return orjson.dumps(list(texts)).decode()


def in_json_array(dialect: str, column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    """Return whether a column is one of a list that comes as JSON in the parameter `name`.

    With `in_` every length of the list is another statement, which costs more to make than to execute.
    """
    given = sa.bindparam(name, type_=sa.Text)
    if dialect == "sqlite":
        return column.in_(sa.select(sa.func.json_each(given).table_valued("value").c.value))
    values = sa.func.json_array_elements_text(sa.cast(given, sa.JSON))
    return column == sa.any_(sa.func.array(sa.select(values).scalar_subquery()))  # the planner knows arrays better


def from_json_array(dialect: str, name: str) -> sa.TableValuedAlias:
    """Return the same list as a table, whose one column is `value`."""
    given = sa.bindparam(name, type_=sa.Text)
    if dialect == "sqlite":
        return sa.func.json_each(given).table_valued("value", name="asked")
    return sa.func.json_array_elements_text(sa.cast(given, sa.JSON)).table_valued("value", name="asked")


Made = tuple[sa.Select[Any], Callable[[Any], Any]]


class PreparedQuery:
    """A SELECT.

    Args:
        build: makes the statement for a dialect, by its name.
    """

    def __init__(self, build: Callable[[str], sa.Select[Any]]) -> None:
        self._build = build
        self._made: dict[str, Made] = {}

    def rows(self, connection: sa.Connection, **parameters: Any) -> list[Any]:
        """Return the rows; their attributes are the statement's columns.

        Args:
            connection: anything that may read.
            parameters: the statement's, as the driver takes them.

        Raises:
            DBAPIError: as for any statement of SQLAlchemy's.
        """
        statement, row = self._made.get(connection.dialect.name) or self._make(connection.dialect)
        return [row(values) for values in execute(connection, statement, parameters)]

    def _make(self, dialect: sa.Dialect) -> Made:
        """Return the statement, and the function that makes a row of its values."""
        statement = self._build(dialect.name)
        made = self._made[dialect.name] = statement, self._row(statement, dialect)
        return made

    def _row(self, statement: sa.Select[Any], dialect: sa.Dialect) -> Callable[[Any], Any]:
        return _row_class(statement.selected_columns, dialect)


class JoinedQuery(PreparedQuery):
    """A SELECT from several tables, whose rows have a part for each; None where a table has nothing.

    Args:
        build: makes the statement for a dialect, by its name.
        widths: how many columns each table has. The first one is null where it has nothing.
    """

    def __init__(self, build: Callable[[str], sa.Select[Any]], *widths: int) -> None:
        super().__init__(build)
        self._widths = widths

    def _row(self, statement: sa.Select[Any], dialect: sa.Dialect) -> Callable[[Any], Any]:
        columns, ends = list(statement.selected_columns), accumulate(self._widths, initial=0)
        parts = [(start, slice(start, end), _row_class(columns[start:end], dialect)) for start, end in pairwise(ends)]
        return lambda values: [None if values[start] is None else part(values[its]) for start, its, part in parts]


def _row_class(columns: Iterable[sa.ColumnElement[Any]], dialect: sa.Dialect) -> type:
    """Return a class of tuples with an attribute for each column. Unpacking is refused: it would skip conversions."""
    members: dict[str, Any] = {"__slots__": (), "__iter__": None}
    for place, column in enumerate(columns):
        # both drivers give floats as they are; SQLAlchemy asks for the driver's code of the type to know that
        is_float = isinstance(column.type, sa.Float)
        convert = None if is_float else column.type.dialect_impl(dialect).result_processor(dialect, None)
        members[str(column.key)] = property(_converted(place, convert) if convert else itemgetter(place))
    return type("Row", (tuple,), members)


def _converted(place: int, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda row: convert(row[place])
