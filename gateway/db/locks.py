"""Locks that processes share: user locks and leader leases (rows that expire), and PostgreSQL's advisory locks.

A lease row says who holds a lock and until when. Whoever dies leaves it to run out. The work under a user lock is cut
off before that, so that no two ever hold the same one (the margin is for machines whose clocks are seconds apart;
`gateway doctor` tells). A lease that ends later than any can was taken by a clock that was wrong, and is nobody's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from gateway.db.database import Database
from gateway.db.notifications import publish
from gateway.db.queries import PreparedQuery
from gateway.db.statements import execute
from gateway.db.tables import insert, table_for
from gateway.errors import DatabaseUnavailable, RateLimited, StripeUnavailable
from gateway.models.infra import Lease

WORK_SECONDS = 25
LEASE = timedelta(seconds=WORK_SECONDS + 5)
WAIT_SECONDS = 10
LOOK_SECONDS = 0.5
CLOCKS = timedelta(minutes=5)
"""How far clocks may be apart: one that is further off makes its machine unready."""
LEASES = table_for(Lease)
_RELEASE = (
    sa.delete(LEASES)
    .where(LEASES.c.name == sa.bindparam("lock"), LEASES.c.holder == sa.bindparam("whose"))
    .returning(LEASES.c.name)
)
_ADVISORY = sa.text(
    "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(id, 0) AS key "
    "FROM unnest(CAST(:ids AS text[])) AS id ORDER BY key) AS keys"
)


@asynccontextmanager
async def user_lock(
    database: Database,
    name: str,
    *,
    wait_seconds: float = WAIT_SECONDS,
    work_seconds: float = WORK_SECONDS,
    look_seconds: float = LOOK_SECONDS,
) -> AsyncIterator[None]:
    """Do the block when nobody else does it under the same name, on however many machines; no transaction stays open.

    Args:
        database: where the leases are.
        name: what must not happen twice at once, such as `owner:user_1`.
        wait_seconds: how long another holder is waited for.
        work_seconds: when the block is cut off; less than the lease.
        look_seconds: between two looks for a release that was not heard.

    Raises:
        RateLimited: somebody else holds it for too long.
        StripeUnavailable: the block took too long.
    """
    holder = uuid4().hex
    try:
        await _wait_for(database, name, holder, wait_seconds, look_seconds)
        async with asyncio.timeout(work_seconds):
            yield
    except TimeoutError:
        raise StripeUnavailable("Stripe did not answer in time; try again") from None
    finally:
        await database.transaction(partial(_release, name, holder))


async def _wait_for(database: Database, name: str, holder: str, seconds: float, look_seconds: float) -> None:
    """Acquire a lock as soon as its holder releases it, or its lease has run out.

    Its release is heard at once within a process and on PostgreSQL; on SQLite, or while this process hears nobody, it
    is seen by a look now and then.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    with database.on_commit.subscribe(f"lock:{name}") as released:
        while not await _try(database, partial(_acquire, name, holder)):
            while await database.read(partial(_is_taken, name)):
                if loop.time() > deadline:
                    raise RateLimited("an earlier request of this user is still being worked on; try again in a moment")
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(look_seconds, seconds)):
                        await released.wait()


async def _try(database: Database, acquire: Callable[[sa.Connection], bool]) -> bool:
    """Return whether a lease was acquired. Whoever is cancelled meanwhile is so after the transaction, not beside it.

    A transaction runs on in its thread when its caller is cancelled. A release that overtook it would leave a lease
    behind that nobody holds.
    """
    acquiring = asyncio.ensure_future(database.transaction(acquire))
    try:
        return await asyncio.shield(acquiring)
    except asyncio.CancelledError:
        with suppress(DatabaseUnavailable):
            await acquiring
        raise


@asynccontextmanager
async def leader(database: Database, task: str, *, lease: timedelta = LEASE) -> AsyncIterator[bool]:
    """Yield whether this process is the one that does a periodic task now; another is while its lease lasts.

    The lease is renewed while the block runs. A process that cannot renew it goes on, so that two may do the task at
    the same time: it must bear that.

    Args:
        database: where the leases are.
        task: the task's name.
        lease: how long others wait for a process that was killed.
    """
    name, holder = f"leader:{task}", uuid4().hex
    acquire = partial(_acquire, name, holder, lease=lease)
    leads, renewing = True, None  # who is cancelled while acquiring does not know
    try:
        if leads := await _try(database, acquire):
            renewing = asyncio.create_task(_renew(database, acquire, lease.total_seconds() / 3))
        yield leads
    finally:
        try:
            if renewing:
                await _end(renewing)
        finally:  # also by who is cancelled meanwhile
            if leads:
                await database.transaction(partial(_release, name, holder))


async def _end(renewing: asyncio.Task[None]) -> None:
    """End a task, and wait for it; also if cancelled meanwhile, because a release may not overtake a renewal."""
    renewing.cancel()
    try:
        await asyncio.wait([renewing])
    finally:
        await asyncio.wait([renewing])


async def _renew(database: Database, acquire: Callable[[sa.Connection], bool], every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        with suppress(DatabaseUnavailable):
            await _try(database, acquire)


def advisory_locks(connection: sa.Connection, ids: Collection[str]) -> None:
    """Wait until nobody else is at work on these ids, and keep others waiting until the transaction ends.

    A refund and the payment it belongs to may arrive at the same instant on two processes. Each would look for the
    other and find it not committed yet. So both first wait for whoever is at work on the same id, and then see what was
    written. Whoever locks payments and purchases locks the payments first. Nothing is to be done on SQLite, which has
    one writer.
    """
    if ids and connection.dialect.name == "postgresql":
        connection.execute(_ADVISORY, {"ids": sorted(ids)})


def _acquire(name: str, holder: str, connection: sa.Connection, lease: timedelta = LEASE) -> bool:
    """Return whether the lease is now the holder's: it was free, has run out, or was the holder's before."""
    now = datetime.now(UTC)
    row = {"name": name, "holder": holder, "until": now + lease}
    given = {**row, "now": now, "never": now + lease + CLOCKS}
    taken = execute(connection, _lease(connection.dialect.name), given)
    return bool(taken) and taken[0][0] == holder


@lru_cache
def _lease(dialect: str) -> Any:
    """INSERT a lease, or UPDATE one that is free."""
    now, never = (sa.bindparam(name, type_=LEASES.c.until.type) for name in ("now", "never"))
    new = insert(dialect, LEASES)
    free = sa.or_(LEASES.c.until < now, LEASES.c.until > never, LEASES.c.holder == new.excluded.holder)
    row = {"holder": new.excluded.holder, "until": new.excluded.until}
    return new.on_conflict_do_update(index_elements=["name"], set_=row, where=free).returning(LEASES.c.holder)


def _is_taken(name: str, connection: sa.Connection) -> bool:
    now = datetime.now(UTC)
    return any(now <= row.until <= now + LEASE + CLOCKS for row in _UNTIL.rows(connection, lease=name))


_UNTIL = PreparedQuery(lambda _: sa.select(LEASES.c.until).where(LEASES.c.name == sa.bindparam("lease")))


def _release(name: str, holder: str, connection: sa.Connection) -> None:
    if execute(connection, _RELEASE, {"lock": name, "whose": holder}):
        publish(connection, f"lock:{name}")
