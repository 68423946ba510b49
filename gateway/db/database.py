"""The database: `read` and `transaction`, its two verbs."""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.db.checks import DatabaseFile
from gateway.db.clock import CLOCK, Clock
from gateway.db.engines import Engines, create_engines, database_url
from gateway.db.errors import ConnectionLost, is_deadlock, translate_errors
from gateway.db.worker_threads import Piece, Result, WorkerThreads, result_of
from gateway.errors import DatabaseUnavailable

READERS = 2  # readings at a time in one process; each more contends for Python's lock, which costs as much as it reads
LISTENERS = 1  # connections on which `gateway/db/notifications.py` hears the others
CONNECTIONS = 8
"""The connections to PostgreSQL of one process: those that listen and read, and for transactions the rest."""
READ_SECONDS = WRITE_SECONDS = 10.0
GROUP = 50  # transactions of SQLite that share a commit, where so many wait
RETRIES = 5  # of a transaction; that one connection has ended makes the pool look at all
T = TypeVar("T")
log = structlog.get_logger()

ENDPOINTS = "gateway.endpoints"
"""Where a transaction's connection keeps whom `gateway/outbound/outbox.py` tells of changes."""

PUBLISHED = "gateway.published"
"""Where a transaction's connection keeps the topics that are published with its commit."""


class Subscription(Protocol):
    """What hears of some topics."""

    async def wait(self) -> None:
        """Return when something has changed since the last `wait`."""


class Publisher(Protocol):
    """What publishes the topics of a transaction: `gateway.db.notifications.Notifications`."""

    def send(self, connection: sa.Connection, topics: Iterable[str]) -> None:
        """Leave a message for the other processes, within the transaction: they get it with the commit."""

    def dispatch(self, topics: Collection[str]) -> None:
        """Tell this process, after the commit, on the event loop."""

    def subscribe(self, *topics: str) -> AbstractContextManager[Subscription]:
        """Hear of some topics while a block runs."""


class Database:
    """A SQLite file or a PostgreSQL database, used by plain functions in threads.

    A plain function cannot await, so that no connection stays open while Stripe is called.

    Args:
        url: as in `DATABASE_URL`.
        endpoints: the URLs that the application's own webhooks go to; nothing is written for them where there are none.
        on_commit: publishes the topics of each transaction.
        clock: what `gateway.db.clock.now` reads within readings and transactions.
        info: what effects of writes find in the `info` of each transaction's connection, such as a setting.
        connections: the most that one process has to PostgreSQL at a time, those of its notifications included.
        threads: makes what runs readings and transactions.
        engines: makes what each of them connects by.

    Raises (from both verbs): DatabaseUnavailable when the database cannot be reached, BadInput for a text it cannot
    hold.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoints: Sequence[str],
        on_commit: Publisher,
        clock: Clock | None = None,
        info: Mapping[str, object] | None = None,
        connections: int = CONNECTIONS,
        threads: Callable[..., WorkerThreads] = WorkerThreads,
        engines: Engines = create_engines,
    ) -> None:
        self.url = database_url(url)
        self.endpoints = tuple(endpoints)
        self._info = {**(info or {}), ENDPOINTS: self.endpoints}
        self.on_commit = on_commit
        self.clock = clock or Clock()
        writers = 1 if self.is_sqlite else connections - READERS - LISTENERS
        self._reader, self._writer = engines(self.url, readers=READERS, writers=writers)
        for engine in (self._reader, self._writer):
            sa.event.listen(engine, "connect", self._set_clock)
        self._file = DatabaseFile(self.url)
        for name in ("connect", "close"):
            sa.event.listen(self._writer, name, self._file.forget_log)
        self._is_closed = False
        self._shared: sa.Connection | None = None  # of SQLite's one writer, while several transactions share it
        most = GROUP if self.is_sqlite else 1
        self._readings = threads(READERS, "read")
        self._transactions = threads(writers, "transaction", together=self._do_together, most=most)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.drivername == "sqlite"

    def _set_clock(self, _: Any, record: ConnectionPoolEntry) -> None:
        record.info[CLOCK] = self.clock

    async def read(self, work: Callable[[sa.Connection], T], *, seconds: float = READ_SECONDS) -> T:
        """Run `work`, which only reads, in a thread; each of its statements sees what is committed when it begins.

        It is run again from its start when its connection turns out to be lost: that costs nothing as long as none is,
        where asking each time whether it is alive costs as much as a statement.

        Args:
            work: what is read. It must read its results to their last row: one left open would keep later readings
                from seeing more than it did.
            seconds: how long it may take, together with its wait for a thread.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._readings.run(partial(self._read, work)).done
        except TimeoutError:
            raise DatabaseUnavailable("the database does not answer") from None

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        """Return in a thread what `work` returns."""
        self._file.check()
        with translate_errors():
            for _ in range(READERS):  # those that wait in the pool may be lost too
                try:
                    with self._reader.connect() as connection:
                        return work(connection)
                except DBAPIError as error:
                    if not error.connection_invalidated:
                        raise
            with self._reader.connect() as connection:
                return work(connection)

    async def transaction(self, work: Callable[[sa.Connection], T], *, seconds: float | None = WRITE_SECONDS) -> T:
        """Run `work` in one transaction in a thread. Once begun it goes on to its end, even if the caller is cancelled.

        It is run again from its start when PostgreSQL chose it to end a deadlock, or when its connection turned out to
        have ended before the commit: asking first whether it is alive would cost each as much as a statement.

        A commit can wait for ever, as for a synchronous standby that is away. Whoever waits is told so in time, and may
        come again with the same idempotency key: what has begun may still be committed, what has not never begins.
        PostgreSQL's own limits would not do: `statement_timeout` lets such a commit count as done. Source:
        https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION-HA.

        Args:
            work: what is written; it leaves nothing behind when it is rolled back.
            seconds: how long the caller waits; None is without end.
        """
        piece = self._transactions.run(partial(self._transaction, work))
        piece.done.add_done_callback(self._dispatch)
        try:
            async with asyncio.timeout(seconds):
                return (await asyncio.shield(piece.done))[0]
        except TimeoutError:
            if piece.claim():
                piece.done.cancel()
                raise DatabaseUnavailable("the database does not answer; nothing was written") from None
            raise DatabaseUnavailable("the database does not answer; it may still write this") from None

    def _transaction(self, work: Callable[[sa.Connection], T]) -> tuple[T, set[str]]:
        """Return in a thread what `work` returns, and the topics that it published."""
        for tried in range(RETRIES + 1):
            try:
                with translate_errors():
                    return self._try(work)
            except DatabaseUnavailable as error:
                lost, deadlock = isinstance(error, ConnectionLost), is_deadlock(error.__cause__)
                if tried == RETRIES or self._is_closed or not (lost or deadlock):
                    raise
            if deadlock:
                time.sleep(random.uniform(0, 0.05))  # noqa: S311 - so that two victims do not meet again
        raise AssertionError("unreachable")

    def _do_together(self, pieces: Sequence[Piece[Any]]) -> Sequence[Result]:
        """Do transactions of SQLite in their order and with one commit, which waits for the disk once.

        One that fails is undone by itself. Where all of it is lost, as when the disk is full, each is done alone.
        """
        if len(pieces) > 1:
            try:
                self._file.check()
                with self._writer.begin() as self._shared:
                    self._file.note_log()
                    results = []
                    for piece in pieces:
                        results.append(result_of(piece))
                        if not self._shared.connection.in_transaction:  # what failed has ended it
                            break
                    else:
                        return results
            except Exception:  # whoever does it alone is told of it
                log.warning("database.commit_not_shared", exc_info=True)
            finally:
                self._shared = None
        return [result_of(piece) for piece in pieces]

    def _try(self, work: Callable[[sa.Connection], T]) -> tuple[T, set[str]]:
        if self._shared is not None:
            with self._shared.begin_nested():
                return self._work(self._shared, work)
        self._file.check()
        with self._writer.begin() as connection:
            self._file.note_log()
            return self._work(connection, work)

    def _work(self, connection: sa.Connection, work: Callable[[sa.Connection], T]) -> tuple[T, set[str]]:
        """Return what `work` returns, and the topics that it published."""
        topics: set[str] = set()
        info = connection.info  # the pool keeps it, which cannot be asked for once the connection is lost
        info.update({PUBLISHED: topics, **self._info})
        try:
            outcome = work(connection)
            if topics:
                self.on_commit.send(connection, topics)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise ConnectionLost("the connection to the database ended") from error
            raise
        finally:
            for name in (PUBLISHED, *self._info):
                info.pop(name)
        return outcome, topics

    def _dispatch(self, done: "asyncio.Future[tuple[Any, set[str]]]") -> None:
        """Tell what was published, back on the event loop, whether or not somebody still waits."""
        if not done.cancelled() and not done.exception() and (topics := done.result()[1]):
            self.on_commit.dispatch(topics)

    async def close(self) -> None:
        """Give every connection back; those of work that still hangs after some seconds end with it."""
        self._is_closed = True
        await asyncio.gather(*(asyncio.to_thread(each.close) for each in (self._transactions, self._readings)))
        for engine in (self._writer, self._reader):
            engine.dispose()
