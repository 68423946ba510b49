"""The guarded write: many rows in one statement, each only where it may not undo something newer.

The guard stands in the statement itself, so that the database serialises whoever comes at the same moment. Rows are
locked in one order (table, then id) by every process, so that two groups wait for each other in turn and do not block.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from gateway.db.notifications import publish
from gateway.db.queries import PreparedQuery, in_json_array, json_array
from gateway.db.statements import insert_rows, write_rows
from gateway.db.tables import table_for
from gateway.mirror.effects import Effect, Written
from gateway.mirror.mapping import Json
from gateway.mirror.resources import RESOURCES, Resource
from gateway.mirror.subscription_items import items_of, replace_items
from gateway.models.columns import Mirrored
from gateway.models.infra import CatalogChange, CatalogVersion

CATALOG_TABLES = ("product", "price")
MAX_CATALOG_CHANGES = 1_000
"""How many versions of the catalogue say which rows they changed."""
VERSION, CHANGES = table_for(CatalogVersion), table_for(CatalogChange)


class WriteResult(StrEnum):
    """What became of an object that was offered to the mirror."""

    CREATED = "created"
    UPDATED = "updated"
    STALE = "stale"
    UNCLEAR = "unclear"
    """Its place in time cannot be told; only a fetch can."""


class Guard(StrEnum):
    """Under which condition an existing row is overwritten."""

    NEWER = "newer"
    """What is offered was true after all that the row knows, or is final."""
    NEVER = "never"
    """It may fill a gap, nothing more."""
    UNCHANGED = "unchanged"
    """The row is still at the revision `seen`."""


class Candidate(NamedTuple):
    """An object on its way into the mirror.

    Args:
        resource: how its kind is mirrored.
        id: the object's id in the mirror.
        columns: what the payload says (`_items`: a subscription's items).
        as_of: the moment on Stripe's clock, in Unix seconds.
        lag: how many seconds before `as_of` the state may have been read.
        deleted: whether the object is gone.
        account: the connected account that has it; None for our own.
    """

    resource: Resource
    id: str
    columns: Json
    as_of: int
    lag: int = 0
    deleted: bool = False
    account: str | None = None

    @property
    def row(self) -> tuple[str, str]:
        """Which row it is about; a plan and a price share one."""
        return str(self.resource.table.__tablename__), self.id


def upsert(
    connection: sa.Connection,
    candidates: Sequence[Candidate],
    effects: Sequence[Effect],
    guard: Guard = Guard.NEWER,
    seen: int | None = None,
) -> list[WriteResult]:
    """Write what the guard lets through; a result for each candidate, in their order.

    Args:
        connection: a transaction.
        candidates: several may be about one row; they are then written in the order of their time.
        effects: write what follows from the rows that were written.
        guard: the condition.
        seen: the revision of `Guard.UNCHANGED`.
    """
    written: dict[int, WriteResult] = {}
    for batch in _batches(candidates):
        first = candidates[batch[0]]
        dialect = connection.dialect.name
        statement = _statement(dialect, first.resource.kind, frozenset(first.columns), guard)
        places = {candidates[place].id: place for place in batch}
        values = [_values(candidates[place]) for place in batch]
        more = {"seen": seen} if guard is Guard.UNCHANGED else {}
        for object_id, revision in write_rows(connection, statement, values, _revision(first.resource.table), **more):
            written[places[object_id]] = WriteResult.CREATED if revision == 1 else WriteResult.UPDATED
    accepted = [candidates[place] for place in written]  # of one row in the order of their time, as effects need them
    latest = {
        candidate.id: candidate.columns["_items"]
        for candidate in sorted(accepted, key=lambda candidate: candidate.as_of)
        if "_items" in candidate.columns
    }
    replace_items(connection, latest, repair=guard is not Guard.NEWER)
    _publish_changes(connection, [candidate for candidate in accepted if candidate.account is None])
    rows = [
        Written(candidate.resource.kind, candidate.id, candidate.columns, written[place] is WriteResult.CREATED)
        for place, candidate in zip(written, accepted, strict=True)
        if candidate.account is None  # what connected accounts do has no consequences here
    ]
    for effect in effects:
        effect(connection, rows)
    refused = [candidate for place, candidate in enumerate(candidates) if place not in written]
    reasons = iter(_classify_rejected(connection, refused))
    return [written.get(place) or next(reasons) for place in range(len(candidates))]


def _batches(candidates: Sequence[Candidate]) -> Iterable[list[int]]:
    """Places of the candidates that one statement can write: one table, the same columns, each row once, in order."""
    repeats: Counter[tuple[str, str]] = Counter()
    batches: defaultdict[tuple[int, str, tuple[str, ...]], list[tuple[str, int]]] = defaultdict(list)
    for place in sorted(range(len(candidates)), key=lambda place: candidates[place].as_of):
        candidate = candidates[place]
        row = candidate.row
        batches[repeats[row], row[0], tuple(candidate.columns)].append((candidate.id, place))
        repeats[row] += 1
    for _, batch in sorted(batches.items()):
        yield [place for _, place in sorted(batch)]


def _values(candidate: Candidate) -> Json:
    """Return the row as it is inserted."""
    # the defaults come first: `deleted` and `staleness_seconds` have one too, and are the candidate's to say
    values = {
        **_defaults(candidate.resource.table),
        **candidate.columns,
        "id": candidate.id,
        "as_of": candidate.as_of,
        "staleness_seconds": candidate.lag,
        "revision": 1,
        "deleted": candidate.deleted,
    }
    values.pop("_items", None)
    return values


@cache
def _defaults(model: type[Mirrored]) -> Json:
    """Return what a new row holds in columns that its payload does not name, such as a plan's `custom_unit_amount`."""
    defaults = {column.name: column.default for column in table_for(model).c if column.default is not None}
    return {
        name: default.arg if default.is_scalar else default.arg(None)  # type: ignore[attr-defined]  # one of the two
        for name, default in defaults.items()
    }


@lru_cache(maxsize=256)
def _statement(dialect: str, kind: str, names: frozenset[str], guard: Guard) -> Any:
    return _guarded(dialect, kind, names, guard)  # a decorated function is not mutated, and this one matters most


def _guarded(dialect: str, kind: str, names: frozenset[str], guard: Guard) -> Any:
    """INSERT, or UPDATE where the guard allows."""
    resource = RESOURCES[kind]
    table = table_for(resource.table)
    known = {"id", "as_of", "staleness_seconds", "revision", "deleted", *_defaults(resource.table), *names} - {"_items"}
    statement = insert_rows(dialect, table, sorted(known))
    new = statement.excluded
    is_open: sa.ColumnElement[bool] = table.c.deleted.is_(False)
    newer: sa.ColumnElement[bool] = table.c.as_of < new.as_of - new.staleness_seconds
    if resource.final_statuses:  # what is final is true whenever it was said
        is_open = sa.and_(is_open, *(table.c.status != status for status in resource.final_statuses))
        newer = sa.or_(newer, *(new.status == status for status in resource.final_statuses))
    where = {
        Guard.NEWER: sa.and_(is_open, sa.or_(newer, new.deleted)),
        Guard.NEVER: sa.false(),
        Guard.UNCHANGED: table.c.revision == sa.bindparam("seen", type_=sa.Integer),
    }[guard]
    later = table.c.as_of > new.as_of
    written = names - {"_items"} - (set(resource.immutable) if guard is Guard.NEWER else set())  # a repair writes all
    is_anew = resource.named_by_seller and guard is Guard.UNCHANGED  # Stripe has just said that it is there
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **{name: new[name] for name in written},
            "as_of": sa.case((later, table.c.as_of), else_=new.as_of),
            "staleness_seconds": sa.case((later, table.c.staleness_seconds), else_=new.staleness_seconds),
            "revision": table.c.revision + 1,
            "deleted": new.deleted if is_anew else sa.or_(table.c.deleted, new.deleted),
        },
        where=where,
    )


@cache
def _revision(model: type[Mirrored]) -> Sequence[sa.Column[Any]]:
    """Return the columns by which a row tells that it was written, and whether for the first time."""
    table = table_for(model)
    return table.c.id, table.c.revision


def _classify_rejected(connection: sa.Connection, refused: Sequence[Candidate]) -> list[WriteResult]:
    """Return why the guard refused: the row is final or surely newer (STALE), or nobody can tell (UNCLEAR)."""
    rows: dict[tuple[str, str], Any] = {}
    for table in {table_for(candidate.resource.table) for candidate in refused}:
        ids = json_array(candidate.id for candidate in refused if candidate.row[0] == table.name)
        rows |= {(table.name, row.id): row for row in _by_id(table).rows(connection, ids=ids)}
    items = items_of(connection, [candidate.id for candidate in refused if "_items" in candidate.columns])
    return [_classify(candidate, rows[candidate.row], items) for candidate in refused]


@cache
def _by_id(table: sa.Table) -> PreparedQuery:
    return PreparedQuery(lambda dialect: sa.select(table).where(in_json_array(dialect, table.c.id, "ids")))


def _classify(candidate: Candidate, row: Any, items: dict[str, Json]) -> WriteResult:
    if row.deleted and candidate.resource.named_by_seller and not candidate.deleted:
        return WriteResult.UNCLEAR if candidate.as_of >= row.as_of else WriteResult.STALE  # of that name, a new one?
    if row.deleted or getattr(row, "status", None) in candidate.resource.final_statuses:
        return WriteResult.STALE
    if candidate.as_of < row.as_of - row.staleness_seconds:  # at its latest it was read before all that the row knows
        return WriteResult.STALE
    columns = dict(candidate.columns)
    same = items.get(candidate.id, {}) == {item["id"]: item for item in columns.pop("_items", ())}
    return (
        WriteResult.STALE
        if same and all(getattr(row, name) == value for name, value in columns.items())
        else WriteResult.UNCLEAR
    )


def _publish_changes(connection: sa.Connection, accepted: Sequence[Candidate]) -> None:
    """Publish whose state has changed."""
    topics = set()
    for candidate in accepted:
        kind, customer = candidate.resource.kind, candidate.columns.get("customer_id")
        if customer or "customer" in {kind, candidate.resource.owner}:
            topics.add(f"customer:{customer or candidate.id}")
        if kind == "checkout.session":
            topics.add(f"session:{candidate.id}")
            if user := candidate.columns.get("client_reference_id"):
                topics.add(f"user:{user}")  # whose customer its own may become
    publish(connection, *topics)
    bump_catalog(connection, [candidate.row for candidate in accepted])


def bump_catalog(connection: sa.Connection, rows: Iterable[tuple[str, str]]) -> None:
    """Let every process know which rows of its snapshot of the catalogue are out of date.

    Args:
        connection: the transaction that changes them.
        rows: each as its table and its id; those of other tables are left out.
    """
    changed = {table: set[str]() for table in CATALOG_TABLES}
    for table, key in rows:
        if table in changed:
            changed[table].add(key)
    if not any(changed.values()):
        return
    now = datetime.now(UTC)
    ((version,),) = connection.execute(
        sa.update(VERSION).values(version=VERSION.c.version + 1, changed_at=now).returning(VERSION.c.version)
    )
    products, prices = (sorted(changed[table]) for table in CATALOG_TABLES)
    connection.execute(sa.insert(CHANGES).values(version=version, products=products, prices=prices))
    if version % 100 == 0:
        connection.execute(sa.delete(CHANGES).where(CHANGES.c.version <= version - MAX_CATALOG_CHANGES))
    publish(connection, "catalog")
