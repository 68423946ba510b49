"""Pages: opaque cursors, and pages of tables, the newest rows first; of one list, or of many customers at once."""

import base64
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from gateway.db.database import Database
from gateway.db.queries import PreparedQuery, from_json_array, json_array
from gateway.errors import BadInput
from gateway.models.columns import UtcDateTime

MAX_PAGE = 100
MAX_DIGITS = 18  # of a number that the database holds in 64 bits
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = TypeVar("Row")
Found = dict[str, Any]
"""One row of a list, by the names of its columns."""


def encode_cursor(place: str) -> str:
    """Return the opaque cursor of a place in a list."""
    return base64.urlsafe_b64encode(place.encode()).decode()


def decode_cursor(cursor: str) -> str:
    """Return the place that a cursor stands for.

    Raises:
        BadInput: it is no cursor.
    """
    try:
        return base64.urlsafe_b64decode(cursor.encode()).decode()
    except ValueError:
        raise bad_cursor() from None


def bad_cursor() -> BadInput:
    """Return the error for a cursor that a list does not have."""
    return BadInput("`after` is no cursor of this list, or its item is gone; start again without it")


def check_first(first: int) -> None:
    """Refuse a page size that is out of range.

    Raises:
        BadInput: `first` is not 1 to 100.
    """
    if not 1 <= first <= MAX_PAGE:
        raise BadInput(f"`first` must be 1 to {MAX_PAGE}")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of what a customer has.

    Attributes:
        customer_id: whose.
        first: how many, 1 to 100.
        after: the cursor of the last row of the page before.
    """

    customer_id: str
    first: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A page of a list.

    Attributes:
        rows: what is on it.
        has_next: whether another page follows it.
        has_previous: whether one precedes it.
        cursor_of: returns the cursor of a row.
    """

    rows: Sequence[Row]
    has_next: bool
    has_previous: bool
    cursor_of: Callable[[Row], str]


class Order:
    """The order of a list, the newest first, and the cursors of its rows.

    A cursor holds the row's own values of the columns, so its place stays when that row or another one goes.

    Args:
        columns: moments, numbers or texts that together tell any two rows apart; only the last may have spaces in it.
        kind: what the cursors begin with, where a row's values alone might be those of a row of another list.
    """

    def __init__(self, *columns: sa.ColumnElement[Any], kind: str = "") -> None:
        self.columns = columns
        self.newest_first = [column.desc() for column in columns]
        place = (sa.bindparam(column.key, type_=_bound(column.type)) for column in columns)
        self.behind = sa.tuple_(*columns) < sa.tuple_(*place)
        self._kind = [kind] if kind else []

    def cursor_of(self, row: Any) -> str:
        """Return the opaque cursor of a row: a dictionary of the columns, or an object that has them."""
        read: Callable[[Any], Any] = row.__getitem__ if isinstance(row, dict) else partial(getattr, row)
        values = (read(column.key) for column in self.columns)
        return encode_cursor(" ".join([*self._kind, *map(_written, values)]))

    def place(self, cursor: str) -> dict[str, Any]:
        """Return the parameters of `behind`, the condition of the rows that stand behind a cursor.

        Raises:
            BadInput: it is no cursor of this list.
        """
        kind, texts = len(self._kind), decode_cursor(cursor).split(" ", len(self._kind) + len(self.columns) - 1)
        try:
            if texts[:kind] == self._kind:
                columns = zip(self.columns, texts[kind:], strict=True)
                return {str(column.key): _read(column.type, text) for column, text in columns}
        except (ValueError, OverflowError):
            pass
        raise bad_cursor()


def _bound(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return as what a value is sent: PostgreSQL fails at a number that is too big for the type of its column."""
    return sa.BigInteger() if isinstance(kind, sa.Integer) else kind


def _written(value: Any) -> str:
    """Return a value as cursors have it: a moment as its seconds, with their parts only where there are any."""
    if not isinstance(value, datetime):
        return str(value)
    seconds, rest = divmod(value - EPOCH, timedelta(seconds=1))
    return f"{seconds}.{rest.microseconds:06}" if rest else str(seconds)


def _read(kind: sa.types.TypeEngine[Any], text: str) -> Any:
    """Return the value of a column that a cursor has.

    Raises:
        ValueError: it is none.
        OverflowError: it is a moment that no calendar has.
    """
    if isinstance(kind, UtcDateTime):
        seconds, _, parts = text.partition(".")
        return EPOCH + timedelta(seconds=int(seconds), microseconds=int(parts or 0))
    number = isinstance(kind, sa.Integer)
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS if number else text and text.isprintable()):
        raise ValueError(text)
    return int(text) if number else text


async def newest(
    database: Database,
    query: sa.Select[Any],
    order: Order,
    first: int,
    after: str | None,
    *,
    make: Callable[..., Row],
) -> Page[Row]:
    """Return a page of a query.

    Args:
        database: the mirror.
        query: what is listed, without an order; it has the columns of the order.
        order: of the list.
        first: how many, 1 to 100.
        after: the cursor of the last row of the page before.
        make: makes a row of its columns.

    Raises:
        BadInput: `first` is out of range, or `after` is no cursor.
    """
    check_first(first)
    place = {} if after is None else order.place(after)
    chosen = query.where(order.behind) if place else query
    wanted = chosen.order_by(*order.newest_first).limit(first + 1)

    def read(connection: sa.Connection) -> Sequence[Row]:
        return [make(**row) for row in connection.execute(wanted, place).mappings()]

    return _page(await database.read(read), order, first, after)


def _page(rows: Sequence[Row], order: Order, first: int, after: str | None) -> Page[Row]:
    """Return a page of rows of which one more was read than it shows."""
    return Page(rows[:first], len(rows) > first, after is not None, order.cursor_of)


class Pages(Generic[Row]):
    """Reads pages of a table of which every row belongs to a customer.

    Args:
        columns: what is read.
        order: of the rows; its last column is of their table.
        conditions: which rows are shown.
    """

    def __init__(
        self, columns: Iterable[sa.ColumnElement[Any]], order: Order, *conditions: sa.ColumnElement[bool]
    ) -> None:
        self._columns, self._conditions = list(columns), conditions
        self.order = order
        self.empty: Page[Row] = _page((), order, 0, None)
        self._readings = {
            (many, behind): PreparedQuery(partial(self._select, many=many, behind=behind))
            for many in (False, True)
            for behind in (False, True)
        }

    def _select(self, dialect: str, *, many: bool, behind: bool) -> sa.Select[Any]:
        """Return the first rows of one customer, or of each of many, behind a place if there is one.

        Each customer's are searched by themselves, because only so do they lie in an index in their order. Of one that
        it knows, PostgreSQL knows also how many these are, and goes through the index rather than through all.

        Args:
            dialect: of the connection.
            many: whether there may be several customers, as the list `customers`; else there is one, `customer`.
            behind: whether there is a place, as parameters with the names of the order's columns.
        """
        key = self.order.columns[-1]
        table = key.table
        rows = (
            sa.select(*self._columns)
            .where(*self._conditions)
            .order_by(*self.order.newest_first)
            .limit(sa.bindparam("size"))
        )
        if behind:
            rows = rows.where(self.order.behind)
        if not many:
            return rows.where(table.c.customer_id == sa.bindparam("customer"))
        asked = from_json_array(dialect, "customers")
        first = rows.where(table.c.customer_id == asked.c.value).correlate(asked)
        if dialect == "sqlite":  # where an inner join may begin with all rows that there are
            each = asked.outerjoin(table, key.in_(first.with_only_columns(key)))
            return sa.select(*self._columns).select_from(each).order_by(*self.order.newest_first)
        its = first.lateral("its")
        order = (its.c[str(column.key)].desc() for column in self.order.columns)
        return sa.select(*its.c).select_from(asked.join(its, sa.true())).order_by(*order)

    def read(self, connection: sa.Connection, requests: Iterable[PageRequest]) -> dict[PageRequest, Page[Row]]:
        """Return pages of many customers, with one query for all requests of the same `first` and `after`.

        Raises:
            BadInput: `first` is out of range, or `after` is no cursor.
        """
        groups: dict[tuple[int, str | None], list[PageRequest]] = {}
        for request in requests:
            groups.setdefault((request.first, request.after), []).append(request)
        found: dict[PageRequest, Page[Row]] = {}
        for (first, after), group in groups.items():
            rows = self._newest(connection, {each.customer_id for each in group}, first, after)
            for request in group:
                found[request] = _page(rows.get(request.customer_id, []), self.order, first, after)
        return found

    def _newest(
        self, connection: sa.Connection, customers: Collection[str], first: int, after: str | None
    ) -> Mapping[str, list[Row]]:
        """Return the newest rows of each customer: one more than a page, to know whether another follows."""
        check_first(first)
        place = {} if after is None else self.order.place(after)
        many = len(customers) > 1
        whose = {"customers": json_array(customers)} if many else {"customer": next(iter(customers))}
        reading = self._readings[many, after is not None]
        found: dict[str, list[Any]] = {}
        for row in reading.rows(connection, **whose, size=first + 1, **place):
            found.setdefault(row.customer_id, []).append(row)
        return found
