"""What the tables are made of: the UTC type, and the columns that every mirrored row has."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Dialect
from sqlmodel import Field, SQLModel
from sqlmodel.main import SQLModelMetaclass


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment in UTC. SQLite gives naive datetimes back; here every value that leaves the database is aware.

    Raises:
        ValueError: when a naive datetime is written, because its moment would be a guess.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values and write UTC."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime ({value}) has no moment; give it a timezone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give UTC back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class TableOnly(SQLModelMetaclass):
    """Makes the table of a class with `table=True`, as SQLModel does, but does not map it for the ORM.

    Core reads and writes all rows; decision 0038 has what a mapping would cost.
    """

    def __init__(cls, name: str, bases: tuple[type, ...], given: dict[str, Any], **options: Any) -> None:  # noqa: N805
        type.__init__(cls, name, bases, given)  # past SQLModel's own, which maps
        if options.get("table"):
            columns = {field: getattr(cls, field) for field in cls.model_fields}
            for field, column in columns.items():
                column.name = column.key = field
            more = given.get("__table_args__", ())
            cls.__table__ = sa.Table(given["__tablename__"], cls.metadata, *columns.values(), *more)


class Row(SQLModel, metaclass=TableOnly):
    """A row of any table. Nothing is validated by these classes: their validators (1 MB) are built if asked for."""

    __table__: ClassVar[sa.Table]
    model_config = {"defer_build": True}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute as pydantic does: SQLModel would tell the ORM."""
        BaseModel.__setattr__(self, name, value)


class Mirrored(Row):
    """What every mirrored object carries so that arrival order never decides its state.

    `as_of` is a moment on Stripe's clock in whole Unix seconds: the `created` of the event that was applied, or the
    `Date` of the response that was fetched. The state may have been read up to `staleness_seconds` before it (0 for an
    event, the duration of the call for a fetch). `revision` grows with every write. `deleted` is final.
    """

    id: str = Field(primary_key=True)
    as_of: int = Field(sa_type=sa.BigInteger)
    staleness_seconds: int = Field(default=0)
    revision: int = Field(default=1)
    deleted: bool = Field(default=False)


def partial_index(name: str, *columns: str, where: str) -> sa.Index:
    """Declare an index over a part of a table.

    `migrations/env.py` tells both databases the condition: whoever names a database's option here imports its dialect,
    2 MB that the other one has no use for.
    """
    return sa.Index(name, *columns, info={"where": sa.text(where)})


@lru_cache(1024)  # of one object, and of one storm, many moments are the same
def utc(seconds: int | None) -> datetime | None:
    """Return Stripe's Unix seconds as an aware UTC datetime; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


PENDING: sa.ColumnElement[str] = sa.literal_column("'pending'")
"""In a condition that SQLite is to find by an index over what is pending: for a parameter it looks at every row."""

OPEN_PREDICATE = "status IN ('pending', 'dead')"
"""Of a usage record or delivery. SQLite uses a partial index only for a query that repeats its predicate literally."""
