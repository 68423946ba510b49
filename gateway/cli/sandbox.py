"""`gateway sandbox`: the offline Stripe alone, for any client in any language."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
import uvicorn
from rich.console import Console

from gateway.errors import BadInput
from gateway.observability.logging import configure_logging
from gateway.sandbox import create_sandbox
from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.events.chaos import FAULTS
from gateway.sandbox.options import API_VERSION, SandboxOptions

console = Console()


def _moment(text: str) -> int:
    """Unix seconds from themselves, or from a date or a date and time (UTC unless it says otherwise)."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither Unix seconds nor a date such as 2027-01-31") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _shares(given: list[str]) -> dict[str, float]:
    """`["drop=0.1"]` as numbers by name."""
    shares = {}
    for entry in given:
        name, _, share = entry.partition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            raise BadInput(f"--chaos {entry} names no fault with its share: say NAME=SHARE, such as drop=0.1") from None
    return shares


def sandbox(  # noqa: PLR0917 - each is an option of the command line
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 12111,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    public_url: Annotated[
        str | None, typer.Option(help="Where browsers find the hosted pages; otherwise where the API was called.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name of this machine, besides localhost.")
    ] = None,
    forward_to: Annotated[str | None, typer.Option(help="A URL that gets events, signed.")] = None,
    events: Annotated[str, typer.Option(help="The types of events for it, with commas.")] = "*",
    api_version: Annotated[str, typer.Option(help="The API version of the events for it.")] = API_VERSION,
    secret: Annotated[str | None, typer.Option(help="The signing secret (whsec_…); otherwise generated.")] = None,
    state: Annotated[Path | None, typer.Option(help="The SQLite file of the state; otherwise in memory.")] = None,
    seed: Annotated[
        Path | None, typer.Option(help="Fill an empty sandbox from an export or from a file of `stripe fixtures`.")
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Without the sample catalogue.")] = False,
    clock: Annotated[
        int | None, typer.Option(parser=_moment, metavar="TIME", help="When an empty sandbox starts: 2027-01-31.")
    ] = None,
    retry_factor: Annotated[
        float, typer.Option(min=0, help="What Stripe's waits between deliveries are multiplied by; 1 is real.")
    ] = SandboxOptions.retry_factor,
    after_retries: Annotated[
        Literal["cancel", "unpaid", "past_due"], typer.Option(help="What an unpaid renewal makes of a subscription.")
    ] = "cancel",
    rate_limit: Annotated[int | None, typer.Option(min=1, help="Requests a second before 429.")] = None,
    chaos: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SHARE", help=f"Trouble with webhooks: {', '.join(FAULTS)}.")
    ] = None,
    random_seed: Annotated[int | None, typer.Option(help="Makes ids and chaos repeat from run to run.")] = None,
) -> None:
    """Run the offline Stripe alone, for any client in any language."""
    configure_logging(readable=True)
    options = SandboxOptions(
        path=state,
        forward_to=forward_to,
        webhook_secret=secret,
        events=tuple(name.strip() for name in events.split(",")),
        api_version=api_version,
        public_url=public_url,
        allowed_hosts=(host, *(allow_host or ())),
        catalog=not empty,
        seed=seed,
        clock=clock,
        retry_factor=retry_factor,
        random_seed=random_seed,
        after_retries=after_retries,
        rate_limit=rate_limit,
        chaos=_shares(chaos or []),
    )
    try:
        offline = create_sandbox(options)
    except (OSError, ValueError, StripeError) as error:
        raise BadInput(f"the offline Stripe cannot start: {error}") from None
    console.print(f"[bold]Offline Stripe[/] at http://{host}:{port} · any key that starts with sk_test_ will do")
    uvicorn.run(offline, host=host, port=port, log_config=None, access_log=False, date_header=False)
