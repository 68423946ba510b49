"""The catalogue in memory: read once, served without waiting, read again when it has changed.

A change that this process applied calls `invalidate()`; one that another process applied is seen by `poll()`. While
the database is down the last snapshot is served.
"""

import asyncio
import time
from datetime import UTC, datetime

import structlog
from sqlmodel import select

from gateway import metrics
from gateway.billing.snapshot import Snapshot, take
from gateway.database import Database
from gateway.errors import DatabaseUnavailable
from gateway.models import CatalogVersion, Price, Product
from gateway.settings import Settings

PAUSE_SECONDS = 1.0  # between two attempts to read while the database is down
LOAD_SECONDS = 5.0
HIT, MISS = metrics.CACHE.labels("catalog", "hit"), metrics.CACHE.labels("catalog", "miss")

log = structlog.get_logger()


class Catalog:
    """The present snapshot of the catalogue.

    Args:
        settings: the default currency.
        database: where the mirror is.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._currency = settings.default_currency
        self._database = database
        self._snapshot: Snapshot | None = None
        self._wanted = 1  # the generation that readers must see: grows with every change
        self._present = 0  # the generation that `_snapshot` has seen
        self._loading: asyncio.Task[Snapshot] | None = None
        self._pause_until = 0.0

    def invalidate(self) -> None:
        """Something in the catalogue changed: the next reader gets what is there now."""
        self._wanted += 1
        self._loading = None  # it may have read before the change; who waits for it asked before the change

    async def snapshot(self) -> Snapshot:
        """The catalogue. Only the first call after a change waits for the database; those beside it share its reading.

        Raises:
            DatabaseUnavailable: when there is no database and no earlier snapshot.
        """
        if self._snapshot is not None and (self._present == self._wanted or time.monotonic() < self._pause_until):
            HIT.inc()
            return self._snapshot
        MISS.inc()
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(self._wanted))
        return await asyncio.shield(self._loading)  # one reader that goes away must not take the others' answer along

    async def poll(self) -> None:
        """Look whether another process changed the catalogue, and if so read it. A failure is only logged."""
        try:
            async with self._database.read() as session:
                version = (await session.exec(select(CatalogVersion.version))).first()
            if self._snapshot is not None and version is not None and version != self._snapshot.version:
                self.invalidate()
                await self.snapshot()
        except Exception as error:  # noqa: BLE001 - the next poll tries again
            log.warning("catalog.poll_failed", error=str(error))

    async def _load(self, generation: int) -> Snapshot:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                snapshot = await self._read()
        except Exception as error:
            log.warning("catalog.not_read", exc_info=error)
            if self._snapshot is None:
                raise DatabaseUnavailable("the catalogue cannot be read from the database") from error
            # whatever it was, an old catalogue is better than none
            self._pause_until = time.monotonic() + PAUSE_SECONDS
            return self._snapshot
        finally:
            if self._wanted == generation:
                self._loading = None
        if generation > self._present:
            self._snapshot, self._present = snapshot, generation
        return snapshot

    async def _read(self) -> Snapshot:
        async with self._database.read() as session:
            # The version first: a change between the statements then makes the snapshot newer than its version says,
            # and the next poll reads again.
            version = (await session.exec(select(CatalogVersion))).first()
            products = (await session.exec(select(Product))).all()
            prices = (await session.exec(select(Price))).all()
        return take(
            products,
            prices,
            version=version.version if version else 0,
            as_of=version.changed_at if version else datetime.now(UTC),
            currency=self._currency,
        )
