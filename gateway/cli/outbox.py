"""`gateway outbox`: the messages to the application, for an operator."""

from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.markup import escape

from gateway.cli.context import console, run
from gateway.cli.listing import AsJson, Limit, Row, show_rows
from gateway.db.database import Database
from gateway.errors import BadInput
from gateway.outbound.outbox import DELIVERIES, MESSAGES
from gateway.runtime import Runtime

app = typer.Typer(help="The webhooks to the application.", no_args_is_help=True, add_completion=False)
STATUSES = {"delivered": "green", "pending": "cyan", "dead": "red"}
COLUMNS = [
    *(MESSAGES.c.message_id.label("id"), MESSAGES.c.type, MESSAGES.c.created, MESSAGES.c.customer_id),
    *(DELIVERIES.c.endpoint, DELIVERIES.c.status, DELIVERIES.c.attempts),
    *(DELIVERIES.c.next_attempt_at, DELIVERIES.c.last_error),
]


@app.command("list")
def list_(
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters: given up, waiting for you.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List messages with their deliveries, the newest first."""
    query = (
        sa.select(*COLUMNS)
        .join(DELIVERIES, DELIVERIES.c.id == MESSAGES.c.id)
        .order_by(MESSAGES.c.id.desc())
        .limit(limit)
    )
    chosen = query.where(DELIVERIES.c.status == "dead") if dead else query

    async def work(runtime: Runtime) -> None:
        rows = await runtime.database.read(
            lambda connection: [dict(row) for row in connection.execute(chosen).mappings()]
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
        raise BadInput("name the messages to deliver again, or give --dead for all that were given up")
    chosen = sa.select(MESSAGES.c.id).where(MESSAGES.c.message_id.in_(ids or []))
    which = DELIVERIES.c.status == "dead" if dead else DELIVERIES.c.id.in_(chosen)
    run(lambda runtime: _retry(runtime.database, which))


async def _retry(database: Database, which: Any) -> None:
    fresh = {"status": "pending", "attempts": 0, "next_attempt_at": datetime.now(UTC), "last_error": None}
    update = sa.update(DELIVERIES).where(which).values(**fresh)
    count = await database.transaction(lambda connection: connection.execute(update).rowcount)
    console.print(f"{count} deliveries are due now")
