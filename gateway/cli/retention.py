"""`gateway prune`: what is finished and old is deleted."""

from typing import Annotated

import typer

from gateway.cli.context import console, run
from gateway.retention.prune import count_old
from gateway.retention.prune import prune as delete_old
from gateway.runtime import Runtime


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
) -> None:
    """Delete what is finished and older than the settings say; a running gateway does it once a day."""

    async def work(runtime: Runtime) -> None:
        counts = await (count_old if dry_run else delete_old)(runtime.database, runtime.settings)
        verb = "would be deleted" if dry_run else "deleted"
        console.print("; ".join(f"{count} {name}" for name, count in counts.items()), verb)

    run(work)
