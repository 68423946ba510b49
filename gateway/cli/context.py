"""What every command has: its settings, an open runtime, the console, and its exit code."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa
import typer
from rich.console import Console

from gateway.db.database import Database
from gateway.errors import BadInput, StripeUnavailable
from gateway.observability.logging import configure_logging
from gateway.runtime import Runtime, open_runtime
from gateway.settings import Settings
from gateway.settings.proxies import proxy_note
from gateway.settings.variables import STATE_DIR

console = Console()


def operator_settings() -> Settings:
    """Load an operator's settings: from the environment, then `.env`, then what `gateway dev` has written.

    Raises:
        SettingsError: a value is wrong.
    """
    return Settings.load(env_files=(Path(".env"), STATE_DIR / "dev.env"))


def run(work: Callable[[Runtime], Awaitable[int | None]]) -> NoReturn:
    """Run a command's work on an open runtime; what it returns is the exit code."""

    async def on_runtime() -> int | None:
        async with open_runtime(operator_settings()) as runtime:
            try:
                return await work(runtime)
            except StripeUnavailable as error:
                raise StripeUnavailable(f"{error}{proxy_note(runtime.settings)}") from error

    configure_logging(readable=True)
    raise typer.Exit(asyncio.run(on_runtime()) or 0)


async def require_known(
    database: Database, column: sa.ColumnElement[str], ids: Sequence[str] | None, what: str
) -> None:
    """Refuse ids that are nobody's, before anything is done: one that is mistyped would be passed over in silence.

    Args:
        database: where they are looked for.
        column: the ids that there are.
        ids: those that were given; None where all are meant.
        what: they are called in the sentence.

    Raises:
        BadInput: there is none of some id.
    """
    query = sa.select(column).where(column.in_(ids or ()))
    known = set(await database.read(lambda connection: connection.execute(query).scalars().all()))
    if missing := [each for each in ids or () if each not in known]:
        raise BadInput(f"there is no {what} {', '.join(missing)}; nothing was done")
