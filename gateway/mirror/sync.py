"""Keep the copy true: a guarded write for each way in which an object reaches us.

Every mirrored row says what it knows in Stripe's time: its state includes all that happened before `as_of - as_of_lag`
and nothing that happened after `as_of`, both in whole seconds of Stripe's clock. From that follows, whatever order
things arrive in:

- an event later than `as_of` is newer: its payload is written;
- one earlier than `as_of - as_of_lag` is older: the state stays;
- in between nobody can tell: unless the payload says what the row says already, the object is fetched;
- a deletion, and a final status, is never undone.

The guards stand in the SQL statement itself, so that the database serialises whoever comes at the same moment.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import select

from gateway.database import Database, insert, table_of
from gateway.errors import StripeMissing, StripeUnavailable
from gateway.mirror.resources import RESOURCES, Json, Resource, Unreadable
from gateway.models import CatalogVersion, Price, Product, SubscriptionItem
from gateway.stripe_client import Answer, Stripe

REFRESH_TRIES = 5


class Outcome(StrEnum):
    """What became of an object that was offered to the mirror."""

    CREATED = "created"
    UPDATED = "updated"
    STALE = "stale"
    UNCLEAR = "unclear"
    """Its place in time cannot be told; only a fetch can."""


async def store_event(
    connection: AsyncConnection, resource: Resource, obj: Json, *, created: int, deleted: bool = False
) -> Outcome:
    """Write the object that an event carries, if it is newer than what is there.

    Args:
        connection: the transaction that also marks the event.
        resource: how this kind is mirrored.
        obj: the event's `data.object`.
        created: the event's `created`, Unix seconds.
        deleted: whether the event says that the object is gone.

    Raises:
        Unreadable: the payload must be fetched.
    """
    columns = resource.read(obj)
    table = table_of(resource.table)
    final = deleted or columns.get("status") in resource.final
    # What is final is true whenever it was said; everything else must be newer than what we know.
    newer = table.c.as_of < created
    guard = sa.or_(newer, _open(resource)) if final else sa.and_(newer, _open(resource))
    outcome = await _upsert(
        connection, resource, obj["id"], columns, as_of=created, lag=0, guard=guard, deleted=deleted
    )
    return outcome or await _place(connection, resource, obj["id"], columns, created)


async def store_read(connection: AsyncConnection, answer: Answer, obj: Json) -> Outcome:
    """Write an object that Stripe answered with, in a list or to a POST.

    Args:
        connection: a transaction.
        answer: the answer that holds the object, for its time.
        obj: the object.

    Returns:
        UNCLEAR when something was written within the duration of the call, or the payload is not whole: then `refresh`.
    """
    resource = RESOURCES[obj["object"]]
    table = table_of(resource.table)
    try:
        columns = resource.read(obj)
    except Unreadable:
        return Outcome.UNCLEAR
    before = answer.as_of - answer.as_of_lag
    # A replayed answer is as old as the call that it repeats: it may fill a gap, never overwrite.
    guard = sa.false() if answer.replayed else sa.and_(table.c.as_of < before, _open(resource))
    outcome = await _upsert(
        connection, resource, obj["id"], columns, as_of=answer.as_of, lag=answer.as_of_lag, guard=guard
    )
    if outcome is None and answer.replayed:
        return Outcome.UNCLEAR
    return outcome or await _place(connection, resource, obj["id"], columns, before)


async def store_answer(database: Database, stripe: Stripe, answer: Answer) -> None:
    """Write the object that a call to Stripe answered with, and what came expanded within it.

    What has no clear place in time is read again.

    Raises:
        StripeUnavailable: when something had to be read again and Stripe did not answer.
    """
    await settle(database, stripe, await store_page(database, answer, [answer.object]))


async def store_page(database: Database, answer: Answer, objects: Iterable[Json]) -> list[Json]:
    """Write the objects of an answer, and what came expanded within them, in one transaction.

    Returns:
        those that must be refreshed, because their place in time is unclear or their payload is not whole.
    """
    async with database.write() as connection:
        return [
            obj
            for whole in objects
            for obj in (whole, *RESOURCES[whole["object"]].embedded(whole))
            if await store_read(connection, answer, obj) is Outcome.UNCLEAR
        ]


async def settle(database: Database, stripe: Stripe, unclear: Iterable[Json]) -> None:
    """Read again what `store_page` could not place."""
    for obj in unclear:
        with suppress(StripeMissing):  # gone meanwhile, which `refresh` has written down
            await refresh(database, stripe, obj["object"], obj["id"])


async def refresh(database: Database, stripe: Stripe, kind: str, id: str) -> Outcome:
    """Read one object from Stripe and write what it says now.

    The row's `revision` is noted before the call and must be the same after it: otherwise something newer may have been
    written meanwhile, and the object is read again. No transaction is open during the call.

    Raises:
        StripeMissing: Stripe knows no such object; a row of ours is then marked as deleted.
        StripeUnavailable: Stripe cannot be reached, or the object changes faster than it can be read.
        Unreadable: Stripe's answer at the pinned version cannot be read, which is a fault of ours.
    """
    resource = RESOURCES[kind]
    for _ in range(REFRESH_TRIES):
        seen = await _revision(database, resource, id)
        try:
            answer = await fetch(stripe, resource, id)
        except StripeMissing:
            await _bury(database, resource, id, seen)
            raise
        if answer.object.get("deleted"):
            await _bury(database, resource, id, seen)
            return Outcome.UPDATED
        outcome = await _store_fetched(database, answer, seen)
        if outcome is not None:
            await settle(database, stripe, await store_page(database, answer, resource.embedded(answer.object)))
            return outcome
    raise StripeUnavailable(f"{kind} {id} changes faster than it can be read; try again")


async def fetch(stripe: Stripe, resource: Resource, id: str) -> Answer:
    """Read one object whole: with the fields that must be asked for, and with every page of its embedded lists."""
    expand = [*resource.expand, *resource.embeds]
    answer = await stripe.get(f"{resource.path}/{id}", **({"expand": expand} if expand else {}))
    for name in resource.lists:
        page = answer.object.get(name) or {}
        while page.get("has_more"):
            more = await stripe.get(page["url"], limit=100, starting_after=page["data"][-1]["id"])
            page = {**page, "data": page["data"] + more.object["data"], "has_more": more.object["has_more"]}
            answer.object[name] = page
    return answer


async def _store_fetched(database: Database, answer: Answer, seen: int | None) -> Outcome | None:
    """Write a fetched object if the row is still as it was before the fetch; None if it is not."""
    obj = answer.object
    resource = RESOURCES[obj["object"]]
    table = table_of(resource.table)
    guard = sa.false() if seen is None else table.c.revision == seen
    async with database.write() as connection:
        return await _upsert(
            connection, resource, obj["id"], resource.read(obj), as_of=answer.as_of, lag=answer.as_of_lag, guard=guard
        )


async def _upsert(
    connection: AsyncConnection,
    resource: Resource,
    id: str,
    columns: Json,
    *,
    as_of: int,
    lag: int,
    guard: Any,
    deleted: bool = False,
) -> Outcome | None:
    """Insert the row, or update it where `guard` allows; None when the guard refused."""
    table = table_of(resource.table)
    values = {name: value for name, value in columns.items() if name != "_items"}
    statement = insert(connection, table).values(
        id=id, as_of=as_of, as_of_lag=lag, revision=1, deleted=deleted, **{**_blanks(resource), **values}
    )
    newer = sa.case((table.c.as_of > as_of, table.c.as_of), else_=as_of)
    statement = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **values,
            "as_of": newer,
            "as_of_lag": sa.case((table.c.as_of > as_of, table.c.as_of_lag), else_=lag),
            "revision": table.c.revision + 1,
            "deleted": sa.or_(table.c.deleted, sa.literal(deleted)),
        },
        where=guard,
    ).returning(table.c.revision)
    revision = (await connection.execute(statement)).scalar()
    if revision is None:
        return None
    if "_items" in columns:
        await _replace_items(connection, id, columns["_items"])
    if resource.table in (Product, Price):
        await _bump_catalog(connection)
    return Outcome.CREATED if revision == 1 else Outcome.UPDATED


async def _place(connection: AsyncConnection, resource: Resource, id: str, columns: Json, moment: int) -> Outcome:
    """Why the guard refused: the row is final or surely newer (STALE), or nobody can tell (UNCLEAR)."""
    table = table_of(resource.table)
    row = (await connection.execute(sa.select(table).where(table.c.id == id))).mappings().one()
    if row["deleted"] or row.get("status") in resource.final or moment < row["as_of"] - row["as_of_lag"]:
        return Outcome.STALE
    told = {name: value for name, value in columns.items() if name != "_items"}
    if any(row[name] != value for name, value in told.items()):
        return Outcome.UNCLEAR
    return Outcome.STALE if "_items" not in columns or await _same_items(connection, id, columns) else Outcome.UNCLEAR


async def _same_items(connection: AsyncConnection, id: str, columns: Json) -> bool:
    """Whether the subscription's items are the stored ones."""
    items = table_of(SubscriptionItem)
    rows = (await connection.execute(sa.select(items).where(items.c.subscription_id == id))).mappings()
    return {row["id"]: dict(row) for row in rows} == {item["id"]: item for item in columns["_items"]}


async def _replace_items(connection: AsyncConnection, id: str, rows: Iterable[Json]) -> None:
    """A subscription's items are those that it came with, and no others."""
    table = table_of(SubscriptionItem)
    await connection.execute(sa.delete(table).where(table.c.subscription_id == id))
    if items := list(rows):
        await connection.execute(sa.insert(table), items)


async def _bump_catalog(connection: AsyncConnection) -> None:
    """Let every process know that its snapshot of the catalogue is out of date."""
    catalog = table_of(CatalogVersion)
    await connection.execute(sa.update(catalog).values(version=catalog.c.version + 1, changed_at=datetime.now(UTC)))


async def _revision(database: Database, resource: Resource, id: str) -> int | None:
    async with database.read() as session:
        return (await session.exec(select(resource.table.revision).where(resource.table.id == id))).first()


async def _bury(database: Database, resource: Resource, id: str, seen: int | None) -> None:
    """Mark a row as deleted, because Stripe says that there is no such object."""
    table = table_of(resource.table)
    async with database.write() as connection:
        result = await connection.execute(
            sa.update(table)
            .where(table.c.id == id, table.c.revision == seen, table.c.deleted.is_(False))
            .values(deleted=True, revision=table.c.revision + 1)
        )
        if result.rowcount and resource.table in (Product, Price):
            await _bump_catalog(connection)


def _open(resource: Resource) -> Any:
    """The condition that a row can still change."""
    table = table_of(resource.table)
    if not resource.final:
        return table.c.deleted.is_(False)
    return sa.and_(table.c.deleted.is_(False), table.c.status.not_in(resource.final))


def _blanks(resource: Resource) -> Json:
    """Values of the columns that may not be null and that this payload may not speak for."""
    return {"tiers": [], "currency_options": {}} if resource.table is Price else {}
