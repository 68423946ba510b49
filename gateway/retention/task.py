"""What a running gateway does about retention, once a day; of several processes one does it."""

import asyncio
import random

import structlog

from gateway.db.database import Database
from gateway.db.locks import leader
from gateway.retention.erase import erase_again
from gateway.retention.prune import prune
from gateway.settings import Settings

log = structlog.get_logger()

DAY, FIRST_SECONDS = 86_400.0, 600.0


async def run_retention(
    database: Database, settings: Settings, *, first_seconds: float = FIRST_SECONDS, every_seconds: float = DAY
) -> None:
    """Delete what is old, and what came back of who was erased, until cancelled.

    It is done sooner where an offline Stripe's time is moved.

    Args:
        database: where it is.
        settings: how long what is kept.
        first_seconds: after which it is done for the first time, at the latest.
        every_seconds: how often.
    """
    await asyncio.sleep(random.uniform(0.5, 1) * first_seconds)  # noqa: S311 - not all at once
    while True:
        async with leader(database, "retention") as leading:
            if leading:
                emptied = await erase_again(database)
                log.info("pruned", **await prune(database, settings), emptied_payloads=emptied)
        await database.clock.sleep(every_seconds)
