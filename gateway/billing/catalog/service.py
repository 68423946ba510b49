"""The catalogue in memory: read once, served without waiting, and what has changed read when it has changed.

A change calls `invalidate()`, whoever applied it: the other processes are heard (`gateway/db/notifications.py`). While
it is not known that they are, as on a machine so busy that this process did not run for 45 ms, every reading asks the
database which version is there, together with those that ask meanwhile. Each version says which rows it changed
(`CatalogChange`), so that the next snapshot is made of the last one and these rows; of the whole catalogue where that
is not told of every version between, where they are many, or after a gap in what was heard. While the database is down
the last snapshot is served.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
import structlog

from gateway.billing.catalog.snapshot import Snapshot, build_snapshot
from gateway.db.batches import Batches
from gateway.db.database import Database
from gateway.db.queries import PreparedQuery
from gateway.db.tables import table_for
from gateway.errors import DatabaseUnavailable
from gateway.mirror.accounts import own
from gateway.models.infra import CatalogChange, CatalogVersion
from gateway.models.mirrored import Price, Product
from gateway.observability import metrics
from gateway.settings import Settings

PAUSE_SECONDS = 1.0
LOAD_SECONDS = 5.0
MAX_CHANGES = 1_000  # more rows than this are read with all others
TOPIC = "catalog"
VERSION, CHANGES = table_for(CatalogVersion), table_for(CatalogChange)
PRODUCTS, PRICES = table_for(Product), table_for(Price)
HIT, MISS = metrics.CACHE.labels("catalog", "hit"), metrics.CACHE.labels("catalog", "miss")

log = structlog.get_logger()
Found = TypeVar("Found")


class Catalog:
    """The present snapshot of the catalogue.

    Args:
        settings: the default currency.
        database: where the mirror is.
        hears: whether everything is heard that was committed 50 ms ago, by any process (`Notifications.is_current`).
        pause_seconds: between two attempts to read while the database is down.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        hears: Callable[[], bool] = lambda: True,
        *,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._currency = settings.default_currency
        self._database = database
        self._hears = hears
        self._snapshot: Snapshot | None = None
        self._wanted = 1  # the generation that readers must see: grows with every change
        self._present = 0  # the generation that `_snapshot` has seen
        self._whole = 1  # the generation for which everything must be read
        self._loading: asyncio.Task[Snapshot] | None = None
        self._pause_seconds = pause_seconds
        self._pause_until = 0.0
        self._versions = Batches(database, _versions, most=sys.maxsize, queue_limit=sys.maxsize, reads=True)

    def hear(self, topics: Collection[str] | None) -> None:
        """Something about these topics changed; None is everything."""
        if topics is None:
            self._whole = self._wanted + 1
        if topics is None or TOPIC in topics:
            self.invalidate()

    def invalidate(self) -> None:
        """Something in the catalogue changed: the next reader gets what is there now."""
        self._wanted += 1
        self._loading = None  # it may have read before the change; who waits for it asked before the change

    @property
    def current(self) -> Snapshot | None:
        """Return the snapshot that is known to be the present one without looking; None when that takes a look."""
        return self._snapshot if self._present == self._wanted and self._hears() else None

    async def snapshot(self) -> Snapshot:
        """Return the catalogue. Only the first call after a change waits for the database; others share its read.

        Raises:
            DatabaseUnavailable: when there is no database and no earlier snapshot.
        """
        if self._snapshot is not None:
            pausing = time.monotonic() < self._pause_until
            if not pausing and not self._hears():
                await self._look(self._snapshot)
            if pausing or self._present == self._wanted:
                HIT.inc()
                return self._snapshot
        MISS.inc()
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(self._wanted))
        return await asyncio.shield(self._loading)  # one reader that goes away must not take the others' answer along

    async def read_beside(self, work: Callable[[sa.Connection], Found], *, seconds: float) -> tuple[Found, Snapshot]:
        """Return what `work` reads, as `Database.read` does, and the catalogue as it was then or later.

        Whether another process has changed the catalogue is asked in the same trip.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        before = self._snapshot
        version, found = await self._database.read(partial(_with_version, work=work), seconds=seconds)
        if before is not None:
            self._compare(before, version)
            if before is self._snapshot and self._present == self._wanted:
                HIT.inc()
                return found, before
        return found, await self.snapshot()

    async def _look(self, snapshot: Snapshot) -> None:
        """Find out whether another process has changed the catalogue since this snapshot."""
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                version = await self._versions.do(None)
        except Exception as error:  # noqa: BLE001 - as in `_load`
            log.warning("catalog.not_read", error=type(error).__name__)
            self._pause_until = time.monotonic() + self._pause_seconds
        else:
            self._compare(snapshot, version)

    def _compare(self, snapshot: Snapshot, version: int) -> None:
        """Compare the version that there was with that of a snapshot, as long as it is the present one."""
        if version != snapshot.version and snapshot is self._snapshot:
            self.invalidate()

    async def _load(self, generation: int) -> Snapshot:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                snapshot = await self._read(self._snapshot if self._present >= self._whole else None)
        except Exception as error:
            log.warning("catalog.not_read", exc_info=error)
            if self._snapshot is None:
                raise DatabaseUnavailable("the catalogue cannot be read from the database") from error
            # whatever it was, an old catalogue is better than none
            self._pause_until = time.monotonic() + self._pause_seconds
            return self._snapshot
        finally:
            if self._wanted == generation:
                self._loading = None
        if generation > self._present:
            self._snapshot, self._present = snapshot, generation
        return snapshot

    async def _read(self, before: Snapshot | None) -> Snapshot:
        """Return what is there now, made from an earlier snapshot where there is one."""
        rows = await self._database.read(partial(_rows, since=before.version if before else None))
        if before is None or rows.is_whole:
            return build_snapshot(
                rows.products, rows.prices, version=rows.version, as_of=rows.as_of, currency=self._currency
            )
        if rows.version == before.version:
            return before
        return before.changed(rows.products, rows.prices, version=rows.version, as_of=rows.as_of)


class Rows(NamedTuple):
    """Rows of the catalogue as the driver gives them, with the models' attributes.

    Nobody writes to these, so that they need not be objects of the ORM, whose first use takes 2 MB.

    Attributes:
        version: of the catalogue.
        as_of: when it last changed.
        products: the rows.
        prices: the rows.
        is_whole: whether these are all; else they are those that changed.
    """

    version: int
    as_of: datetime
    products: Sequence[Any]
    prices: Sequence[Any]
    is_whole: bool


_NUMBER = PreparedQuery(lambda _: sa.select(VERSION.c.version))
_VERSION = sa.select(VERSION)
_ALL = tuple(sa.select(table).where(own(table.c.id)) for table in (PRODUCTS, PRICES))


def _version(connection: sa.Connection) -> int:
    found = _NUMBER.rows(connection)
    return int(found[0].version) if found else 0


def _versions(connection: sa.Connection, asked: Sequence[None]) -> list[int]:
    """Return the present version to each of those who have asked for it."""
    return [_version(connection)] * len(asked)


def _with_version(connection: sa.Connection, work: Callable[[sa.Connection], Found]) -> tuple[int, Found]:
    """Return what `work` reads, and the version of the catalogue as it was before."""
    return _version(connection), work(connection)


def _rows(connection: sa.Connection, since: int | None) -> Rows:
    """Return what changed since a version; all that there is where that cannot be told.

    The version first: a change between the statements then makes the rows newer than their version says, and the next
    look reads them again.
    """
    found = connection.execute(_VERSION).first()
    version, as_of = (found.version, found.changed_at) if found else (0, datetime.now(UTC))
    changed = None if since is None else _changed(connection, since, version)
    if changed is not None:
        return Rows(version, as_of, *changed, is_whole=False)
    products, prices = (connection.execute(statement).all() for statement in _ALL)
    return Rows(version, as_of, products, prices, is_whole=True)


def _changed(connection: sa.Connection, since: int, until: int) -> tuple[Sequence[Any], Sequence[Any]] | None:
    """Return the products and the prices that changed between two versions; None where some version does not say."""
    if since == until:
        return (), ()
    later = sa.select(CHANGES).where(CHANGES.c.version.between(since + 1, until))
    changes = connection.execute(later).all()
    products = {product_id for each in changes for product_id in each.products}
    prices = {price_id for each in changes for price_id in each.prices}
    if len(changes) != until - since or len(products) + len(prices) > MAX_CHANGES:
        return None
    return _named(connection, PRODUCTS, products), _named(connection, PRICES, prices)


def _named(connection: sa.Connection, table: sa.Table, ids: Collection[str]) -> Sequence[Any]:
    return connection.execute(sa.select(table).where(table.c.id.in_(ids))).all() if ids else ()
