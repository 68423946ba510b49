"""`gateway sync` and `gateway reconcile`: fill the copy of Stripe, and hold it against Stripe."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.billing.failover import noted
from gateway.cli.context import console, run
from gateway.db.database import Database
from gateway.db.tables import table_for
from gateway.mirror.backfill import backfill
from gateway.mirror.mapping import id_of
from gateway.mirror.reader import Reader
from gateway.mirror.reconcile import Difference, compare
from gateway.mirror.reconcile import repair as repair_differences
from gateway.models.inbox import Event
from gateway.models.mirrored import Customer
from gateway.runtime import Runtime
from gateway.webhooks.catch_up import DAY, catch_up
from gateway.webhooks.event import StripeEvent
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.worker import Worker

GONE = (
    "Where this database has lost commits (an old backup, a failover), what it alone kept is gone as well, and Stripe "
    "cannot say what: credits that were spent, usage that was not forwarded yet, idempotency keys, the audit log. "
    "Ask your application, about these customers first."
)


def sync() -> None:
    """Fill or refresh the mirror from Stripe; a run that was stopped goes on where it was."""
    run(_sync)


def reconcile(
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what Stripe says wherever the mirror differs.")
    ] = False,
) -> None:
    """Find missed events, then compare the mirror with Stripe row by row; exit 1 where they differ."""
    run(lambda runtime: _reconcile(runtime, repair=repair))


async def _sync(runtime: Runtime) -> None:
    counts: dict[str, int] = {}
    with _progress() as count:
        async for step in backfill(runtime.mirror, runtime.require_stripe()):
            counts[step.kind] = step.count
            count(step.kind, step.count, step.done)
    _table("The mirror is up to date", counts)


async def _reconcile(runtime: Runtime, *, repair: bool) -> int:
    counts: dict[str, int] = {}
    differences: list[Difference] = []
    stripe = runtime.require_stripe()
    if [await _catch_up(runtime), await _print_failovers(runtime.database)] != [False, False]:
        console.print(GONE, soft_wrap=True)
    with _progress() as count:
        async for step in compare(runtime.database, stripe, runtime.settings.connect_accounts):
            counts[step.kind] = counts.get(step.kind, 0) + step.count
            differences += step.differences
            count(step.kind, counts[step.kind], False)
    for difference in differences:
        console.print(str(difference), highlight=False, markup=False, soft_wrap=True)
    if repair:
        await repair_differences(runtime.mirror, stripe, differences)
    _table(f"{len(differences)} differences{' repaired' if repair and differences else ''}", counts)
    return int(bool(differences) and not repair)


async def _catch_up(runtime: Runtime) -> bool:
    """Read the events that no delivery brought, and finish them, so that they do not count as differences.

    Returns:
        whether any was not here.
    """
    inbox = Inbox.of(runtime)
    found = await catch_up(inbox, Reader(runtime.require_stripe()))
    await Worker.of(inbox, runtime).queue.drain()
    console.print(f"{found.read} events since {_when(found.since)}, {len(found.recorded)} of them were not here")
    for event_id in found.recorded:
        how = "missed" if event_id in found.missed else "on its way, or lost here"
        console.print(f"  {event_id} ({how}): now recorded", highlight=False)
    if customers := await _customers_of(runtime.database, found.recorded):
        console.print("They are about these customers (and users):", ", ".join(customers), soft_wrap=True)
    if found.lost:
        console.print(f"[red]Events of {found.lost // DAY + 1} days are lost[/]: Stripe keeps them for 30 days.")
    return bool(customers)


async def _print_failovers(database: Database) -> bool:
    """Name whom the database's failovers of late are about; whether there was any."""
    failovers = await database.read(noted)
    for last, users in failovers.items():
        since = (
            f"the last commit that it kept, of {last:%Y-%m-%d %H:%M:%S} UTC" if last else "it lost what nobody knows"
        )
        console.print(f"The database failed over. These users were answered after {since}:", soft_wrap=True)
        console.print(", ".join(users), highlight=False, markup=False, soft_wrap=True)
    return bool(failovers)


async def _customers_of(database: Database, event_ids: Sequence[str]) -> list[str]:
    """Return whom some recorded events are about, each customer with its user."""
    events, owners = table_for(Event), table_for(Customer)

    def read(connection: sa.Connection) -> list[str]:
        payloads = connection.execute(sa.select(events.c.payload).where(events.c.id.in_(event_ids))).scalars()
        objects = [StripeEvent.parse(payload).object for payload in payloads]
        named = (each["id"] if each.get("object") == "customer" else id_of(each.get("customer")) for each in objects)
        about = {each for each in named if each}
        users = sa.select(owners.c.id, owners.c.external_id).where(owners.c.id.in_(about))
        whose = {row.id: row.external_id for row in connection.execute(users)}
        return [f"{each} ({whose.get(each) or 'nobody'})" for each in sorted(about)]

    return await database.read(read)


def _when(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _table(title: str, counts: dict[str, int]) -> None:
    table = Table("object", "read", title=title)
    for kind, count in counts.items():
        table.add_row(kind, str(count))
    console.print(table)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, bool], None]]:
    """Show a line for each kind, while the block runs."""
    columns = (BarColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def count(kind: str, done: int, finished: bool) -> None:
            if kind not in tasks:
                tasks[kind] = progress.add_task(kind, total=None)
            progress.update(tasks[kind], completed=done, total=done if finished else None)

        yield count
