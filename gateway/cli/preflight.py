"""What is looked at before `gateway serve` serves. It imports the whole application, which one process runs then."""

import asyncio
import time
from contextlib import suppress

import structlog

import gateway.app  # noqa: F401 - the server takes it by its name
from gateway import __version__, migrations
from gateway.db.engines import database_url
from gateway.errors import DatabaseUnavailable, SettingsError
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.runtime import open_runtime
from gateway.settings import Settings
from gateway.settings.proxies import prepare_proxies, proxy_variable

log = structlog.get_logger()

LOOK_SECONDS = 0.5
"""Between two looks at a database that waits for its migration."""


def check(host: str, port: int, wait_seconds: int = 0) -> dict[str, str]:
    """Return what is said once the gateway serves, by its settings.

    Args:
        host: the address to listen on.
        port: the port.
        wait_seconds: how long a database that is not migrated is waited for.

    Raises:
        SettingsError: one is missing or wrong, or the database is not migrated.
    """
    settings = Settings.load()
    settings.require_stripe()
    prepare_proxies(settings)
    url = database_url(settings.database_url.get_secret_value())
    PersistedDocuments(settings)
    asyncio.run(_migrated(settings, wait_seconds))
    about = {
        "address": f"http://{f'[{host}]' if ':' in host else host}:{port}",
        "version": __version__,
        "mode": settings.stripe_mode,
        "database": f"SQLite, {url.database}" if url.drivername == "sqlite" else f"PostgreSQL, {url.database}",
    }
    if proxy := proxy_variable(settings.stripe_api_base):
        about["proxy"] = proxy
    return about


async def _migrated(settings: Settings, wait_seconds: int) -> None:
    """Return when the database is not behind, or cannot be reached: then the gateway starts, and `/readyz` tells.

    Raises:
        SettingsError: it is behind, and stays so.
    """
    deadline, said = time.monotonic() + wait_seconds, False
    async with open_runtime(settings) as runtime:
        with suppress(DatabaseUnavailable):
            while behind := await migrations.behind(runtime.database):
                if time.monotonic() >= deadline:
                    raise SettingsError(behind)
                if not said:
                    log.warning("waiting_for_migration", problem=behind)
                    said = True
                await asyncio.sleep(LOOK_SECONDS)
