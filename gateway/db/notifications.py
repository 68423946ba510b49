"""Who needs to look again: a change that is committed by one process is heard by every process.

Whoever writes publishes topics within the transaction: `publish(connection, "customer:cus_1")`. They are told with its
commit and dropped with its rollback. On PostgreSQL they travel by NOTIFY, in the same transaction, to the LISTEN of
every other process. SQLite has no such channel: there they are rows of a small table, into which every process looks
twice a second.

Whoever answers from memory must know that nothing is on its way. So each process looks again and again whether it still
hears: a round trip on the connection that listens, or a look into the table, brings everything that was committed
before it began (PostgreSQL sends what is due before the answer).

Topics: `catalog`, `session:<id>` of a checkout session, `customer:<id>` for everything that belongs to a customer,
`credits:<id>` for what a customer spends, which changes no access, `user:<id>` when a user of the application gets a
customer, `lock:<name>` when a lock is released.
"""

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import Any

import orjson
import sqlalchemy as sa

from gateway.db.checks import POOLER, is_session
from gateway.db.database import PUBLISHED, Database
from gateway.db.engines import connect_arguments
from gateway.db.queries import PreparedQuery
from gateway.db.statements import execute, insert_rows
from gateway.db.tables import table_for
from gateway.errors import DatabaseUnavailable
from gateway.models.infra import Notification

CHANNEL = "gateway"
PAYLOAD_BYTES = 7_900
"""The most of one message, under the 8,000 bytes of https://www.postgresql.org/docs/current/sql-notify.html."""
SILENCE_SECONDS = 10.0
POLL_SECONDS = 0.5
CURRENT_SECONDS = 0.045
"""What is kept in memory is answered for so long after a look that brought everything; 5 ms less than is promised."""
LOOK_SECONDS = 0.015
"""Between two looks, as long as somebody answers from memory."""
BUSY_SECONDS = 1.0
START_SECONDS = 1.0
"""How long a start waits at most until it hears the other processes."""
MAX_NOTIFICATIONS = 1_000
NOTIFICATIONS = table_for(Notification)
_CLEAR = sa.delete(NOTIFICATIONS).where(NOTIFICATIONS.c.id <= sa.bindparam("newest") - MAX_NOTIFICATIONS)
_LATER = PreparedQuery(
    lambda _: sa.select(NOTIFICATIONS).where(NOTIFICATIONS.c.id > sa.bindparam("last")).order_by(NOTIFICATIONS.c.id)
)
_NEWEST = PreparedQuery(lambda _: sa.select(sa.func.max(NOTIFICATIONS.c.id).label("id")))
_NOTIFY = sa.select(sa.func.pg_notify(CHANNEL, sa.bindparam("payload", type_=sa.Text)))


def publish(connection: sa.Connection, *topics: str) -> None:
    """Tell, with the commit of this transaction, that something about these topics has changed.

    Raises:
        RuntimeError: the connection is in no transaction of `Database.transaction`, so that nobody would ever hear it.
    """
    published = connection.info.get(PUBLISHED)
    if published is None:
        raise RuntimeError("topics are published outside Database.transaction; nobody would hear them: move the call")
    published.update(topics)


class Notifications:
    """The topics that one process hears of, and who follows them. Each belongs to one `Database`, as its `on_commit`.

    Attributes:
        healthy: whether the changes of other processes are being heard at this moment.
        problem: why they never will be by this `DATABASE_URL`; None as long as nothing speaks against it.
    """

    def __init__(self) -> None:
        self._origin = uuid.uuid4().hex
        self._waiting: defaultdict[str, dict[asyncio.Event, None]] = defaultdict(dict)  # who came first is told first
        self._callbacks: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        self._followers: list[Callable[[Collection[str] | None], None]] = []
        self._current_at = self._asked_at = float("-inf")
        self._looked = asyncio.Event()
        self._is_busy = False  # looks follow each other quickly
        self.healthy = False
        self.problem: str | None = None

    def on(self, topic: str, callback: Callable[[], None]) -> None:
        """Call `callback` when the topic changes; for this process's own commits, before `transaction()` returns."""
        self._callbacks[topic].append(callback)

    def follow(self, callback: Callable[[Collection[str] | None], None]) -> None:
        """Call `callback` with all topics that change, as `on` does; with None when any may have."""
        self._followers.append(callback)

    def is_current(self) -> bool:
        """Return whether everything is heard that was committed 50 ms ago, by any process."""
        self._asked_at = time.monotonic()
        return self.healthy and self._asked_at - self._current_at < CURRENT_SECONDS

    async def catch_up(self) -> bool:
        """Wait until everything is heard that was committed before this call; whether that came soon."""
        asked = self._asked_at = time.monotonic()
        if not self._is_busy:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(CURRENT_SECONDS):
                while self.healthy and self._current_at < asked:
                    await self._looked.wait()
        return self.healthy and self._current_at >= asked

    async def listening(self) -> bool:
        """Wait until the other processes are heard, which takes some milliseconds; whether that came soon."""
        looked = self._looked
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await looked.wait()
        return self.healthy

    @contextmanager
    def subscribe(self, *topics: str) -> Iterator["TopicSubscription"]:
        """Hear of some topics while the block runs."""
        subscription = TopicSubscription(self._waiting)
        subscription.add(*topics)
        try:
            yield subscription
        finally:
            subscription.close()

    def waiting(self, topic: str) -> int:
        """Return how many are subscribed to a topic."""
        return len(self._waiting.get(topic, ()))

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

        arguments = connect_arguments(database.url)  # not the URL, which libpq reads in another way
        try:
            async with await psycopg.AsyncConnection.connect(autocommit=True, **arguments) as connection:
                self.problem = None if await is_session(connection, arguments) else POOLER
                if self.problem:
                    raise DatabaseUnavailable(self.problem)
                await connection.execute(f"LISTEN {CHANNEL}")
                self.healthy = True
                self._look_at_everything()
                while True:
                    began = time.monotonic()
                    async with asyncio.timeout(SILENCE_SECONDS):  # one that was cut without a word is noticed here
                        await connection.execute("SELECT 1")
                    async for notice in connection.notifies(timeout=0):  # what came before the answer
                        self._hear(notice.payload)
                    self._is_current_at(began)
                    async for notice in connection.notifies(timeout=self._pause()):
                        self._hear(notice.payload)
        except (psycopg.Error, OSError) as error:
            raise DatabaseUnavailable(f"no notifications ({type(error).__name__})") from error

    async def _poll(self, database: Database) -> None:
        """Hear on SQLite, by looking into the table of notifications."""
        last = await database.read(_last_notification)
        self.healthy = True
        self._look_at_everything()
        while True:
            began = time.monotonic()
            rows = await database.read(partial(_notifications_after, last))
            if rows and rows[0].id > last + 1:  # some were cleared away unread
                self._look_at_everything()
            for row in rows:
                if row.origin != self._origin:
                    self.dispatch(row.topics)
            last = rows[-1].id if rows else last
            self._is_current_at(began)
            await asyncio.sleep(self._pause())

    def _hear(self, payload: str) -> None:
        sent = orjson.loads(payload)
        if sent["from"] != self._origin:
            self.dispatch(sent["topics"])

    def _is_current_at(self, moment: float) -> None:
        self._current_at = moment
        self._looked.set()
        self._looked = asyncio.Event()

    def _pause(self) -> float:
        """Return how long to wait for the next look."""
        self._is_busy = time.monotonic() - self._asked_at < BUSY_SECONDS
        return LOOK_SECONDS if self._is_busy else POLL_SECONDS

    def send(self, connection: sa.Connection, topics: Iterable[str]) -> None:
        """Leave a message for the other processes, within the transaction: they get it with the commit."""
        known = sorted(topics)
        if connection.dialect.name == "sqlite":
            ((newest,),) = execute(connection, _insert(), {"origin": self._origin, "topics": known})
            execute(connection, _CLEAR, {"newest": newest})
            return
        for payload in payloads(self._origin, known):
            execute(connection, _NOTIFY, {"payload": payload})

    def dispatch(self, topics: Collection[str]) -> None:
        """Tell this process that something about these topics has changed."""
        for follow in self._followers:
            follow(topics)
        self._tell(topics)

    def _look_at_everything(self) -> None:
        """Tell this process that something may have changed, whatever it is about."""
        for follow in self._followers:
            follow(None)
        self._tell([*self._callbacks, *self._waiting])

    def _tell(self, topics: Iterable[str]) -> None:
        for topic in sorted(topics):
            for callback in self._callbacks.get(topic, ()):
                callback()
            for event in self._waiting.get(topic, ()):
                event.set()


class TopicSubscription:
    """Changes of the topics that were subscribed to, however many since the last look as one.

    Args:
        waiting: who is told of which topic.

    Attributes:
        heard: how often `wait` has returned.
    """

    def __init__(self, waiting: defaultdict[str, dict[asyncio.Event, None]]) -> None:
        self.heard = 0
        self._event = asyncio.Event()
        self._waiting = waiting
        self._topics: set[str] = set()

    def add(self, *topics: str) -> bool:
        """Hear of these topics too; whether any of them is new. What was read of a new one before may be old."""
        new = set(topics) - self._topics
        for topic in new:
            self._waiting[topic][self._event] = None
        self._topics |= new
        return bool(new)

    def close(self) -> None:
        """Follow no topic from now on."""
        for topic in self._topics:
            self._waiting[topic].pop(self._event, None)
            if not self._waiting[topic]:
                del self._waiting[topic]
        self._topics.clear()

    async def wait(self) -> None:
        """Return when something has changed since the last `wait`; at once if it already has."""
        await self._event.wait()
        self._event.clear()
        self.heard += 1


def payloads(origin: str, topics: Iterable[str]) -> Iterator[str]:
    """Yield the messages that tell of topics, each as long as NOTIFY takes it.

    Args:
        origin: the process that tells.
        topics: none is nearly as long as a message; the longest name a user, whose id Stripe's metadata hold.
    """
    start = b'{"from":%b,"topics":[' % orjson.dumps(origin)
    size, parts = len(start), list[bytes]()
    for part in map(orjson.dumps, topics):
        if parts and size + len(part) + len(",]}") > PAYLOAD_BYTES:
            yield (start + b",".join(parts) + b"]}").decode()
            parts, size = [], len(start)
        parts.append(part)
        size += len(part) + len(",")
    if parts:
        yield (start + b",".join(parts) + b"]}").decode()


@cache
def _insert() -> Any:
    """Return the statement that SQLite alone runs: making it imports its dialect."""
    return insert_rows("sqlite", NOTIFICATIONS, ["origin", "topics"]).returning(NOTIFICATIONS.c.id)


def _last_notification(connection: sa.Connection) -> int:
    (found,) = _NEWEST.rows(connection)
    return found.id or 0


def _notifications_after(last: int, connection: sa.Connection) -> Sequence[Any]:
    """Return what was written since a notification, oldest first; mostly nothing."""
    return _LATER.rows(connection, last=last)
