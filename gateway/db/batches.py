"""Work of many callers in one transaction: what arrives while a transaction runs waits, and shares the next one."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import sqlalchemy as sa
import structlog

from gateway.db.database import Database
from gateway.errors import DatabaseUnavailable

log = structlog.get_logger()

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
MOST = 100
QUEUE_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Waiting(Generic[Item, Outcome]):
    """An item that waits for its batch, and the future of its result."""

    item: Item
    done: "asyncio.Future[Outcome]"


class Batches(Generic[Item, Outcome]):
    """Does items in their order, those that wait together in one transaction.

    Where a transaction fails each item of it is done alone, so that one does not take its neighbours along.

    Args:
        database: where they are done.
        work: does some, and returns what became of each; it leaves nothing behind when it is rolled back.
        most: how many share a transaction.
        queue_limit: how many may wait.
        reads: whether they only read.
    """

    def __init__(
        self,
        database: Database,
        work: Callable[[sa.Connection, Sequence[Item]], Sequence[Outcome]],
        *,
        most: int = MOST,
        queue_limit: int = QUEUE_LIMIT,
        reads: bool = False,
    ) -> None:
        self._together = database.read if reads else database.transaction
        self._work = work
        self._most = most
        self._queue_limit = queue_limit
        self._queue: deque[Waiting[Item, Outcome]] = deque()
        self._serving: asyncio.Task[None] | None = None

    async def do(self, item: Item) -> Outcome:
        """Do an item; what became of it, once that is committed.

        Raises:
            DatabaseUnavailable: the database cannot be reached or has too much to do; it may have been done.
        """
        if len(self._queue) >= self._queue_limit:
            raise DatabaseUnavailable("more waits to be written than can be in time; try again later")
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append(Waiting(item, done))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await done

    async def _serve(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._most))]
                await self._do([each for each in batch if not each.done.done()])  # whoever went away wants nothing
        finally:
            self._serving = None
            for each in self._queue:
                _fail(each.done, DatabaseUnavailable("the gateway is being stopped; try again"))
            self._queue.clear()

    async def _do(self, batch: Sequence[Waiting[Item, Outcome]]) -> None:
        """Do items in one transaction; each alone where that fails."""
        try:
            outcomes = await self._together(partial(self._run, [each.item for each in batch]))
        except BaseException as error:
            alone = isinstance(error, Exception) and not isinstance(error, DatabaseUnavailable) and len(batch) > 1
            if not alone:
                for each in batch:
                    _fail(
                        each.done,
                        error
                        if isinstance(error, Exception)
                        else DatabaseUnavailable("the gateway is being stopped; try again"),
                    )
                if not isinstance(error, Exception):
                    raise
                return
            log.warning("batch_one_by_one", count=len(batch), error=type(error).__name__)
            for each in batch:
                await self._do([each])
            return
        for each, outcome in zip(batch, outcomes, strict=True):
            if not each.done.done():
                each.done.set_result(outcome)

    def _run(self, items: Sequence[Item], connection: sa.Connection) -> Sequence[Outcome]:
        return self._work(connection, items)


def _fail(done: "asyncio.Future[Outcome]", error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
