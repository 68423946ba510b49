"""Who needs to look again: a change that is committed by one process is heard by every process.

Whoever writes announces topics within the transaction: `announce(connection, "customer:cus_1")`. They are told with its
commit and dropped with its rollback. On PostgreSQL they travel by NOTIFY, in the same transaction, to the LISTEN of
every other process. SQLite has no such channel: there they are rows of a small table, which every process reads when
SQLite says that somebody has written.

Topics: `catalog`, `session:<id>` of a checkout session, `customer:<id>` for everything that belongs to a customer,
`user:<id>` when a user of the application gets a customer.
"""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import orjson
import sqlalchemy as sa

from gateway.db.database import ANNOUNCED, Database
from gateway.db.statements import execute, insert_rows
from gateway.db.tables import table_for
from gateway.errors import DatabaseUnavailable
from gateway.models.infra import Notice

CHANNEL = "gateway"
PART = 100  # topics in one message: NOTIFY takes less than 8,000 bytes
SILENCE_SECONDS = 10.0
POLL_SECONDS = 0.5
KEPT_NOTICES = 1_000
NOTICES = table_for(Notice)
_NOTICE = insert_rows("sqlite", NOTICES, ["origin", "topics"]).returning(NOTICES.c.id)
_CLEAR = sa.delete(NOTICES).where(NOTICES.c.id <= sa.bindparam("newest") - KEPT_NOTICES)
_NOTIFY = sa.select(sa.func.pg_notify(CHANNEL, sa.bindparam("payload", type_=sa.Text)))


def announce(connection: sa.Connection, *topics: str) -> None:
    """Tell, with the commit of this transaction, that something about these topics has changed.

    Raises:
        RuntimeError: the connection is in no transaction of `Database.transact`, so that nobody would ever hear it.
    """
    announced = connection.info.get(ANNOUNCED)
    if announced is None:
        raise RuntimeError("topics can be announced only within Database.transact; nobody would hear them otherwise")
    announced.update(topics)


class Notifications:
    """What one process hears. One `Notifications` belongs to one `Database`, which is given it as `on_commit`.

    Attributes:
        healthy: whether the changes of other processes are being heard at this moment.
    """

    def __init__(self) -> None:
        self._origin = uuid.uuid4().hex
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._callbacks: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        self.healthy = False

    def on(self, topic: str, callback: Callable[[], None]) -> None:
        """Call `callback` when the topic changes; for this process's own commits, before `write()` returns."""
        self._callbacks[topic].append(callback)

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator["Changed"]:
        """Hear of some topics while the block runs."""
        changed = Changed(self._waiting)
        changed.follow(*topics)
        try:
            yield changed
        finally:
            changed.leave()

    async def run(self, database: Database) -> None:
        """Hear the other processes, until cancelled or interrupted. After a gap everybody looks again.

        Args:
            database: which all of them write to.

        Raises:
            DatabaseUnavailable: nothing is heard any more.
        """
        hear = self._poll if database.is_sqlite else self._listen
        try:
            await hear(database)
        finally:
            self.healthy = False

    async def _listen(self, database: Database) -> None:
        """PostgreSQL: on a connection of its own, because a pooled one would carry its LISTEN to somebody else."""
        import psycopg

        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                self.healthy = True
                self.dispatch(self._everything())
                while True:
                    async for notice in connection.notifies(timeout=SILENCE_SECONDS):
                        sent = orjson.loads(notice.payload)
                        if sent["from"] != self._origin:
                            self.dispatch(sent["topics"])
                    async with asyncio.timeout(SILENCE_SECONDS):  # one that was cut without a word is noticed here
                        await connection.execute("SELECT 1")
        except (psycopg.Error, OSError) as error:
            raise DatabaseUnavailable(f"no notifications ({type(error).__name__})") from error

    async def _poll(self, database: Database) -> None:
        """SQLite: `data_version` says whether any other connection has written; only then the table is read."""
        looked, last = -1, await self._last_notice(database)
        self.healthy = True
        self.dispatch(self._everything())
        async with database.read() as session:
            connection = await session.connection()
            while True:
                version = (await connection.exec_driver_sql("PRAGMA data_version")).scalar_one()
                await connection.rollback()  # a transaction that stays open sees no later version
                if version != looked:
                    looked, last = version, await self._read_notices(database, last)
                await asyncio.sleep(POLL_SECONDS)

    async def _last_notice(self, database: Database) -> int:
        async with database.read() as session:
            found = (await (await session.connection()).execute(sa.select(sa.func.max(NOTICES.c.id)))).scalar()
        return found or 0

    async def _read_notices(self, database: Database, last: int) -> int:
        """Hear what the others have written since `last`; the id of the newest notice."""
        later = sa.select(NOTICES).where(NOTICES.c.id > last).order_by(NOTICES.c.id)
        async with database.read() as session:
            rows = (await (await session.connection()).execute(later)).all()
        if rows and rows[0].id > last + 1:  # some were cleared away unread
            self.dispatch(self._everything())
        for row in rows:
            if row.origin != self._origin:
                self.dispatch(row.topics)
        return rows[-1].id if rows else last

    def send(self, connection: sa.Connection, topics: Iterable[str]) -> None:
        """Leave a message for the other processes, within the transaction: they get it with the commit."""
        known = sorted(topics)
        if connection.dialect.name == "sqlite":
            ((newest,),) = execute(connection, _NOTICE, {"origin": self._origin, "topics": known})
            execute(connection, _CLEAR, {"newest": newest})
            return
        for part in _parts(known):
            payload = orjson.dumps({"from": self._origin, "topics": part}).decode()
            execute(connection, _NOTIFY, {"payload": payload})

    def dispatch(self, topics: Iterable[str]) -> None:
        """Tell this process that something about these topics has changed."""
        for topic in topics:
            for callback in self._callbacks.get(topic, ()):
                callback()
            for event in self._waiting.get(topic, ()):
                event.set()

    def _everything(self) -> list[str]:
        return [*self._callbacks, *self._waiting]


class Changed:
    """Changes of the topics that were subscribed to, however many since the last look as one.

    Args:
        waiting: who is told of which topic.

    Attributes:
        heard: how often `wait` has returned.
    """

    def __init__(self, waiting: defaultdict[str, set[asyncio.Event]]) -> None:
        self.heard = 0
        self._event = asyncio.Event()
        self._waiting = waiting
        self._topics: set[str] = set()

    def follow(self, *topics: str) -> bool:
        """Hear of these topics too; whether any of them is new. What was read of a new one before may be old."""
        new = set(topics) - self._topics
        for topic in new:
            self._waiting[topic].add(self._event)
        self._topics |= new
        return bool(new)

    def leave(self) -> None:
        """Hear of nothing any more."""
        for topic in self._topics:
            self._waiting[topic].discard(self._event)
            if not self._waiting[topic]:
                del self._waiting[topic]
        self._topics.clear()

    async def wait(self) -> None:
        """Return when something has changed since the last `wait`; at once if it already has."""
        await self._event.wait()
        self._event.clear()
        self.heard += 1


def _parts(topics: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(topics), PART):
        yield topics[start : start + PART]
