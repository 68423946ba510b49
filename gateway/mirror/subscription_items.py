"""The items of subscriptions: stored with their subscription, never without it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.db.queries import in_json_array
from gateway.db.statements import execute, insert_rows, write_rows
from gateway.db.tables import table_for
from gateway.mirror.mapping import Json
from gateway.models.mirrored import SubscriptionItem

ITEMS = table_for(SubscriptionItem)
_OF = sa.select(ITEMS).where(ITEMS.c.subscription_id.in_(sa.bindparam("ids", expanding=True)))


def items_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, Json]:
    """Read the items of some subscriptions, by subscription and item."""
    found: dict[str, Json] = {}
    if ids:
        for row in connection.execute(_OF, {"ids": [*ids]}).mappings():
            found.setdefault(row["subscription_id"], {})[row["id"]] = dict(row)
    return found


def replace_items(connection: sa.Connection, latest: Mapping[str, Sequence[Json]], *, repair: bool) -> None:
    """Store the items that each subscription came with last, and delete its others.

    Args:
        connection: a transaction.
        latest: the items, by subscription.
        repair: whether also what Stripe never changes is written: whose an item is.
    """
    if not latest:
        return
    items = sorted((item for rows in latest.values() for item in rows), key=lambda item: str(item["id"]))
    dialect = connection.dialect.name
    ids = {"subscriptions": list(latest), "items": [item["id"] for item in items]}
    listed: Json = {name: orjson.dumps(each).decode() for name, each in ids.items()}
    if dialect == "sqlite":
        execute(connection, _others(dialect), listed)
        write_rows(connection, _item_statement(dialect, repair=repair), items)
    else:  # in one journey to the database
        write_rows(connection, _item_statement(dialect, repair=repair), items, **listed)


@lru_cache
def _others(dialect: str) -> sa.Delete:
    """DELETE what some subscriptions have beside some items."""
    theirs = in_json_array(dialect, ITEMS.c.subscription_id, "subscriptions")
    return sa.delete(ITEMS).where(theirs, ~in_json_array(dialect, ITEMS.c.id, "items"))


@lru_cache
def _item_statement(dialect: str, *, repair: bool) -> Any:
    """INSERT, or UPDATE where something differs: mostly nothing does.

    Whose an item is never changes, and is indexed (see `Resource.immutable`). PostgreSQL deletes the others in the same
    statement.
    """
    statement = insert_rows(dialect, ITEMS, [column.name for column in ITEMS.c])
    if dialect == "postgresql":
        statement = statement.add_cte(_others(dialect).cte("others"))
    immutable = {"id"} if repair else {"id", "subscription_id"}
    mutable = [column.name for column in ITEMS.c if column.name not in immutable]
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: statement.excluded[name] for name in mutable},
        where=sa.or_(*(ITEMS.c[name].is_distinct_from(statement.excluded[name]) for name in mutable)),
    )
