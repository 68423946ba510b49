"""`gateway prune` and `gateway erase`: what is old goes, and a person's data when it is asked for."""

from functools import partial
from getpass import getuser
from typing import Annotated

import typer
from rich.table import Table

from gateway.billing.audit import Action, Attempt, AuditLog
from gateway.cli.context import console, run
from gateway.errors import BadInput
from gateway.retention.erase import STAYS, erase_again, preview
from gateway.retention.erase import erase as erase_person
from gateway.retention.person import Person, find
from gateway.retention.prune import count_old
from gateway.retention.prune import prune as delete_old
from gateway.runtime import Runtime

ELSEWHERE = (
    "Not reached from here: Stripe's invoices and payments (https://docs.stripe.com/privacy/redaction), your backups, "
    "your logs (they hold ids, never an address), and what your application was told."
)


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
) -> None:
    """Delete what is finished and older than the settings say; a running gateway does it once a day."""

    async def work(runtime: Runtime) -> None:
        if not dry_run:
            await erase_again(runtime.database)
        counts = await (count_old if dry_run else delete_old)(runtime.database, runtime.settings)
        verb = "would be deleted" if dry_run else "deleted"
        console.print("; ".join(f"{count} {name}" for name, count in counts.items()), verb)

    run(work)


def erase(
    external_id: Annotated[str, typer.Argument(help="The user, by the application's own id; or a customer (cus_…).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be erased.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a user's customer at Stripe, and erase here what says who it is; amounts stay."""
    run(partial(_erase, external_id=external_id, dry_run=dry_run, yes=yes))


async def _erase(runtime: Runtime, *, external_id: str, dry_run: bool, yes: bool) -> None:
    person = await runtime.database.read(partial(find, who=[external_id]))
    counts = await preview(runtime.database, person)
    if not person.customers and not any(counts.values()):
        raise BadInput(f"nobody here has the id {external_id}: it is mistyped, or all of it is erased already")
    _show("would be erased", counts)
    _show("stays", STAYS)
    console.print(f"at Stripe: {_listed(person.customers) or 'no customer is known'} (deleted there, if there still)")
    if person.others:
        console.print(f"also with this e-mail address, and not erased: {_listed(person.others)}")
    if dry_run:
        return
    if not yes and not typer.confirm("Erase this for good?"):
        raise BadInput("nothing was erased: it was not confirmed")
    stripe = runtime.require_stripe()

    async def work(_: Attempt) -> dict[str, int]:
        return await erase_person(runtime.mirror, stripe, person)

    action = Action("customer.erase", by=f"operator {getuser()}", target=_target(person))
    _show("erased", await AuditLog(runtime.database).once(action, work))
    console.print(ELSEWHERE)


def _target(person: Person) -> str | None:
    return _listed(person.customers) or None


def _listed(ids: frozenset[str]) -> str:
    return ", ".join(sorted(ids))


def _show(title: str, rows: dict[str, int] | dict[str, str]) -> None:
    table = Table("what", title, show_lines=False)
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
