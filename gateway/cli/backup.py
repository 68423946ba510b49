"""`gateway backup`: a copy of a SQLite database, taken while it is in use."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.context import console, run
from gateway.db.backup import backup as copy
from gateway.errors import BadInput
from gateway.runtime import Runtime

POSTGRESQL = (
    "PostgreSQL has tools of its own: `pg_dump --format=custom` copies the database while it is in use, "
    "`pg_basebackup` with archived WAL restores it to any moment"
)


def backup(file: Annotated[Path, typer.Argument(help="The copy; it must not be there yet.")]) -> None:
    """Copy a SQLite database while it is in use, checked and synced to disk."""

    async def work(runtime: Runtime) -> None:
        source = runtime.database.url.database
        if not runtime.database.is_sqlite or not source:
            raise BadInput(POSTGRESQL)
        size = await asyncio.to_thread(copy, Path(source), file)
        console.print(f"{file} is a whole copy ({size / 1e6:.1f} MB)", soft_wrap=True)

    run(work)
