"""Pages: opaque cursors, and pages of a table, of many customers at once."""

import base64
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from gateway.db.queries import PreparedQuery, from_json_array, json_array
from gateway.errors import BadInput

MAX_PAGE = 100

Row = TypeVar("Row")


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
    """A page, and whether another follows it or one precedes it."""

    rows: Sequence[Row] = ()
    has_next: bool = False
    has_previous: bool = False


class Pages(Generic[Row]):
    """Reads pages of a table of which every row belongs to a customer.

    Args:
        columns: what is read.
        order: by what the rows are ordered, which tells any two apart.
        place: the values of `order` that a cursor stands for.
        conditions: which rows are shown.
    """

    def __init__(
        self,
        columns: Iterable[sa.Column[Any]],
        order: Sequence[sa.Column[Any]],
        place: Callable[[str], tuple[Any, ...]],
        *conditions: sa.ColumnElement[bool],
    ) -> None:
        self._columns, self._order, self._place, self._conditions = list(columns), order, place, conditions
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
            behind: whether there is a place, as parameters with the names of `order`.
        """
        key, size = self._order[-1], sa.bindparam("size", type_=sa.Integer)
        newest_first = [column.desc() for column in self._order]
        rows = sa.select(*self._columns).where(*self._conditions).order_by(*newest_first).limit(size)
        if behind:
            place = sa.tuple_(*(sa.bindparam(column.name, type_=column.type) for column in self._order))
            rows = rows.where(sa.tuple_(*self._order) < place)
        if not many:
            return rows.where(key.table.c.customer_id == sa.bindparam("customer", type_=sa.Text))
        asked = from_json_array(dialect, "customers")
        first = rows.where(key.table.c.customer_id == asked.c.value).correlate(asked)
        if dialect == "sqlite":  # where an inner join may begin with all rows that there are
            each = asked.outerjoin(key.table, key.in_(first.with_only_columns(key)))
            return sa.select(*self._columns).select_from(each).order_by(*newest_first)
        its = first.lateral("its")
        order = (its.c[column.name].desc() for column in self._order)
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
                newest = rows.get(request.customer_id, [])
                found[request] = Page(newest[:first], len(newest) > first, after is not None)
        return found

    def _newest(
        self, connection: sa.Connection, customers: Collection[str], first: int, after: str | None
    ) -> dict[str, list[Row]]:
        """Return the newest rows of each customer: one more than a page, to know whether another follows."""
        check_first(first)
        place: dict[str, Any] = {}
        if after is not None:
            place = dict(zip((column.name for column in self._order), self._place(after), strict=True))
        many = len(customers) > 1
        whose = {"customers": json_array(customers)} if many else {"customer": next(iter(customers))}
        reading = self._readings[many, after is not None]
        found: dict[str, list[Any]] = {}
        for row in reading.rows(connection, **whose, size=first + 1, **place):
            found.setdefault(row.customer_id, []).append(row)
        return found
