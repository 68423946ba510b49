"""Accounts for all requests of a process, read together: who asks while some are being read is read with the next.

A reading costs a trip to a thread and its statements for however few it is, and while it goes on its thread and the
event loop take Python's lock from each other. So there is one at a time. Nobody is given what was read before he asked.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice

from gateway.billing.catalog.service import Catalog
from gateway.billing.catalog.snapshot import Snapshot
from gateway.billing.customers import account as accounts
from gateway.billing.customers.account import Account, AccountSelection
from gateway.db.database import READ_SECONDS
from gateway.errors import DatabaseUnavailable

Found = tuple[Account, Snapshot]
"""An account, and the catalogue as it was then or later."""

TOGETHER = 50
"""The most accounts of one reading: the first of them waits for the last."""
LEAST_SECONDS = 1.0
"""How long a reading may take, however long those of before have taken."""


class AccountReader:
    """Reads accounts. One instance for a process.

    Args:
        catalog: read with them, because whoever shows an account shows its plans too.
        grace: how long access goes on after a failed charge.
        together: the most accounts of one reading.
        read_seconds: how long after the first of them has asked a reading may end.
    """

    def __init__(
        self, catalog: Catalog, grace: timedelta, *, together: int = TOGETHER, read_seconds: float = READ_SECONDS
    ) -> None:
        self._catalog = catalog
        self._grace = grace
        self._together, self._read_seconds = together, read_seconds
        self._waiting: dict[AccountSelection, list[asyncio.Future[Found]]] = {}
        self._since: float  # when the first of those who wait has asked
        self._reading: asyncio.Task[None] | None = None

    async def read(self, selection: AccountSelection) -> Found:
        """Return an account as it was at some moment after this call, and the catalogue of which it speaks.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
            BadInput: it cannot hold such an id.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._since = loop.time()
        found: asyncio.Future[Found] = loop.create_future()
        self._waiting.setdefault(selection, []).append(found)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())  # begins when whoever is about to ask has asked
        return await found

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                until = max(self._since + self._read_seconds, asyncio.get_running_loop().time() + LEAST_SECONDS)
                some = list(islice(self._waiting, self._together))
                await self._read({each: self._waiting.pop(each) for each in some}, until)
        finally:
            self._reading = None

    async def _read(self, waiting: dict[AccountSelection, list["asyncio.Future[Found]"]], until: float) -> None:
        """Read some accounts; where one of them cannot be read, each alone: nobody pays for another's id.

        They have the loop's time `until` for all of it: who asks next waits for no more than that.
        """
        seconds = until - asyncio.get_running_loop().time()
        work = partial(accounts.read, wanted=list(waiting), grace=self._grace)
        try:
            read, snapshot = await self._catalog.read_beside(work, seconds=seconds)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            if len(waiting) > 1 and not isinstance(error, DatabaseUnavailable):
                for selection, futures in waiting.items():
                    await self._read({selection: futures}, until)
                return
            for future in _unanswered(waiting):
                future.set_exception(error)
        else:
            for selection, futures in waiting.items():
                for future in _unanswered({selection: futures}):
                    future.set_result((read[selection], snapshot))


def _unanswered(
    waiting: Mapping[AccountSelection, Sequence["asyncio.Future[Found]"]],
) -> Iterator["asyncio.Future[Found]"]:
    """Yield those who still wait."""
    return (future for futures in waiting.values() for future in futures if not future.done())
