"""The database: one engine, short sessions, and the few things in which SQLite and PostgreSQL differ."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from gateway.db.errors import ConnectionLost, is_deadlock, translate_errors
from gateway.db.sqlite import connect, end_after
from gateway.db.worker_threads import Threads
from gateway.errors import DatabaseUnavailable, SettingsError

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
POOL_WAIT_SECONDS = 5
TRANSACTIONS = 5  # at a time in one process, of those that run in threads
READINGS = 2  # the same; each more contends with the event loop for Python's lock, which costs as much as it reads
READ_SECONDS = 10.0
AT_ONCE_SECONDS = 0.05  # the longest that a reading may keep the event loop
RETRIES = 5  # of a transaction: no fewer than there are connections, each of which may have ended
T = TypeVar("T")

ENDPOINTS = "gateway.endpoints"
"""Where a transaction's connection keeps whom `gateway/outbound/outbox.py` tells of changes."""

ANNOUNCED = "gateway.announced"
"""Where a transaction's connection keeps the topics that are published with its commit."""


class Publisher(Protocol):
    """What publishes the topics of a transaction: `gateway.db.notifications.Notifications`."""

    def send(self, connection: sa.Connection, topics: Iterable[str]) -> None:
        """Leave a message for the other processes, within the transaction: they get it with the commit."""

    def dispatch(self, topics: Iterable[str]) -> None:
        """Tell this process, after the commit, on the event loop."""


def database_url(text: str) -> URL:
    """`DATABASE_URL` with the driver that the gateway uses.

    Raises:
        SettingsError: when it is no URL, or of a database that is not supported.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError(
            "DATABASE_URL: not a database URL; use sqlite:///path or postgresql://user:password@host/name"
        ) from None
    driver = DRIVERS.get(url.drivername.split("+")[0])
    if driver is None:
        raise SettingsError(f"DATABASE_URL: {url.drivername} is not supported; use sqlite:/// or postgresql://")
    return url.set(drivername=driver)


class Database:
    """The engine and its sessions.

    Args:
        url: as in `DATABASE_URL`.
        endpoints: the URLs that the application's own webhooks go to; nothing is written for them where there are none.
        on_commit: publishes what a transaction has announced.

    `query()` runs a function that reads and `transact()` one in a transaction, each in a thread (but what SQLite can
    read at once). `read()` gives a session whose objects outlive it, `write()` a connection in one transaction, for a
    few small statements between which something is awaited. None may stay open across a call to Stripe.

    Raises (from all): DatabaseUnavailable when the database cannot be reached, BadInput for a text it cannot hold.
    """

    def __init__(self, url: str, *, endpoints: Sequence[str], on_commit: Publisher) -> None:
        self.url = database_url(url)
        self.endpoints = tuple(endpoints)
        self._on_commit = on_commit
        self.engine = _engine(self.url)
        # SQLite has one writer: taking the lock at BEGIN queues writers instead of failing the second one at its
        # first write (a deferred transaction that has read cannot be upgraded once another has written).
        self._writer = self.engine.execution_options(begin_immediate=True)
        # A reading has no use for a transaction: each of its statements sees what is committed, as PostgreSQL has it
        # within one too. BEGIN and ROLLBACK around one SELECT are two more journeys to the database, or its thread.
        self._reader = self.engine.execution_options(
            **({"no_begin": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"})
        )
        # Many statements in a row cost a third without the event loop between them and the driver.
        self._threads = Threads(1 if self.is_sqlite else TRANSACTIONS, "transactions")
        self._readings = Threads(1 if self.is_sqlite else READINGS, "readings")
        self._blocking, self._blocking_reader = _blocking_engines(self.url)
        self._at_once = _AtOnce(self.url) if self.is_sqlite else None
        self._turn = asyncio.Lock() if self.is_sqlite else nullcontext()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    @overload
    def read(self) -> AbstractAsyncContextManager[AsyncSession]: ...

    @overload
    def read(self, work: Callable[[sa.Connection], T]) -> Awaitable[T]: ...

    def read(self, work: Callable[[sa.Connection], T] | None = None) -> Any:
        """Run `work`, which only reads, in a thread; without `work` it gives a session (to be removed)."""
        return self.query(work) if work else self._session()

    async def transaction(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction in a thread."""
        return await self.transact(work)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        """A short session to read with. Each statement sees what is committed when it begins."""
        with translate_errors():
            async with AsyncSession(self._reader, expire_on_commit=False) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A connection in one transaction, committed at the end and rolled back on an error. It announces nothing."""
        with translate_errors():
            async with self._turn, self._writer.begin() as connection:
                connection.info[ENDPOINTS] = self.endpoints
                try:
                    yield connection
                finally:
                    connection.info.pop(ENDPOINTS, None)

    async def query(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work`, which only reads, perhaps twice. Each of its statements sees what is committed when it begins. It
        must be read to its last row: one left open would keep later ones from seeing more than it did.

        SQLite reads at once, without a thread: see `_AtOnce`. Everything else runs in a thread, and once more from its
        start when its connection turns out to be lost: that costs nothing as long as there is none, where asking each
        time whether it is alive costs as much as a statement.
        """
        if self._at_once:
            try:
                return self._at_once.read(work)
            except DBAPIError:
                pass  # the thread waits as long as it takes, and says what is wrong if it goes wrong again
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._readings.run(partial(self._query, work))
        except TimeoutError:
            raise DatabaseUnavailable("the database does not answer") from None

    def _query(self, work: Callable[[sa.Connection], T]) -> T:
        """In a thread: what `work` returns."""
        with translate_errors():
            try:
                return self._read(work)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                self._blocking_reader.dispose()  # those that wait in the pool are lost too
            return self._read(work)

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        with self._blocking_reader.connect() as connection:
            return work(connection)

    async def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction, again from its start when PostgreSQL chose it to end a deadlock, or when its
        connection turned out to have ended before the commit: asking first whether it is alive would cost each as much
        as a statement.

        It runs in a thread. Once begun it goes on to its end, also when the caller is cancelled.

        Args:
            work: what is written; it leaves nothing behind when it is rolled back.
        """
        async with self._turn:
            running = self._threads.run(partial(self._transact, work))
            running.add_done_callback(self._tell)
            return (await asyncio.shield(running))[0]

    def _transact(self, work: Callable[[sa.Connection], T]) -> tuple[T, set[str]]:
        """In a thread: what `work` returns, and the topics that it announced."""
        for tried in range(RETRIES + 1):
            try:
                with translate_errors():
                    return self._try(work)
            except DatabaseUnavailable as error:
                lost, deadlock = isinstance(error, ConnectionLost), is_deadlock(error.__cause__)
                if tried == RETRIES or not (lost or deadlock):
                    raise
            if deadlock:
                time.sleep(random.uniform(0, 0.05))  # noqa: S311 - so that two victims do not meet again
        raise AssertionError("unreachable")

    def _try(self, work: Callable[[sa.Connection], T]) -> tuple[T, set[str]]:
        announced: set[str] = set()
        with self._blocking.begin() as connection:
            connection.info.update({ANNOUNCED: announced, ENDPOINTS: self.endpoints})
            try:
                outcome = work(connection)
                if announced:
                    self._on_commit.send(connection, announced)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise ConnectionLost("the connection to the database ended") from error
                raise
            finally:
                for name in (ANNOUNCED, ENDPOINTS):  # the pool keeps the connection, and `info` with it
                    connection.info.pop(name, None)
        return outcome, announced

    def _tell(self, done: "asyncio.Future[tuple[Any, set[str]]]") -> None:
        """Back on the event loop, once it is committed, whether or not somebody still waits."""
        if not done.cancelled() and not done.exception() and (announced := done.result()[1]):
            self._on_commit.dispatch(announced)

    async def close(self) -> None:
        """Give every connection back."""
        for threads in (self._threads, self._readings):
            await asyncio.to_thread(threads.close)
        if self._at_once:
            self._at_once.close()
        for engine in (self._blocking, self._blocking_reader):
            engine.dispose()
        await self.engine.dispose()


class _AtOnce:
    """Readings of SQLite on the event loop itself.

    The file is read in this process, from the system's memory as a rule, beside any writer: a page takes tens to
    hundreds of microseconds. The way to a thread and back takes longer, because the two contend for Python's lock. But
    nothing may keep the loop: a locked database is not waited for, and what takes long is ended; the caller then reads
    in a thread. Only a disk that does not answer at all keeps the loop, for as long as one page of the file takes.

    Args:
        url: of the database.
    """

    def __init__(self, url: URL) -> None:
        self._engine = _blocking_sqlite(url, timeout=0).execution_options(no_begin=True)
        self._connection: sa.Connection | None = None

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """What `work` returns. The connection is kept: to take one from a pool costs as much as a statement.

        Raises:
            DBAPIError: it cannot be read now, or not in so short a time.
        """
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            driver: Any = self._connection.connection.driver_connection
            end_after(AT_ONCE_SECONDS, driver)
            return work(self._connection)
        except BaseException:
            self.close()  # whatever it has left open
            raise

    def close(self) -> None:
        """Give the connection back; the next reading opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._engine.dispose()


OPTIONS: dict[str, Any] = {
    "hide_parameters": True,  # errors do not quote what was written
    "json_serializer": lambda value: orjson.dumps(value).decode(),
    "json_deserializer": orjson.loads,
}


def _engine(url: URL) -> AsyncEngine:
    """The engine of the event loop."""
    if url.drivername == DRIVERS["postgresql"]:
        pool = {"pool_size": 10, "max_overflow": 10, "pool_timeout": POOL_WAIT_SECONDS, "pool_pre_ping": True}
        return create_async_engine(url, **OPTIONS, **pool, skip_autocommit_rollback=True)
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, **OPTIONS, connect_args={**SQLITE, "async_creator_fn": connect})
    _make_safe(engine.sync_engine)
    return engine


def _blocking_engines(url: URL) -> tuple[sa.Engine, sa.Engine]:
    """The engines of the threads: one for transactions, one for readings."""
    if url.drivername == DRIVERS["postgresql"]:
        options = {**OPTIONS, "max_overflow": 0, "pool_use_lifo": True}
        return (
            sa.create_engine(url, **options, pool_size=TRANSACTIONS),
            sa.create_engine(
                url, **options, pool_size=READINGS, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True
            ),
        )
    engine = _blocking_sqlite(url)
    return engine.execution_options(begin_immediate=True), engine.execution_options(no_begin=True)


def _blocking_sqlite(url: URL, **options: Any) -> sa.Engine:
    engine = sa.create_engine(url.set(drivername="sqlite"), **OPTIONS, connect_args={**SQLITE, **options})
    _make_safe(engine)
    return engine


SQLITE: dict[str, Any] = {
    "isolation_level": None,  # the driver sends no BEGIN of its own, `_begin` does
    "timeout": POOL_WAIT_SECONDS,
}


def _make_safe(engine: sa.Engine) -> None:
    """Give SQLite the safety that money asks for."""
    sa.event.listen(engine, "connect", _pragmas)
    sa.event.listen(engine, "begin", _begin)


def _pragmas(connection: Any, _record: object) -> None:
    """WAL lets readers go on beside the writer; FULL makes a commit survive a power cut, which 2xx promises."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """Open the transaction in the mode that its engine asks for."""
    options = connection.get_execution_options()
    if options.get("no_begin"):
        return
    cursor = connection.connection.cursor()  # the driver's, for what every transaction needs
    cursor.execute("BEGIN IMMEDIATE" if options.get("begin_immediate", False) else "BEGIN")
    cursor.close()
