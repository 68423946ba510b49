"""`gateway audit`: what the back end and operators did for users, for an operator."""

from typing import Annotated

import orjson
import typer
from rich.markup import escape

from gateway.billing.audit import AuditLog
from gateway.billing.pagination import MAX_PAGE
from gateway.cli.context import run
from gateway.cli.listing import AsJson, Row, show_rows
from gateway.runtime import Runtime

app = typer.Typer(help="What was done for users, and by whom.", no_args_is_help=True, add_completion=False)
STATUSES = {"done": "green", "pending": "cyan", "refused": "red"}


@app.callback()
def audit() -> None:
    """Make `gateway audit` a group of commands."""


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Option(help="Only what was done for this user.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as invoice.refund.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="At most so many, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what was done, the newest first."""

    async def work(runtime: Runtime) -> None:
        page = await AuditLog(runtime.database).page(limit, None, external_id=user, action=action)
        rows = [entry.model_dump(exclude={"fingerprint"}) for entry in page.rows]
        show_rows(rows, _line, as_json=as_json, none="no actions")

    run(work)


def _line(row: Row) -> str:
    status = f"[{STATUSES[row['status']]}]{row['status']:<8}[/]"
    who = f"{row['by']} for {row['actor']}" if row["actor"] else row["by"]
    outcome = orjson.dumps(row["result"] or row["problems"] or {}).decode()
    asked = orjson.dumps(row["input"]).decode()
    what = f"{row['action']}  {row['external_id'] or '-'}  {row['target'] or '-'}  {asked}"
    return f"{row['created']:%Y-%m-%d %H:%M:%S}  {status}  {escape(f'{who}  {what}  {outcome}')}"
