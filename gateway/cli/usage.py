"""`gateway usage`: usage on its way to Stripe's meters, for an operator."""

from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.markup import escape

from gateway.billing.metering.forwarder import USAGE
from gateway.cli.context import console, require_known, run
from gateway.cli.listing import AsJson, Limit, Row, show_rows
from gateway.db.database import Database
from gateway.errors import BadInput
from gateway.operators.usage import COLUMNS, send_again
from gateway.runtime import Runtime

app = typer.Typer(
    help="The usage that was reported, on its way to Stripe's meters.", no_args_is_help=True, add_completion=False
)
STATUSES = {"sent": "green", "counted": "dim", "pending": "cyan", "dead": "red"}


@app.command("list")
def list_(  # noqa: PLR0917 - each is an option of the command line
    status: Annotated[str | None, typer.Option(help=f"Only with this status: {', '.join(STATUSES)}.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only what Stripe refused, which waits for you.")] = False,
    customer: Annotated[str | None, typer.Option(help="Only of this customer (cus_…).")] = None,
    meter: Annotated[str | None, typer.Option(help="Only of the meter with this event name.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List usage with what became of it, what was reported last first."""
    if status is not None and status not in STATUSES:
        raise BadInput(f"--status: {status!r} is none of {', '.join(STATUSES)}")
    wanted = {USAGE.c.status: "dead" if dead else status, USAGE.c.customer_id: customer, USAGE.c.event_name: meter}
    query = sa.select(*COLUMNS).where(*(column == value for column, value in wanted.items() if value is not None))
    newest = query.order_by(USAGE.c.created.desc(), USAGE.c.id).limit(limit)

    async def work(runtime: Runtime) -> None:
        show_rows(await _read(runtime.database, newest), _line, as_json=as_json, none="no usage")

    run(work)


def _line(row: Row) -> str:
    status = f"[{STATUSES[row['status']]}]{row['status']:<7}[/]"
    detail = escape(f"{row['event_name']} {row['value']:+}  {row['customer_id']}  {row['last_error'] or ''}")
    return f"{escape(row['id'])}  {row['timestamp']:%Y-%m-%d %H:%M:%S}  {status}  {row['attempts']:>2} tries  {detail}"


@app.command("retry")
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="The identifiers of the reports.", show_default=False)] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Everything that Stripe refused.")] = False,
) -> None:
    """Send usage again that Stripe refused, under the same identifiers, so that none counts twice."""
    if bool(ids) == dead:
        raise BadInput("no report is named: name those to send again, or give --dead for all that Stripe refused")
    run(lambda runtime: _retry(runtime, ids or None))


async def _retry(runtime: Runtime, ids: list[str] | None) -> int:
    """Send refused usage here and say what became of each."""
    await require_known(runtime.database, USAGE.c.id, ids, "report")
    sent = refused = 0
    async for rows in send_again(runtime, ids):
        show_rows(rows, _line, as_json=False, none="")
        sent += len(rows)
        refused += sum(row["status"] == "dead" for row in rows)
    console.print(f"{sent} reports, {refused} of them refused again")
    return int(refused > 0)


async def _read(database: Database, query: sa.Select[Any]) -> list[Row]:
    return await database.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])
