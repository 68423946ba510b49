"""`gateway doctor`: what can be wrong with a gateway, looked at one by one."""

from contextlib import aclosing
from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli.context import run
from gateway.cli.listing import AsJson, Row, show_rows
from gateway.errors import BadInput
from gateway.operators.checks import run_checks
from gateway.operators.endpoint import endpoints, repair
from gateway.runtime import Runtime

MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="First enable the endpoint at Stripe, and add the events that it misses.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check settings, database, Stripe and the webhook endpoint: a line each, with the fix; exit 1 on a failure."""

    async def work(runtime: Runtime) -> int:
        if fix:
            await _repair(runtime)
        return await _doctor(runtime, as_json=as_json)

    run(work)


async def _repair(runtime: Runtime) -> None:
    """Repair the endpoint at Stripe, and say before each change what it is.

    Raises:
        BadInput: there are several, and nothing says which is this gateway's.
    """
    stripe, labels = runtime.require_stripe(), [label for label, _ in runtime.settings.stripe_webhook_secrets]
    found = await endpoints(stripe, labels)
    if len(found) > 1:
        named = ", ".join(f"{each.id} ({each.url})" for each in found)
        raise BadInput(f"several endpoints may be this gateway's: {named}; write STRIPE_WEBHOOK_SECRET=we_…:whsec_…")
    for endpoint in found:
        async for step in repair(stripe, endpoint):
            typer.echo(f"{step} …", err=True)


async def _doctor(runtime: Runtime, *, as_json: bool) -> int:
    failed = False
    async with aclosing(run_checks(runtime)) as found:  # also when nobody reads on: `gateway doctor | head -1`
        async for check in found:
            failed |= check.status == "failed"
            row = {"check": check.name, "status": check.status, "finding": check.finding, "fix": check.fix}
            show_rows([row], _line, as_json=as_json, none="")
    return int(failed)


def _line(row: Row) -> str:
    fix = f" → {row['fix']}" if row["fix"] else ""
    return f"{MARKS[row['status']]} {escape(row['check'] + ': ' + row['finding'] + fix)}"
