"""One at a time for each user, on however many machines, with no transaction open while Stripe is called.

A turn is a row that says who holds it and until when. Whoever finds it taken waits; whoever dies leaves it to run out.
The work of a turn is cut off before that, so that no two ever hold the same one (machines whose clocks are seconds
apart are what the margin is for; `gateway doctor` tells).
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import sqlalchemy as sa

from gateway.db.database import Database
from gateway.db.tables import insert, table_for
from gateway.errors import RateLimited, StripeUnavailable
from gateway.models.infra import Turn

WORK_SECONDS = 25
LEASE = timedelta(seconds=WORK_SECONDS + 5)
WAIT_SECONDS = 10
TURNS = table_for(Turn)


@asynccontextmanager
async def turn(database: Database, name: str) -> AsyncIterator[None]:
    """Do the block when nobody else does it under the same name.

    Args:
        database: where the turns are.
        name: what must not happen twice at once, such as `checkout:user_1`.

    Raises:
        RateLimited: somebody else holds it for too long.
        StripeUnavailable: the block took too long.
    """
    holder = uuid4().hex
    await _take(database, name, holder)
    try:
        async with asyncio.timeout(WORK_SECONDS):
            yield
    except TimeoutError:
        raise StripeUnavailable("Stripe did not answer in time; try again") from None
    finally:
        await database.transaction(partial(_release, name, holder))


async def _take(database: Database, name: str, holder: str) -> None:
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while not await database.transaction(partial(_taken, name, holder)):
        if asyncio.get_running_loop().time() > deadline:
            raise RateLimited("an earlier request of this user is still being worked on; try again in a moment")
        await asyncio.sleep(random.uniform(0.03, 0.09))  # noqa: S311 - so that those who wait do not come in step


def _release(name: str, holder: str, connection: sa.Connection) -> None:
    connection.execute(sa.delete(TURNS).where(TURNS.c.name == name, TURNS.c.holder == holder))


def _taken(name: str, holder: str, connection: sa.Connection) -> bool:
    """Take the turn if it is free or has run out."""
    now = datetime.now(UTC)
    lease = {"holder": holder, "until": now + LEASE}
    statement = insert(connection, TURNS).values(name=name, **lease)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_=lease, where=TURNS.c.until < now
    ).returning(TURNS.c.holder)
    return bool(connection.execute(statement).scalar() == holder)
