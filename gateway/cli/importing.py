"""`gateway import`: give customers to the users who have them in another system."""

from collections import Counter
from functools import partial
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from gateway.billing.audit import Action, AuditLog
from gateway.billing.checkout.sessions import Sessions
from gateway.billing.customers.directory import CustomerDesk
from gateway.billing.customers.moving_in import Outcome, Pair, Result, move_in
from gateway.billing.customers.service import Customers
from gateway.cli.context import console, run
from gateway.cli.import_sources import LIBRARIES, Where, from_csv, from_library
from gateway.cli.listing import AsJson, Row, show_rows
from gateway.errors import BadInput
from gateway.mirror.own_account import require_same_account
from gateway.mirror.reader import Reader
from gateway.runtime import Runtime

QUIET = {Outcome.LINKED, Outcome.ALREADY, Outcome.WOULD_LINK}
"""What people are not told line by line."""


def import_customers(
    source: Annotated[str, typer.Argument(help=f"A CSV file, or one of {', '.join(LIBRARIES)}.")],
    *,
    url: Annotated[
        str | None, typer.Option("--from", envvar="IMPORT_DATABASE_URL", help="The other system's database.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="The table, where it is not the library's usual one.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of Pay's owners: which, such as User.")] = None,
    key: Annotated[str, typer.Option(help="Of Supabase: the metadata key with the user's id.")] = "user_id",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be linked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Link users to the customers that they have elsewhere; exit 1 where a pair was left. Safe to run again."""

    async def work(runtime: Runtime) -> int:
        stripe = runtime.require_stripe()
        pairs = _pairs(source, url, table, kind, key, livemode=stripe.livemode)
        reader, audit = Reader(stripe), AuditLog(runtime.database)
        await require_same_account(runtime.database, reader)
        customers = Customers(runtime.settings, runtime.mirror, stripe)
        close_checkouts = Sessions(runtime.mirror, stripe).close_all
        desk = CustomerDesk(customers, runtime.mirror, stripe, audit, close_checkouts=close_checkouts)
        action = None if dry_run else partial(Action, by=f"import {getuser()}")
        counts: Counter[Outcome] = Counter()
        async for result in move_in(pairs, desk, runtime.database, reader, action):
            counts[result.outcome] += 1
            if as_json or result.outcome not in QUIET:
                show_rows([_row(result)], _line, as_json=as_json, none="")
        if not as_json:
            summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
            console.print(summary or "there was nothing to link", soft_wrap=True)
        return int(bool(counts.keys() - QUIET))

    run(work)


def _pairs(
    source: str, url: str | None, table: str | None, kind: str | None, key: str, *, livemode: bool
) -> list[Pair]:
    library = LIBRARIES.get(source)
    if library is None:
        return list(from_csv(Path(source)))
    if url is None:
        raise BadInput(f"{source}'s database is not named: give --from, or IMPORT_DATABASE_URL")
    return from_library(library, Where(url, livemode, table, kind, key))


def _row(result: Result) -> Row:
    return {**result.pair._asdict(), "outcome": result.outcome.value, "why": result.why or None}


def _line(row: Row) -> str:
    why = f": {row['why']}" if row["why"] else ""
    return escape(f"{row['outcome']}: {row['external_id']} and {row['customer_id']}{why}")
