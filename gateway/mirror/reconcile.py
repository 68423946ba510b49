"""Compare the mirror with Stripe, row by row: `gateway reconcile`.

A difference is checked twice: events that were on their way when the lists were read have arrived by then.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.errors import StripeMissing
from gateway.mirror.accounts import account_of, key_of
from gateway.mirror.fetch import fetch
from gateway.mirror.mapping import Json
from gateway.mirror.reader import Reader
from gateway.mirror.resources import RESOURCES, Resource, Unreadable
from gateway.mirror.subscription_items import items_of
from gateway.mirror.sync import Mirror
from gateway.models.retention import PERSONAL as ERASED_COLUMNS
from gateway.models.retention import Erasure
from gateway.stripe_api.client import Stripe

SECOND_LOOK_SECONDS = 2.0
ERASURES = table_for(Erasure)
MISSING, GONE = "is missing here", "is gone at Stripe"
PERSONAL = frozenset({"client_secret", "url", "customer_email", "email", "name"})
"""Columns whose values no report quotes."""
RENEWED_LINKS = frozenset({"hosted_invoice_url", "invoice_pdf"})
"""Columns with a link that expires, which each reading renews: https://docs.stripe.com/invoicing/hosted-invoice-page."""


Readers = Mapping[str | None, Reader]
"""For our own account (None) and for each connected one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the mirror is not what Stripe says.

    Args:
        kind: Stripe's `object`.
        id: the object's id.
        fields: for each column that differs, our value and Stripe's.
        finding: what is wrong where it is not a column.
        account: the connected account that has the object, where it is not our own.
    """

    kind: str
    id: str
    fields: dict[str, tuple[Any, Any]]
    finding: str | None = None
    account: str | None = None

    def __str__(self) -> str:
        """Return the difference in words."""
        words = [
            f"{name} differs" if name in PERSONAL else f"{name} is {_format(ours)} here and {_format(theirs)} at Stripe"
            for name, (ours, theirs) in sorted(self.fields.items())
        ]
        return f"{self.kind} {self.id}: " + "; ".join([self.finding] if self.finding else words)


def _format(value: Any) -> str:
    """Format a value for a line of text."""
    return value.isoformat() if isinstance(value, datetime) else orjson.dumps(value, default=str).decode()


@dataclass(frozen=True, slots=True)
class Compared:
    """How far a comparison has come: `count` objects of `kind`, and what differed among them."""

    kind: str
    count: int
    differences: tuple[Difference, ...] = ()


async def compare(
    database: Database, stripe: Stripe, accounts: Iterable[str] = (), second_look: float = SECOND_LOOK_SECONDS
) -> AsyncIterator[Compared]:
    """Compare everything that Stripe lists, and find what it no longer lists.

    Args:
        database: the mirror.
        stripe: the client.
        accounts: the connected accounts whose objects are in the mirror as well.
        second_look: after how many seconds a difference is checked again.

    Raises:
        StripeUnavailable: Stripe stays out of reach.
    """
    own = Reader(stripe)
    readers: Readers = {None: own} | {account: own.on_behalf_of(account) for account in sorted(accounts)}
    for resource in RESOURCES.values():
        if resource.synced:
            async for step in _compare_kind(database, readers, resource, second_look):
                yield step


async def repair(mirror: Mirror, stripe: Stripe, differences: Iterable[Difference]) -> None:
    """Read each object that differs from Stripe, and write what it says."""
    reader = Reader(stripe)
    for difference in differences:
        with suppress(StripeMissing):  # `refresh` has marked it as deleted, which is the repair
            whose = reader.on_behalf_of(difference.account) if difference.account else reader
            await mirror.refresh(whose, difference.kind, difference.id)


async def _compare_kind(
    database: Database, readers: Readers, resource: Resource, second_look: float
) -> AsyncIterator[Compared]:
    listed: set[str] = set()
    for account, reader in readers.items():
        async for answer in reader.pages(resource.path, **resource.list_all()):
            objects = answer.object["data"]
            listed |= {key_of(account, obj["id"]) for obj in objects}
            whole = [each for obj in objects for each in (obj, *resource.embedded(obj))]
            suspects = await _differing(database, account, whole)
            yield Compared(resource.kind, len(objects), await _look_again(database, readers, suspects, second_look))
    gone = [(resource.kind, known) for known in await _known(database, resource) if known not in listed]
    yield Compared(resource.kind, 0, await _look_again(database, readers, gone, second_look))


async def _differing(database: Database, account: str | None, objects: Sequence[Json]) -> list[tuple[str, str]]:
    """Return kind and key of the objects that the mirror does not hold as they are."""
    found = []
    for kind in dict.fromkeys(obj["object"] for obj in objects):
        resource = RESOURCES[kind]
        if not resource.path:  # it cannot be read again
            continue
        alike = {resource.id_of(obj, account): obj for obj in objects if obj["object"] == kind}
        rows, items = await _rows(database, resource, list(alike))
        found += [(kind, key) for key, obj in alike.items() if _difference(resource, key, obj, rows.get(key), items)]
    return found


async def _look_again(
    database: Database, readers: Readers, suspects: Sequence[tuple[str, str]], second_look: float
) -> tuple[Difference, ...]:
    """Return the differences that are still there when each object is read by itself."""
    if suspects:
        await asyncio.sleep(second_look)
    found = []
    for kind, suspect in suspects:
        account, object_id = account_of(suspect)
        if account not in readers:  # one that is no longer served
            continue
        obj = await _read(readers[account], RESOURCES[kind], object_id)
        rows, items = await _rows(database, RESOURCES[kind], [suspect])
        if difference := _difference(RESOURCES[kind], suspect, obj, rows.get(suspect), items):
            found.append(difference)
    return tuple(found)


async def _read(reader: Reader, resource: Resource, id: str) -> Json | None:
    """Read an object; None where Stripe has it no more."""
    with suppress(StripeMissing):
        answer = await fetch(reader, resource, id)
        if not answer.object.get("deleted"):
            return answer.object
    return None


def _difference(resource: Resource, key: str, obj: Json | None, row: Any, items: dict[str, Json]) -> Difference | None:
    """Return where an object (None: Stripe has it no more) and its row differ."""
    account, object_id = account_of(key)
    ours = None if row is None or row["deleted"] else row
    if obj is None:
        return None if ours is None else Difference(resource.kind, object_id, {}, GONE, account)
    if ours is None:
        if row is not None and resource.kind == "payment_method" and (row["_erased"] or obj["customer"] is None):
            return None  # a card that was erased here, and is nobody's at Stripe
        return Difference(resource.kind, object_id, {}, MISSING, account)
    try:
        theirs = resource.read(obj, account)
    except Unreadable:
        # a cut list: the second look has it whole
        return Difference(resource.kind, object_id, {}, "must be read by itself", account)
    their_items = {item["id"]: item for item in theirs.pop("_items", ())}
    compared = theirs.keys() - _not_compared(resource, ours)
    fields = {name: (ours[name], theirs[name]) for name in compared if _differ(name, ours[name], theirs[name])}
    if resource.kind == "customer" and account is None and (owner := theirs["meta"].get("external_id")):
        fields |= {"external_id": (ours["external_id"], owner)} if ours["external_id"] != owner else {}
    our_items = items.get(key, {})
    for item_id in sorted({*their_items, *our_items}):
        one, other = our_items.get(item_id, {}), their_items.get(item_id, {})
        fields |= {
            f"{item_id}.{name}": (one.get(name), other.get(name))
            for name in sorted({*one, *other})
            if one.get(name) != other.get(name)
        }
    return Difference(resource.kind, object_id, fields, account=account) if fields else None


def _not_compared(resource: Resource, ours: Mapping[str, Any]) -> set[str]:
    """Return the columns of a row that need not be as Stripe has them."""
    found = {name for name in ("entitlements", "entitlement_names") if ours.get(name, ()) is None}
    if ours["_erased"]:  # what Stripe keeps of a person is not wanted here
        found |= {*ERASED_COLUMNS.get(str(resource.table.__tablename__), ())}
    if resource.kind == "promotion_code" and ours["active"] and (ours["expires_at"] or ours["max_redemptions"]):
        found.add("active")  # that it expired or was used up, no event says
    return found


async def _rows(database: Database, resource: Resource, ids: Sequence[str]) -> tuple[dict[str, Any], dict[str, Json]]:
    """Read the rows of some objects, and the items of those that are subscriptions."""
    table = table_for(resource.table)

    def read(connection: sa.Connection) -> tuple[dict[str, Any], dict[str, Json]]:
        erased = set(connection.execute(sa.select(ERASURES.c.customer_id).where(ERASURES.c.rows)).scalars())
        found = connection.execute(sa.select(table).where(table.c.id.in_(ids)))
        rows = {row["id"]: dict(row) for row in found.mappings()}
        for row in rows.values():
            row["_erased"] = row.get("customer_id") in erased
        return rows, items_of(connection, ids) if resource.kind == "subscription" else {}

    return await database.read(read)


async def _known(database: Database, resource: Resource) -> Sequence[str]:
    """Read the ids of the rows that are not deleted."""
    table = table_for(resource.table)
    query = sa.select(table.c.id).where(table.c.deleted.is_(False))
    return await database.read(lambda connection: connection.execute(query).scalars().all())


def _differ(column: str, ours: Any, theirs: Any) -> bool:
    """Return whether two values say different things; of two links it is enough that there are two."""
    return bool(ours) != bool(theirs) if column in RENEWED_LINKS else bool(ours != theirs)
