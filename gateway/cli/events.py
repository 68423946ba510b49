"""`gateway events`: the inbox, for an operator."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.json import JSON
from rich.markup import escape
from rich.table import Table

from gateway.cli.context import console, require_known, run
from gateway.cli.listing import AsJson, Limit, Row, show_rows
from gateway.db.database import Database
from gateway.db.rows import all_rows
from gateway.db.tables import table_for
from gateway.errors import BadInput
from gateway.models.inbox import Event
from gateway.operators.events import FAILED, changes, failed_ids, ids_of_range, process_again, read_event
from gateway.runtime import Runtime
from gateway.webhooks.event import StripeEvent

app = typer.Typer(
    help="The inbox: every event that Stripe sent, and what became of it.", no_args_is_help=True, add_completion=False
)
_TABLE = table_for(Event)
TOGETHER = 500
"""So many events are processed at a time, which any database takes as the parameters of one statement."""
STATUSES = {"applied": "green", "stale": "dim", "ignored": "dim", "pending": "cyan", "failed": "yellow", "dead": "red"}

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of events (evt_…).", show_default=False)]
Moment = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="In UTC.")]


@app.command("list")
def list_(  # noqa: PLR0917 - each is an option of the command line
    status: Annotated[str | None, typer.Option(help=f"Only with this status: {', '.join(STATUSES)}.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="Only dead letters: given up, waiting for you.")] = False,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type, such as invoice.paid.")] = None,
    about: Annotated[str | None, typer.Option("--object", help="Only about this object, such as sub_….")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List events, those that happened last first."""
    if status is not None and status not in STATUSES:
        raise BadInput(f"--status: {status!r} is none of {', '.join(STATUSES)}")
    wanted = {"status": "dead" if dead else status, "type": kind, "object_id": about}
    conditions = [_TABLE.c[name] == value for name, value in wanted.items() if value is not None]
    newest = _TABLE.c.created.desc(), _TABLE.c.received_at.desc()

    async def work(runtime: Runtime) -> None:
        rows = await runtime.database.read(
            lambda connection: all_rows(connection, Event, *conditions, order_by=newest, limit=limit)
        )
        show_rows([_row(row) for row in rows], _line, as_json=as_json, none="no events")

    run(work)


def _row(event: Event) -> Row:
    return event.model_dump(exclude={"payload"})


def _line(row: Row) -> str:
    status = f"[{STATUSES[row['status']]}]{row['status']:<7}[/]"
    detail = escape(f"{row['type']}  {row['last_error'] or row['outcome'] or ''}")
    return f"{row['id']}  {row['created']:%Y-%m-%d %H:%M:%S}  {status}  {row['attempts']:>2} tries  {detail}"


@app.command("show")
def show(id: Annotated[str, typer.Argument(help="The event's id (evt_…).")]) -> None:
    """Show one event: what became of it, what it says has changed, and the whole of it."""
    run(lambda runtime: _show(runtime, id))


async def _show(runtime: Runtime, id: str) -> None:
    row = await read_event(runtime.database, id)
    if row is None:
        raise BadInput(f"there is no event {id}")
    table = Table(show_header=False)
    for name, value in row.model_dump(exclude={"payload"}).items():
        if value not in (None, []):
            table.add_row(name, escape(str(value)))
    console.print(table)
    changed = Table("changed", "from", "to")
    for name, before, after in changes(StripeEvent.parse(row.payload)):
        changed.add_row(name, _shown(before), _shown(after))
    console.print(changed if changed.row_count else "it names no changes: what it holds is the whole state")
    console.print(JSON(row.payload))


def _shown(value: Any) -> str:
    return escape(value if isinstance(value, str) else orjson.dumps(value).decode())


@app.command("retry")
def retry(
    ids: Ids = None,
    dead: Annotated[bool, typer.Option("--dead", help="Every dead letter and every failed event.")] = False,
) -> None:
    """Try failed events and dead letters again, now."""
    if bool(ids) == dead:
        raise BadInput("no event is named: name those to retry, or give --dead for all that failed")
    run(lambda runtime: _again(runtime, ids, lambda: failed_ids(runtime.database, ids or None)))


@app.command("replay")
def replay(ids: Ids = None, since: Moment = None, until: Moment = None) -> None:
    """Apply events again, by id or by a range of creation; what is known better already stays as it is."""
    if bool(ids) == bool(since or until):
        raise BadInput("no event is named: name those to replay, or give a range with --since and --until")
    start, end = (moment and moment.replace(tzinfo=UTC) for moment in (since, until))
    run(lambda runtime: _again(runtime, ids, lambda: _chosen(runtime.database, ids, start, end)))


async def _chosen(
    database: Database, ids: list[str] | None, since: datetime | None, until: datetime | None
) -> Sequence[str]:
    return ids or await ids_of_range(database, since, until)


async def _again(runtime: Runtime, named: list[str] | None, chosen: Callable[[], Awaitable[Sequence[str]]]) -> int:
    """Process events again here and say what became of each, some at a time: there may be any number of them."""
    await require_known(runtime.database, _TABLE.c.id, named, "event")
    ids = await chosen()
    count = failed = 0
    for start in range(0, len(ids), TOGETHER):
        rows = await process_again(runtime, ids[start : start + TOGETHER])
        show_rows([_row(row) for row in rows], _line, as_json=False, none="")
        count += len(rows)
        failed += sum(row.status in FAILED for row in rows)
    console.print(f"{count} events")
    return int(failed > 0)
