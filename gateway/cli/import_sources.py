"""Whose customers are elsewhere: read from a CSV file, or from the tables of a billing library, and nothing written.

The tables are those that the libraries' public schemas have: dj-stripe's model `Customer`, Pay's migration
`create_pay_tables`, Cashier's columns of a billable model, the `stripeCustomerId` of better-auth's plugin (on `user`,
and on `organization`), and `customers` in the schema `stripe` of Supabase's sync engine, where the user's id is what
the application wrote into the customer's metadata. Columns that only some versions have are looked at where they are.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.billing.customers.moving_in import Pair
from gateway.db.engines import database_url
from gateway.errors import BadInput

USERS = ("external_id", "user_id", "user")
CUSTOMERS = ("customer_id", "stripe_customer_id", "stripe_id", "customer")


@dataclass(frozen=True, slots=True)
class Library:
    """Where a library keeps whose customer is whose.

    Attributes:
        table: its name, after its schema where it has one.
        customer: the column with the customer's id at Stripe, by the names that it may have.
        user: the same of the user's id; None where it is in the metadata.
        equal: columns that must have a value; those that are not there are not looked at.
        empty: columns that must have none.
        kind: the column that says what the user is, of which one kind can be moved in.
    """

    table: str
    customer: tuple[str, ...]
    user: tuple[str, ...] | None = ("id",)
    equal: tuple[tuple[str, Any], ...] = ()
    empty: tuple[str, ...] = ()
    kind: str | None = None


LIBRARIES = {
    "dj-stripe": Library("djstripe_customer", ("id",), ("subscriber_id",), empty=("date_purged",)),
    "pay": Library(
        "pay_customers",
        ("processor_id",),
        ("owner_id",),
        equal=(("processor", "stripe"),),
        empty=("deleted_at", "stripe_account"),
        kind="owner_type",
    ),
    "cashier": Library("users", ("stripe_id",)),
    "better-auth": Library("user", ("stripeCustomerId", "stripe_customer_id")),
    "supabase": Library("stripe.customers", ("id",), None),
}


def from_csv(file: Path) -> Iterator[Pair]:
    """Read a CSV file with a line of headings.

    Raises:
        BadInput: it cannot be read, or lacks a column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            names = [(name or "").strip() for name in rows.fieldnames or ()]
            user, customer = (_one_of(wanted, names, str(file)) for wanted in (USERS, CUSTOMERS))
            rows.fieldnames = names
            for row in rows:
                yield Pair((row[user] or "").strip(), (row[customer] or "").strip())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class Where:
    """What an operator says of the other database.

    Attributes:
        url: of the database.
        livemode: the mode of the gateway's own key.
        table: instead of the library's.
        kind: of several kinds of owners.
        key: the key of the metadata.
    """

    url: str
    livemode: bool
    table: str | None = None
    kind: str | None = None
    key: str = "user_id"


def from_library(library: Library, where: Where) -> list[Pair]:
    """Read the table of a library; rows without a customer or a user are left out.

    Raises:
        BadInput: the table is not there or lacks a column, or the owners are of several kinds.
    """
    engine = sa.create_engine(database_url(where.url), hide_parameters=True)
    try:
        with engine.connect() as connection:
            return list(_read(connection, library, where))
    except sa.exc.DBAPIError as error:
        raise BadInput(f"the other database cannot be read: {error.orig}") from None
    finally:
        engine.dispose()


def _read(connection: sa.Connection, library: Library, where: Where) -> Iterator[Pair]:
    schema, _, name = (where.table or library.table).rpartition(".")
    inspector = sa.inspect(connection)
    if connection.dialect.name == "sqlite":  # which has no schemas
        schema = ""
    if not inspector.has_table(name, schema=schema or None):
        raise BadInput(f"the other database has no table {where.table or library.table}")
    names = [column["name"] for column in inspector.get_columns(name, schema=schema or None)]
    table = sa.table(name, *map(sa.column, names), schema=schema or None)
    customer = table.c[_one_of(library.customer, names, name)]
    user = table.c[_one_of(library.user or ("metadata",), names, name)]
    query = sa.select(user, customer).where(customer.is_not(None), user.is_not(None)).order_by(customer)
    equal = [*library.equal, ("livemode", where.livemode)]
    query = query.where(*(table.c[column] == value for column, value in equal if column in names))
    query = query.where(*(table.c[column].is_(None) for column in library.empty if column in names))
    if "deleted" in names:
        query = query.where(sa.func.coalesce(table.c.deleted, sa.false()).is_(sa.false()))
    if library.kind and library.kind in names:
        query = query.where(table.c[library.kind] == _kind(connection, query, table.c[library.kind], where.kind))
    for found, customer_id in connection.execute(query):
        external_id = found if library.user else _in_metadata(found, where.key)
        if external_id not in {None, ""}:
            yield Pair(str(external_id), str(customer_id))


def _kind(connection: sa.Connection, query: sa.Select[Any], column: Any, wanted: str | None) -> str:
    """Return the kind of owners to read: 1 of `User` and 1 of `Team` would be one and the same here."""
    kinds = sorted(connection.execute(query.with_only_columns(column).distinct().order_by(None)).scalars())
    if wanted is None and len(kinds) > 1:
        raise BadInput(f"the owners are of several kinds: choose by --kind, one of {', '.join(kinds)}")
    return wanted or (kinds[0] if kinds else "")


def _in_metadata(metadata: Any, key: str) -> Any:
    said = orjson.loads(metadata) if isinstance(metadata, str | bytes) else metadata
    return said.get(key) if isinstance(said, dict) else None


def _one_of(wanted: Iterable[str], names: Iterable[str], place: str) -> str:
    there = set(names)
    for name in wanted:
        if name in there:
            return name
    raise BadInput(f"{place} has no column {' or '.join(wanted)}; it has {', '.join(sorted(there)) or 'none'}")
