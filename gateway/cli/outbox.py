"""`gateway outbox`: the messages to the application, for an operator."""

from typing import Annotated

import typer
from rich.markup import escape

from gateway.cli.context import console, require_known, run
from gateway.cli.listing import AsJson, Limit, Row, show_rows
from gateway.errors import BadInput
from gateway.operators.messages import deliver_again, deliveries
from gateway.outbound.outbox import MESSAGES
from gateway.runtime import Runtime

app = typer.Typer(help="The webhooks to the application.", no_args_is_help=True, add_completion=False)
STATUSES = {"delivered": "green", "pending": "cyan", "dead": "red"}


@app.command("list")
def list_(
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters: given up, waiting for you.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List messages with their deliveries, the newest first."""
    query = deliveries("dead" if dead else None).order_by(MESSAGES.c.id.desc()).limit(limit)

    async def work(runtime: Runtime) -> None:
        rows = await runtime.database.read(
            lambda connection: [dict(row) for row in connection.execute(query).mappings()]
        )
        show_rows(rows, _line, as_json=as_json, none="no messages")

    run(work)


def _line(row: Row) -> str:
    status = f"[{STATUSES[row['status']]}]{row['status']:<9}[/]"
    detail = escape(f"{row['type']}  {row['endpoint']}  {row['last_error'] or ''}")
    return f"{row['id']}  {row['created']:%Y-%m-%d %H:%M:%S}  {status}  {row['attempts']:>2} tries  {detail}"


@app.command("retry")
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Messages (msg_…), delivered or not.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Every dead letter.")] = False,
) -> None:
    """Deliver messages again, under the same `webhook-id`; the running gateway sends them at once."""
    if bool(ids) == dead:
        raise BadInput("no message is named: name those to deliver again, or give --dead for all that were given up")

    async def work(runtime: Runtime) -> None:
        await require_known(runtime.database, MESSAGES.c.message_id, ids, "message")
        console.print(f"{await deliver_again(runtime.database, ids or None)} deliveries are due now")

    run(work)
