"""`gateway pricing`: what is sold, as a file: read from Stripe, compared with it, and written there."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.billing.pricing import at_stripe, yaml_file
from gateway.billing.pricing.catalogue import Catalogue
from gateway.billing.pricing.changes import Step, Unchangeable, changes
from gateway.billing.pricing.push import count_bought
from gateway.billing.pricing.push import push as carry_out
from gateway.cli.context import console, run
from gateway.cli.terminal import printable
from gateway.errors import BadInput
from gateway.mirror.backfill import completed
from gateway.mirror.own_account import require_same_account
from gateway.mirror.reader import Reader
from gateway.runtime import Runtime

app = typer.Typer(help="What is sold, as a file.", no_args_is_help=True, add_completion=False)

File = Annotated[Path, typer.Argument(help="The YAML file.", dir_okay=False)]


@app.command("pull")
def pull(
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write what Stripe sells into a file."""

    async def work(runtime: Runtime) -> None:
        if file.exists() and not force:
            raise BadInput(f"{file} is there already; --force writes over it")
        found = at_stripe.pull(await at_stripe.read(Reader(runtime.require_stripe())))
        file.write_text(yaml_file.dump(found.catalogue), encoding="utf-8")
        for each in found.left_out:
            _say(f"left out: {each}")
        prices = sum(len(product.prices) for product in found.catalogue.products.values())
        _say(f"{len(found.catalogue.products)} products and {prices} prices are in {file}")

    run(work)


@app.command("plan")
def plan(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 where anything would change.")] = False,
) -> None:
    """Show what a file would change at Stripe, and for how many subscriptions."""

    async def work(runtime: Runtime) -> int:
        steps, _ = await _steps(runtime, _read(file))
        await _show(runtime, steps)
        return int(check and bool(steps))

    run(work)


@app.command("push")
def push(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Show the plan, ask, and make Stripe what the file says; after a kill, push again."""

    async def work(runtime: Runtime) -> int:
        catalogue, stripe = _read(file), runtime.require_stripe()
        await require_same_account(runtime.database, Reader(stripe))
        steps, known = await _steps(runtime, catalogue)
        await _show(runtime, steps)
        if not steps or not (yes or typer.confirm("Change this at Stripe?")):
            return 0
        async for step in carry_out(steps, known, stripe, runtime.mirror):
            _say(f"done: {step.text}")
        left, _ = await _steps(runtime, catalogue)
        for step in left:
            _say(f"not so at Stripe: {step.text}")
        return int(bool(left))

    run(work)


def _read(file: Path) -> Catalogue:
    try:
        return yaml_file.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from None
    except BadInput as error:
        raise BadInput(f"{file} cannot be used:\n{error}") from None


async def _steps(runtime: Runtime, catalogue: Catalogue) -> tuple[list[Step], at_stripe.AtStripe]:
    known = await at_stripe.read(Reader(runtime.require_stripe()))
    try:
        return changes(catalogue, known), known
    except Unchangeable as error:
        raise BadInput(str(error)) from None


async def _show(runtime: Runtime, steps: list[Step]) -> None:
    if not steps:
        _say("nothing would change")
        return
    counts = await count_bought(runtime.database, [step.bought for step in steps if step.bought])
    for step in steps:
        count = counts.get(step.bought, 0) if step.bought else 0
        subscriptions = "1 subscription" if count == 1 else f"{count} subscriptions"
        _say(step.text + (f" ({step.consequence}: {subscriptions})" if step.bought else ""))
    if not await completed(runtime.database):
        _say("The copy of Stripe is not complete, so the counts of subscriptions may be too low: run `gateway sync`.")


def _say(text: str) -> None:
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)
