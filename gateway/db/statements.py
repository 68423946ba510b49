"""Fixed statements over the bare driver: those that every event needs.

SQLAlchemy writes them, once. Executing them through it as well would cost as much as the driver does.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from gateway.db.tables import insert

Parameters = dict[str, Any]


def insert_rows(dialect: str, table: sa.Table, names: Sequence[str]) -> Any:
    """Return the INSERT of many rows, which `write_rows` executes.

    The statement is the same for any number of rows, so that it is compiled, parsed and prepared once. PostgreSQL gets
    them at once, because each execution is a round trip: as JSON, with long texts beside it as they are, because within
    JSON each of their quotes and line breaks would be escaped and read again. SQLite gets one row after the other.
    """
    if dialect == "sqlite":
        return insert(dialect, table).values({name: sa.bindparam(name, type_=sa.types.NullType()) for name in names})
    rows = sa.text(f'json_populate_recordset(NULL::"{table.name}", CAST(:rows AS json)) WITH ORDINALITY AS each')
    chosen: Any = sa.select(*(_value_of(table.c[name]) for name in names)).select_from(rows)
    return insert(dialect, table).from_select(list(names), chosen, include_defaults=False)


def _value_of(column: sa.Column[Any]) -> Any:
    """Return the expression of a column in a row of PostgreSQL's."""
    if isinstance(column.type, sa.Text):
        return sa.text(f"(CAST(:long_{column.name} AS text[]))[each.ordinality]")
    return sa.text(f'each."{column.name}"')


def write_rows(
    connection: sa.Connection,
    statement: Any,
    rows: Sequence[Parameters],
    returning: Sequence[sa.Column[Any]] = (),
    **more: Any,
) -> Sequence[Any]:
    """Execute a statement of `insert_rows`; the rows that were written.

    Args:
        connection: a transaction.
        statement: the same object again and again, so that what was made of it can be kept.
        rows: the values as Python has them; they are used up.
        returning: the columns of what was written; a tuple that stays the same as well.
        more: the other parameters of the statement.
    """
    made = _compiled(statement, connection.dialect, returning)
    if connection.dialect.name == "postgresql":
        long = {f"long_{name}": [row.pop(name) for row in rows] for name in made.long}
        return execute(connection, statement, {"rows": orjson.dumps(rows).decode(), **long, **more}, returning)
    if same := {**made.constants, **more}:
        for row in rows:
            row.update(same)
    with _cursor(connection) as cursor:
        if not returning:
            cursor.executemany(made.text, map(made.ordered, rows))
            return ()
        written = [row["id"] for row in rows if cursor.execute(made.text, made.ordered(row)).rowcount]
    if returning == (statement.table.c.id,):
        return [(each,) for each in written]
    return execute(connection, _of_ids(returning), {"ids": orjson.dumps(written).decode()})


@lru_cache
def _of_ids(columns: Sequence[sa.Column[Any]]) -> Any:
    """SELECT these of some rows. What SQLite is to return of a row that it writes goes into a table of its own first,
    which costs as much as the row.
    """
    given = sa.func.json_each(sa.bindparam("ids", type_=sa.Text)).table_valued("value")
    return sa.select(*columns).where(columns[0].table.c.id.in_(sa.select(given.c.value)))


def execute(
    connection: sa.Connection, statement: Any, parameters: Parameters, returning: Sequence[sa.Column[Any]] = ()
) -> Sequence[Any]:
    """Execute a statement, the same object again and again; its rows.

    Raises:
        DBAPIError: as for any statement of SQLAlchemy's.
    """
    made = _compiled(statement, connection.dialect, returning)
    ordered = made.ordered({**made.constants, **parameters})
    with _cursor(connection) as cursor:
        for hear in connection.dispatch.before_cursor_execute:  # who counts what is read misses nothing
            hear(connection, cursor, made.text, ordered, None, False)
        cursor.execute(made.text, ordered)
        return cursor.fetchall() if made.returns else ()  # a cursor asked would describe every column


def execute_many(connection: sa.Connection, statement: Any, rows: Sequence[Parameters]) -> None:
    """Execute a statement that returns nothing, the same object again and again, once for each of some rows.

    On PostgreSQL they go together, in one round trip.

    Raises:
        DBAPIError: as for any statement of SQLAlchemy's.
    """
    made = _compiled(statement, connection.dialect, ())
    with _cursor(connection) as cursor:
        cursor.executemany(made.text, [made.ordered({**made.constants, **row}) for row in rows])


@contextmanager
def _cursor(connection: sa.Connection) -> Iterator[Any]:
    """Yield a cursor of the driver; errors are raised as SQLAlchemy would raise them."""
    driver, dialect = connection.connection, connection.dialect
    cursor = driver.cursor()
    try:
        yield cursor
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, driver.driver_connection, cursor)
        if lost:
            connection.invalidate(error)
        kind = dialect.loaded_dbapi.Error
        raise DBAPIError.instance(
            None, None, error, kind, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        ) from error
    cursor.close()


class _Compiled(NamedTuple):
    """What is made of a statement once.

    Args:
        text: as the driver takes it.
        constants: the values that never change.
        ordered: puts parameters into the driver's form.
        long: the columns whose values go beside the others.
        returns: whether there are rows to be read.
    """

    text: str
    constants: Parameters
    ordered: Callable[[Parameters], Any]
    long: Sequence[str]
    returns: bool


@lru_cache(maxsize=256)
def _compiled(statement: Any, dialect: sa.Dialect, returning: Sequence[sa.Column[Any]]) -> _Compiled:
    if returning and dialect.name == "postgresql":
        statement = statement.returning(*returning)
    compiled = statement.compile(dialect=dialect)
    # in the binary form: for the other, the driver looks at every character
    text = re.sub(r"%\((long_\w+)\)s", r"%(\1)b", str(compiled))
    ordered: Callable[[Parameters], Any] = dict
    if compiled.positional:
        names = compiled.positiontup or []
        ordered = itemgetter(*names) if len(names) > 1 else lambda given: tuple(given[name] for name in names)
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    long = re.findall(r"%\(long_(\w+)\)b", text)
    returns = statement.is_select or bool(compiled.effective_returning)
    return _Compiled(text, constants, ordered, long, returns)
