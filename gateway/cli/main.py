"""The `gateway` command. A command imports what it alone needs when it runs: the start is what people wait for."""

import asyncio
import gc
import os
from contextlib import ExitStack, aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
import uvicorn
from rich.console import Console
from rich.markup import escape

from gateway import migrations
from gateway.cli.context import console, run
from gateway.cli.events import events_app
from gateway.cli.mirror import reconcile, sync
from gateway.cli.outbox import outbox_app
from gateway.cli.sandbox import sandbox
from gateway.db.engines import database_url
from gateway.errors import GatewayError
from gateway.http.server import OPTIONS
from gateway.observability.logging import configure_logging
from gateway.runtime import Runtime
from gateway.settings import Settings

app = typer.Typer(
    name="gateway",
    help="A GraphQL billing gateway between a web application and Stripe.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
db_app = typer.Typer(help="The gateway's own database.", no_args_is_help=True)
app.add_typer(events_app, name="events")
app.add_typer(db_app, name="db")
app.add_typer(outbox_app, name="outbox")
app.command("sync")(sync)
app.command("reconcile")(reconcile)
app.command("sandbox")(sandbox)

SCHEMA_FILE = Path("schema.graphql")

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The gateway's port.")]
StripePort = Annotated[int, typer.Option(min=1, max=65535, help="The offline Stripe's port.")]


def main() -> None:
    """Run the command; a failure that somebody can mend is one line and exit code 1, never a stack."""
    gc.freeze()  # what is imported stays to the end, where looking through it takes a quarter of a short command
    gc.enable()
    try:
        app()
    except GatewayError as error:
        Console(stderr=True).print(f"[red]{error.code}[/] {error}", highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


@app.command("dev")
def dev(
    port: Port = 8000,
    stripe_port: StripePort = 12111,
    host: Host = "127.0.0.1",
    fresh: Annotated[bool, typer.Option("--fresh", help="Start with an empty state.")] = False,
) -> None:
    """Run the gateway, the offline Stripe and the demo shop together: no account, no key, no network."""
    configure_logging(readable=True)
    from gateway.cli import dev as development

    place = development.Dev(host=host, port=port, stripe_port=stripe_port)
    raise typer.Exit(asyncio.run(development.run(place, console, fresh=fresh)) or 0)


@app.command("serve")
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one wants PostgreSQL.")] = 1,
) -> None:
    """Run the gateway alone, for production: its settings come from the environment."""
    configure_logging(readable=False)
    from gateway.graphql.execution.persisted import PersistedDocuments

    settings = Settings.load()
    settings.require_stripe()
    # What is wrong with these stops the start here, not in each worker.
    database_url(settings.database_url.get_secret_value())
    PersistedDocuments(settings)
    with ExitStack() as stack:
        if workers > 1:  # they count into one folder, so that whichever is asked for its metrics answers for all
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", stack.enter_context(TemporaryDirectory()))
        _serve(host, port, workers)


def _serve(host: str, port: int, workers: int) -> None:
    gc.disable()  # until the application is imported and made: `from_environment` enables it again
    uvicorn.run(
        "gateway.app:from_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        timeout_graceful_shutdown=4,
        **OPTIONS,
    )


@app.command("doctor")
def doctor() -> None:
    """Check settings, database, Stripe and the webhook endpoint: a line each, with the mend; exit 1 on a failure."""
    run(_doctor)


async def _doctor(runtime: Runtime) -> int:
    from gateway.cli import doctor as checks

    failed = False
    async with aclosing(checks.run_checks(runtime)) as found:  # also when nobody reads on: `gateway doctor | head -1`
        async for check in found:
            failed |= check.fix is not None and not check.warning
            mark = "[green]✓[/]" if check.fix is None else "[yellow]![/]" if check.warning else "[red]✗[/]"
            line = escape(f"{check.name}: {check.finding}" + (f" → {check.fix}" if check.fix else ""))
            console.print(f"{mark} {line}", soft_wrap=True)
    return int(failed)


@app.command("schema")
def schema(
    check: Annotated[bool, typer.Option("--check", help="Compare with schema.graphql instead of printing.")] = False,
) -> None:
    """Print the GraphQL schema, or hold it against schema.graphql and list the breaking changes."""
    from gateway.graphql import schema as graphql_schema

    if not check:
        typer.echo(graphql_schema.sdl(), nl=False)
        return
    differences = graphql_schema.check(SCHEMA_FILE.read_text() if SCHEMA_FILE.exists() else "")
    for difference in differences:
        console.print(difference, markup=False)
    if differences:
        console.print("schema.graphql is out of date: `gateway schema > schema.graphql` writes it")
        raise typer.Exit(1)
    console.print("schema.graphql is up to date")


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Migrate the database to this version; safe to run from several machines at once."""
    run(_upgrade)


async def _upgrade(runtime: Runtime) -> None:
    before = await migrations.current(runtime.database)
    await migrations.upgrade(runtime.database)
    after = await migrations.current(runtime.database)
    console.print(f"already at {after}" if before == after else f"migrated from {before or 'empty'} to {after}")


@db_app.command("current")
def db_current() -> None:
    """Say which migration the database is at; exit 1 when it is not this version's."""
    run(_current)


async def _current(runtime: Runtime) -> int:
    revision = await migrations.current(runtime.database)
    behind = revision != migrations.head()
    console.print(
        f"at {revision or 'nothing'}" + (f"; needs {migrations.head()}: `gateway db upgrade`" if behind else "")
    )
    return int(behind)
