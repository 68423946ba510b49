"""`gateway customers`: which customer at Stripe is which user's, for an operator."""

from functools import partial
from getpass import getuser
from typing import Annotated

import typer

from gateway.billing.audit import Action, AuditLog
from gateway.billing.checkout.sessions import Sessions
from gateway.billing.customers.directory import CustomerDesk
from gateway.billing.customers.service import Customers
from gateway.cli.context import console, run
from gateway.runtime import Runtime

app = typer.Typer(help="Which customer is which user's.", no_args_is_help=True, add_completion=False)


@app.command("unlink")
def unlink(
    external_id: Annotated[str, typer.Argument(help="The user, by the application's own id.")],
    customer_id: Annotated[str, typer.Argument(help="The user's customer at Stripe (cus_…).")],
) -> None:
    """Take a customer from a user, who begins with a new one; nobody has it until it is linked again."""

    async def work(runtime: Runtime) -> None:
        await _desk(runtime).unlink(external_id, customer_id, partial(Action, by=f"operator {getuser()}"))
        console.print(f"{customer_id} is nobody's customer now")

    run(work)


@app.command("link")
def link(
    external_id: Annotated[str, typer.Argument(help="The user, by the application's own id.")],
    customer_id: Annotated[str, typer.Argument(help="The customer at Stripe (cus_…).")],
    instead_of: Annotated[
        str | None,
        typer.Option(help="Another user, whom its metadata at Stripe name by mistake."),
    ] = None,
) -> None:
    """Give a customer to a user, who keeps it from now on; the user's present customer is let go."""

    async def work(runtime: Runtime) -> None:
        action = partial(Action, by=f"operator {getuser()}")
        await _desk(runtime).link(external_id, customer_id, action, instead_of=instead_of)
        console.print(f"{customer_id} is the customer of {external_id}")

    run(work)


def _desk(runtime: Runtime) -> CustomerDesk:
    stripe, audit, mirror = runtime.require_stripe(), AuditLog(runtime.database), runtime.mirror
    customers, close_checkouts = Customers(runtime.settings, mirror, stripe), Sessions(mirror, stripe).close_all
    return CustomerDesk(customers, mirror, stripe, audit, close_checkouts=close_checkouts)
