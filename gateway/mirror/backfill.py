"""Read whole lists from Stripe into the mirror: `gateway sync`.

The place that a run has reached is saved after each page, so that a killed run continues where it stopped: finished
lists are not read again, and of the others at most one page, which changes nothing. A list of Stripe runs from the
newest object to the oldest; what is created meanwhile comes with its events.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlmodel import col, select

from gateway.db.database import Database
from gateway.db.rows import row_by_id
from gateway.db.tables import insert, table_for
from gateway.errors import StripeMissing
from gateway.mirror.accounts import own
from gateway.mirror.own_account import require_same_account
from gateway.mirror.reader import PAGE, Reader
from gateway.mirror.resources import RESOURCES, Resource
from gateway.mirror.sync import Mirror
from gateway.models.infra import SyncState
from gateway.models.mirrored import Subscription
from gateway.stripe_api.client import Stripe, StripeResponse

RUN = "sync"
"""The row of `sync_state` that stands for the whole run."""
RESUME_WITHIN = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: `count` objects of `kind`, and whether its list is at the end."""

    kind: str
    count: int
    done: bool


async def backfill(mirror: Mirror, stripe: Stripe) -> AsyncIterator[Progress]:
    """Read every list that the mirror keeps, products first, and yield the progress after each page.

    Raises:
        SettingsError: the database is the copy of another account; nothing is read into it.
        StripeUnavailable: Stripe stays out of reach; the next run continues from there.
    """
    database, reader = mirror.database, Reader(stripe)
    await require_same_account(database, reader)
    run = await _run(database)
    for resource in RESOURCES.values():
        if not (resource.owner or resource.synced):
            continue
        state = await _state(database, resource.kind)
        if state is None or state.started_at < run.started_at:
            state = SyncState(resource=resource.kind, started_at=datetime.now(UTC))
        if state.completed_at:
            yield Progress(resource.kind, state.count, done=True)
            continue
        fill = _fill_owned if resource.owner else _fill
        async for progress in fill(mirror, reader, resource, state):
            yield progress
    run.completed_at = datetime.now(UTC)
    await _remember(database, run)


async def _fill(mirror: Mirror, reader: Reader, resource: Resource, state: SyncState) -> AsyncIterator[Progress]:
    more = True
    while more:
        answer = await _page(reader, resource, state)
        if answer is None:
            state.cursor, state.count = None, 0
            continue
        objects, more = answer.object["data"], answer.object["has_more"]
        unclear = await mirror.store_page(answer, objects)
        whole = resource.beside is None or not await _is_used(reader, resource)
        await mirror.refresh_all(reader, unclear if whole else objects)
        state.cursor = objects[-1]["id"] if objects else state.cursor
        state.count += len(objects)
        state.completed_at = None if more else datetime.now(UTC)
        await _remember(mirror.database, state)
        yield Progress(resource.kind, state.count, done=not more)


async def _fill_owned(mirror: Mirror, reader: Reader, resource: Resource, state: SyncState) -> AsyncIterator[Progress]:
    """Read what Stripe lists for one owner at a time, for those who have a subscription that has not ended.

    Where `probe_path` lists nothing there is nothing to read.
    """
    used = await _is_used(reader, resource)
    while used and (owners := await _owners(mirror.database, state.cursor)):
        for owner in owners:
            with suppress(StripeMissing):
                await mirror.refresh(reader, resource.kind, owner)
        state.cursor = owners[-1]
        state.count += len(owners)
        await _remember(mirror.database, state)
        yield Progress(resource.kind, state.count, done=False)
    state.completed_at = datetime.now(UTC)
    await _remember(mirror.database, state)
    yield Progress(resource.kind, state.count, done=True)


async def _is_used(reader: Reader, resource: Resource) -> bool:
    """Return whether the account has any of what a kind, or the list beside it, is made of."""
    return resource.probe_path is None or bool((await reader.get(resource.probe_path, limit=1)).object["data"])


async def _owners(database: Database, after: str | None) -> list[str]:
    """Return the next customers with a subscription that has not ended, by id."""
    live = (
        select(Subscription.customer_id)
        .where(
            Subscription.customer_id > (after or ""),
            own(col(Subscription.customer_id)),
            col(Subscription.status).not_in(RESOURCES["subscription"].final_statuses),
            col(Subscription.deleted).is_(False),
        )
        .distinct()
        .order_by(Subscription.customer_id)
        .limit(PAGE)
    )
    return await database.read(lambda connection: list(connection.scalars(live)))


async def _page(reader: Reader, resource: Resource, state: SyncState) -> StripeResponse | None:
    """Read one page after the place that was reached; None when the object that marks the place is gone."""
    after = {"starting_after": state.cursor} if state.cursor else {}
    try:
        return await reader.get(resource.path, limit=PAGE, **resource.list_all(), **after)
    except StripeMissing:
        if state.cursor is None:
            raise
        return None


async def _run(database: Database) -> SyncState:
    """Return the run that was stopped, if that was not long ago; otherwise start a new one."""
    now, run = datetime.now(UTC), await _state(database, RUN)
    if run and run.completed_at is None and now - run.started_at < RESUME_WITHIN:
        return run
    run = SyncState(resource=RUN, started_at=now)
    await _remember(database, run)
    return run


async def _state(database: Database, name: str) -> SyncState | None:
    return await database.read(lambda connection: row_by_id(connection, SyncState, name))


async def _remember(database: Database, state: SyncState) -> None:
    table = table_for(SyncState)
    values = state.model_dump()

    def write(connection: sa.Connection) -> None:
        statement = insert(connection, table).values(**values)
        connection.execute(statement.on_conflict_do_update(index_elements=["resource"], set_=values))

    await database.transaction(write)


async def completed(database: Database) -> bool:
    """Return whether every list has been read to its end at least once."""
    query = select(SyncState.resource).where(col(SyncState.completed_at).is_not(None))
    done = await database.read(lambda connection: connection.scalars(query).all())
    return {resource.kind for resource in RESOURCES.values() if resource.synced} <= set(done)
