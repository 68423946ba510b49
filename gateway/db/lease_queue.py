"""The lease queue: the one loop that claims rows that are due, works on them, and tries again what failed.

A queue is a table with a column that says when a row is due. Whoever works on a row moves that moment by the length of
a lease. The result is written only where the row still has that lease; so what became due meanwhile stays due, and what
a process that was killed had claimed is due again when its lease ends.

A machine's clock can be hours ahead, and be put right. What was put off meanwhile would wait for those hours: so rows
that wait longer than any can are due at once, at the start and when the clock has been set back.
"""

import asyncio
import contextlib
import math
import random
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog

from gateway.db.database import Database
from gateway.db.locks import CLOCKS
from gateway.db.statements import execute
from gateway.errors import GatewayError
from gateway.observability.metrics import QUEUE_SECONDS

log = structlog.get_logger()

JITTER = (0.8, 1.2)
FAR = timedelta(days=3650)  # later than any wrong clock; what waits for longer waits for another row
COLLISION_SECONDS = 0.05  # at most, before the next look of who found only what others were claiming
Moment = datetime | sa.BindParameter[Any]
"""A moment in a statement, or the place for one."""


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a failed item waits, and how often it is tried.

    Attributes:
        first_seconds: after the first failure; twice as long after each further one.
        longest_seconds: however many there were.
        attempts: after so many failures the item is a dead letter; None: it is tried for ever.
    """

    first_seconds: float
    longest_seconds: float
    attempts: int | None = None

    @property
    def longest(self) -> timedelta:
        """The longest that an item waits after a failure."""
        return timedelta(seconds=self.longest_seconds * JITTER[1])

    def is_last(self, failures: int) -> bool:
        """Return whether an item that fails once more, after so many failures, is a dead letter."""
        return self.attempts is not None and failures + 1 >= self.attempts

    def next_attempt(self, failures: int) -> datetime | None:
        """Return when an item is due that failed once more, after so many failures; None when it is a dead letter."""
        if self.is_last(failures):
            return None
        doubled = self.first_seconds * 2 ** min(failures, 32)
        return utc_now() + timedelta(seconds=min(doubled, self.longest_seconds) * random.uniform(*JITTER))  # noqa: S311


class Claim(NamedTuple):
    """Rows that are worked on as one, and the end of their lease."""

    rows: Sequence[sa.RowMapping]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseQueue:
    """Rows that are due, claimed by leases. Several processes share the work.

    Attributes:
        name: of the queue, in metrics and logs.
        database: where the rows are.
        key: the column that names a row.
        due_at: the column that says when a row is due.
        due: makes the SELECT of what is due at a moment, in its order, with `key` and `due_at`; once for all looks.
        work: works on a claim and writes the result where `holds(claim)`. What it raises is logged, and its rows are
            due again when their lease ends.
        scope: which rows of the table belong to the queue, where others do not.
        group: rows with the same value are one claim; by default each is its own.
        slots: how many claims are worked on at a time.
        batch: how many rows are claimed at a time.
        lease: how long rows wait for a process that was killed.
        work_seconds: the longest that `work` takes; what could not end within its lease is not begun.
        idle_seconds: between two looks while nothing is due.
        longest: the longest that a row waits, by a lease or after a failure; None where it may be any time.
        now: the clock of `due_at`; by default this machine's.
        candidates: makes the SELECT of what may be due, where `due` would look at more than it finds; by default `due`.
        pass_over: has candidates that are not due wait for what they depend on, so that nobody looks at them again
            until then; of how many.
    """

    name: str
    database: Database
    key: sa.Column[Any]
    due_at: sa.Column[Any]
    due: Callable[[Moment], sa.Select[Any]]
    work: Callable[[Claim], Awaitable[None]]
    scope: sa.ColumnElement[bool] = field(default_factory=sa.true)
    group: Callable[[sa.RowMapping], Hashable] | None = None
    slots: int
    batch: int
    lease: timedelta
    work_seconds: float
    idle_seconds: float
    longest: timedelta | None = None
    now: Callable[[], datetime] = utc_now
    candidates: Callable[[Moment], sa.Select[Any]] | None = None
    pass_over: Callable[[sa.Connection, Sequence[Any]], int] | None = None
    _statements: "_Statements" = field(init=False)

    def __post_init__(self) -> None:
        """Make the statements of a look, which costs more than most looks do."""
        selects = self.due, self.candidates or self.due
        made = _statements(self.key, self.due_at, *selects, scope=self.scope, batch=self.batch)
        object.__setattr__(self, "_statements", made)

    async def run(self, wake: asyncio.Event | None = None) -> None:
        """Work on what is due, until cancelled.

        Args:
            wake: set when there may be work, so that it need not wait for the next look.
        """
        await _Run(self, wake or asyncio.Event()).run(until_empty=False)

    async def drain(self, only: Sequence[Any] | None = None) -> int:
        """Work on what is due until nothing is; the number of rows.

        Args:
            only: the keys of the rows to work on; None: all.

        Raises:
            DatabaseUnavailable: nothing can be claimed.
        """
        run = _Run(self, asyncio.Event(), only)
        await run.run(until_empty=True)
        return run.claimed

    def holds(self, claim: Claim) -> sa.ColumnElement[bool]:
        """Return the condition under which rows of a claim still have its lease."""
        keys = [row[self.key.name] for row in claim.rows]
        return sa.and_(self.scope, self.key.in_(keys), self.due_at == claim.until)

    async def write(self, claim: Claim, **values: Any) -> None:
        """Write the same result into every row of a claim that still has its lease."""
        update = sa.update(self.key.table).where(self.holds(claim)).values(**values)
        await self.database.transaction(lambda connection: connection.execute(update))

    async def release(self, claim: Claim) -> None:
        """Make the rows of a claim due at once, those that still have its lease."""
        await self.write(claim, **{self.due_at.name: self.now()})

    async def pull_in(self) -> None:
        """Make due what waits longer than any row can, because a clock was wrong when it was put off."""
        if self.longest is None:
            return
        now = self.now()
        late = now + max(self.longest, self.lease) + CLOCKS
        if keys := await self.database.read(partial(_keys, self._statements.late, now=now + FAR, late=late)):
            update = self._statements.move.where(self.due_at > now)
            given = {"keys": keys, "until": now}
            await self.database.transaction(lambda connection: connection.execute(update, given))

    async def claim(self, only: Sequence[Any] | None = None) -> Sequence[Claim]:
        """Claim rows that are due (`only` those with these keys); nothing when nothing is.

        They are looked for by a reading, mostly in vain, so that neither a look nor a long search takes the writer's
        lock.
        """
        while True:
            now = self.now()
            keys = await self.database.read(partial(self._candidates, only, now))
            if not keys:
                return ()
            claims, passed_over = await self._lease_or_release(keys, now)
            if claims:
                return claims
            if not passed_over:
                await asyncio.sleep(random.uniform(0, COLLISION_SECONDS))  # noqa: S311 - others were claiming the same

    def _candidates(self, only: Sequence[Any] | None, now: datetime, connection: sa.Connection) -> Sequence[Any]:
        query = self._statements.candidates
        if only is None:
            return _keys(query, connection, now=now)
        return connection.execute(query.where(self.key.in_(only)), {"now": now}).scalars().all()

    async def _lease_or_release(self, keys: Sequence[Any], now: datetime) -> tuple[list[Claim], int]:
        """Claim rows; who is cancelled meanwhile gives them back, because the transaction goes on to its end."""
        claiming = asyncio.ensure_future(self.database.transaction(partial(self._lease, keys, now)))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with contextlib.suppress(GatewayError):
                for claim in (await claiming)[0]:
                    await self.release(claim)
            raise

    def _lease(self, keys: Sequence[Any], now: datetime, connection: sa.Connection) -> tuple[list[Claim], int]:
        """Move the moment of those rows that are still due and that no other process is claiming.

        Returns:
            the claims, and how many of the other rows were passed over.
        """
        until = now + self.lease
        groups: defaultdict[Hashable, list[sa.RowMapping]] = defaultdict(list)
        for row in connection.execute(self._statements.due, {"now": now, "keys": keys}).mappings():
            groups[self.group(row) if self.group else row[self.key.name]].append(row)
        claims = [Claim(rows, until) for rows in groups.values()]
        claimed = [row[self.key.name] for claim in claims for row in claim.rows]
        if claimed:
            connection.execute(self._statements.move, {"until": until, "keys": claimed})
        others = [key for key in keys if key not in claimed]
        return claims, self.pass_over(connection, others) if self.pass_over and others else 0


class _Statements(NamedTuple):
    """What a queue executes.

    Args:
        candidates: SELECT the keys of what may be due at the moment `now`.
        late: SELECT the keys of what is due later than `late`, and before `now`.
        due: SELECT the rows of some `keys` that are due at `now`, and lock them.
        move: UPDATE when the rows of some `keys` are due.
    """

    candidates: sa.Select[Any]
    late: sa.Select[Any]
    due: sa.Select[Any]
    move: sa.Update


@lru_cache(64)
def _statements(
    key: sa.Column[Any],
    due_at: sa.Column[Any],
    due: Callable[[Moment], sa.Select[Any]],
    candidates: Callable[[Moment], sa.Select[Any]],
    *,
    scope: sa.ColumnElement[bool],
    batch: int,
) -> _Statements:
    now, late, until = (sa.bindparam(name, type_=due_at.type) for name in ("now", "late", "until"))
    these = scope, key.in_(sa.bindparam("keys", expanding=True, type_=key.type))
    mine = candidates(now).where(scope).with_only_columns(key)
    move = sa.update(key.table).where(*these).values({due_at: until})
    locked = due(now).where(*these).with_for_update(skip_locked=True, of=key.table)
    # A limit that PostgreSQL does not know makes a plan for all cases seem dear, so that it makes a new one each time.
    return _Statements(mine.limit(sa.literal_column(str(batch))), mine.where(due_at > late), locked, move)


def _keys(query: sa.Select[Any], connection: sa.Connection, **given: Any) -> Sequence[Any]:
    return [key for (key,) in execute(connection, query, given)]


def count_by_status(
    connection: sa.Connection,
    status: sa.Column[str],
    open_: sa.ColumnElement[bool] | sa.TextClause,
    statuses: Sequence[str],
) -> dict[str, int]:
    """Count the items of a queue that are not finished.

    Args:
        connection: to read from.
        status: the column with an item's status.
        open_: the condition of the index over what is not finished, so that nothing else is counted through.
        statuses: those that are counted, also where there is none.
    """
    query = sa.select(status, sa.func.count()).where(open_).group_by(status)
    return dict.fromkeys(statuses, 0) | dict(connection.execute(query).all())


class _Run:
    """One process's work on a queue.

    Args:
        queue: the queue.
        wake: set when there may be work, or a slot is free.
        only: the keys of the rows to work on; None: all.
    """

    def __init__(self, queue: LeaseQueue, wake: asyncio.Event, only: Sequence[Any] | None = None) -> None:
        self._queue = queue
        self._wake = wake
        self._only = only
        self._waiting: deque[Claim] = deque()
        self._running: dict[asyncio.Task[None], Claim] = {}
        self._started_at = math.inf
        self.claimed = 0

    async def run(self, *, until_empty: bool) -> None:
        """Claim and work, until cancelled or until nothing is due."""
        try:
            while True:
                self._wake.clear()
                await self._pull_in(patient=not until_empty)
                found = await self._fill(patient=not until_empty)
                # what ended during this look may have made something due
                if until_empty and not found and not self._running and not self._wake.is_set():
                    return
                if len(self._running) == self._queue.slots or not found:
                    with contextlib.suppress(TimeoutError):  # `wait_for` can swallow a cancellation (before 3.12)
                        async with asyncio.timeout(self._queue.idle_seconds):
                            await self._wake.wait()
        finally:
            await self._stop()

    async def _pull_in(self, *, patient: bool) -> None:
        """Look at the start, and once this machine's clock has been set back, for what would wait too long."""
        started_at = time.time() - time.monotonic()  # of the machine: the same moment as long as its clock goes on
        if started_at > self._started_at - CLOCKS.total_seconds():
            self._started_at = max(started_at, self._started_at)
            return
        try:
            await self._queue.pull_in()
            self._started_at = started_at
        except GatewayError as error:
            if not patient:
                raise
            log.warning("queue_waits", queue=self._queue.name, error=str(error))

    async def _fill(self, *, patient: bool) -> bool:
        """Begin work in every free slot; whether anything was claimed or begun."""
        queue, before = self._queue, self.claimed
        if not self._waiting and len(self._running) < queue.slots:
            try:
                self._waiting.extend(await queue.claim(self._only))
            except GatewayError as error:
                if not patient:
                    raise
                log.warning("queue_waits", queue=queue.name, error=str(error))
                return False
            self.claimed += sum(len(claim.rows) for claim in self._waiting)
        begun = False
        while self._waiting and len(self._running) < queue.slots:
            claim, begun = self._waiting.popleft(), True
            task = asyncio.create_task(self._work(claim), name=f"{queue.name} queue")
            self._running[task] = claim
            task.add_done_callback(self._ended)
        return begun or self.claimed > before

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()

    async def _work(self, claim: Claim) -> None:
        queue = self._queue
        if queue.now() > claim.until - timedelta(seconds=queue.work_seconds):
            await self._release(claim)  # it has waited too long for a slot
            return
        try:
            await queue.work(claim)
        except GatewayError as error:  # mostly: the database is away
            log.warning("queue_waits", queue=queue.name, error=str(error))
        except Exception:
            log.exception("queue_work_failed", queue=queue.name, items=len(claim.rows))
        now = queue.now()
        for row in claim.rows:
            QUEUE_SECONDS.labels(queue.name).observe(max(0.0, (now - row[queue.due_at.name]).total_seconds()))

    async def _stop(self) -> None:
        """Give back what was claimed and not finished: whoever comes next need not wait for the lease to end."""
        claims = [*self._running.values(), *self._waiting]
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for claim in claims:
            await self._release(claim)

    async def _release(self, claim: Claim) -> None:
        with contextlib.suppress(GatewayError):  # it is due again when its lease ends
            await self._queue.release(claim)
