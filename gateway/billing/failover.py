"""After a failover of PostgreSQL: whose answered mutations may be lost.

A standby that follows asynchronously lacks the last commits of the server that it replaces. Stripe knows nothing of a
spend, and the new server cannot miss what it has never seen. But the processes of the gateway go on: each remembers
whom it answered a mutation, and when. Once it is connected to a server of another timeline, it writes an entry into
the audit log for everybody who was answered after the last transaction that this server has. `gateway reconcile` names
them.
Source: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import uuid4

import sqlalchemy as sa
import structlog
from cachetools import FIFOCache
from sqlalchemy.exc import DBAPIError

from gateway.billing.audit import DONE, ENTRIES
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.db.tables import insert

log = structlog.get_logger()

ACTION: Final = "failover"
MAX_USERS: Final = 10_000
MARGIN_SECONDS: Final = 5.0
"""Between a commit's own time and the answer, and between the clocks of two servers of one database."""
SHOWN_DAYS: Final = 30
_SERVER: Final = sa.text(
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,"
    " pg_last_xact_replay_timestamp(), clock_timestamp()"
)


class Server(NamedTuple):
    """A server of PostgreSQL.

    Attributes:
        timeline: its number in hexadecimal digits, one more after each failover; None of a standby.
        last: the moment of the last transaction that it has from the server before; None where it cannot tell.
        now: the moment on its clock.
    """

    timeline: str | None
    last: datetime | None
    now: datetime


class Failover:
    """Remembers whom this process answered a mutation, and notes after a failover whose may be lost.

    Args:
        database: where the audit log is. On SQLite there is nothing to remember.
        notifications: tells when this process is connected anew.
        max_users: how many are remembered, those who were answered last.
    """

    def __init__(self, database: Database, notifications: Notifications, *, max_users: int = MAX_USERS) -> None:
        self._database = database
        self._waiting: Counter[str] = Counter()
        self._answered: FIFOCache[str, float] = FIFOCache(max_users)
        self._timeline: str | None = None
        self._connected = asyncio.Event()
        notifications.follow(self.hear)

    def hear(self, topics: Collection[str] | None) -> None:
        """Something about these topics changed; None is everything, as after each connection."""
        if topics is None:
            self._connected.set()

    @contextmanager
    def answering(self, user: str | None) -> Iterator[None]:
        """Remember that this user is answered a mutation at the end of the block, unless it raises; None is a guest."""
        if user is None or self._database.is_sqlite:
            yield
            return
        self._waiting[user] += 1
        try:
            yield
            self._answered[user] = time.time()
        finally:
            self._waiting[user] -= 1
            if not self._waiting[user]:
                del self._waiting[user]

    async def run(self) -> None:
        """Look at each connection whether it leads to another server, until cancelled.

        Raises:
            DatabaseUnavailable: nothing can be read or written; what is remembered stays so.
        """
        while not self._database.is_sqlite:
            self._connected.clear()
            try:
                await self.look(await self._database.read(_server))
            except DBAPIError as error:  # a service that is like PostgreSQL, without its recovery functions
                log.warning("failover.not_noticed", error=type(error.orig).__name__)
                return
            await self._connected.wait()

    async def look(self, server: Server) -> None:
        """Note whose answers may be lost, if this is another server than the one before.

        Raises:
            DatabaseUnavailable: it cannot be written; the next look does it.
        """
        if server.timeline is None:
            return
        if self._timeline is not None and server.timeline != self._timeline:
            users = self.since(server)
            await self._database.transaction(partial(note, users, server))
            log.error("failover", last_commit=str(server.last), users=len(users), action="run `gateway reconcile`")
        self._timeline = server.timeline

    def since(self, server: Server) -> Sequence[str]:
        """Return whom this process has answered after the last transaction of a server, or is answering now."""
        ahead = server.now.timestamp() - time.time()
        last = server.last.timestamp() - ahead - MARGIN_SECONDS if server.last else -math.inf
        return sorted({*self._waiting, *(user for user, at in self._answered.items() if at >= last)})


def noted(connection: sa.Connection) -> dict[datetime | None, list[str]]:
    """Return the users of the failovers of the last weeks, by the last commit that was not lost."""
    query = sa.select(ENTRIES.c.external_id, ENTRIES.c.input).order_by(ENTRIES.c.id)
    query = query.where(ENTRIES.c.action == ACTION, ENTRIES.c.created > datetime.now(UTC) - timedelta(days=SHOWN_DAYS))
    found: dict[datetime | None, list[str]] = {}
    for user, position in connection.execute(query):
        last = datetime.fromisoformat(position["last_commit"]) if position["last_commit"] else None
        found.setdefault(last, []).append(user or "somebody who was erased")
    return found


def _server(connection: sa.Connection) -> Server:
    return Server(*connection.execute(_SERVER).one())


def note(users: Sequence[str], server: Server, connection: sa.Connection) -> None:
    """Write an entry for each user; another process may have written it already."""
    if not users:
        return
    position = {"timeline": server.timeline, "last_commit": server.last.isoformat() if server.last else None}
    entry = {"action": ACTION, "by": "gateway", "input": position, "status": DONE, "created": datetime.now(UTC)}
    entry["finished"] = entry["created"]
    rows = []
    for user in users:
        name = sha256(f"{server.timeline}:{server.last}:{user}".encode()).hexdigest()
        rows.append(
            {**entry, "external_id": user, "key": f"{ACTION}:{name}", "fingerprint": name, "reference": uuid4().hex}
        )
    connection.execute(insert(connection, ENTRIES).on_conflict_do_nothing(index_elements=["key"]), rows)
