"""`gateway db`: the gateway's own database, for an operator."""

import typer

from gateway import migrations
from gateway.cli.context import console, run
from gateway.runtime import Runtime

app = typer.Typer(help="The gateway's own database.", no_args_is_help=True, add_completion=False)


@app.command("upgrade")
def upgrade() -> None:
    """Migrate the database to this version; safe to run from several machines at once."""
    run(_upgrade)


async def _upgrade(runtime: Runtime) -> None:
    before = await migrations.current(runtime.database)
    await migrations.upgrade(runtime.database)
    after = await migrations.current(runtime.database)
    console.print(f"already at {after}" if before == after else f"migrated from {before or 'empty'} to {after}")


@app.command("current")
def current() -> None:
    """Say which migration the database is at; exit 1 when it is behind this version's."""
    run(_current)


async def _current(runtime: Runtime) -> int:
    revision = await migrations.current(runtime.database)
    needed = migrations.head()
    behind = revision is None or revision < needed
    note = f"; needs {needed}: `gateway db upgrade`" if behind else f"; needs {needed}" if revision != needed else ""
    console.print(f"at {revision or 'nothing'}{note}")
    return int(behind)
