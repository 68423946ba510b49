"""`gateway init`: the settings of a new gateway in a file, and its endpoint at Stripe."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gateway.cli.context import console
from gateway.cli.env_file import read_variables, write_variables
from gateway.db.engines import database_url
from gateway.errors import BadInput, GatewayError, StripeFailure, StripeUnavailable
from gateway.observability.logging import configure_logging
from gateway.operators.endpoint import DASHBOARD, Endpoint, endpoints, make, repair
from gateway.settings import Settings
from gateway.settings.proxies import prepare_proxies, proxy_note
from gateway.settings.values import origin_of
from gateway.settings.variables import STATE_DIR, STRIPE_API
from gateway.stripe_api.client import API_VERSION, Stripe
from gateway.webhooks.route import PATH

SECRETS, CORS = "STRIPE_WEBHOOK_SECRET", "GATEWAY_CORS_ORIGINS"
NEXT = "Next: `gateway db upgrade`, `gateway sync`, `gateway serve`, and `gateway doctor` says what is missing."


class Asked(NamedTuple):
    """A variable that is asked for, where neither the command line nor the file has it."""

    name: str
    option: str
    question: str
    default: str | None = None
    hidden: bool = False

    def answer(self, given: str | None, known: dict[str, str]) -> str:
        """Return what was given, or is known, or is typed in.

        Raises:
            BadInput: nobody is there to answer.
        """
        if found := given or known.get(self.name):
            return found
        try:
            return str(typer.prompt(self.question, default=self.default, hide_input=self.hidden, err=True)).strip()
        except typer.Abort:
            raise BadInput(f"{self.option} is missing ({self.question})") from None


KEY = Asked("STRIPE_SECRET_KEY", "--key", "Stripe's secret key (sk_… or rk_…)", hidden=True)
DATABASE = Asked("DATABASE_URL", "--database", "The database", f"sqlite:///{STATE_DIR}/gateway.db")
ORIGIN = Asked(
    "GATEWAY_REDIRECT_ORIGINS", "--origin", "The origin of your application, such as https://app.example.com"
)
URL = Asked(
    "", "--url", "Where Stripe reaches the gateway, such as https://billing.example.com (none: no endpoint)", ""
)


def init(  # noqa: PLR0917 - each is an option of the command line
    key: Annotated[str | None, typer.Option(envvar=KEY.name, help="Stripe's secret key; otherwise asked for.")] = None,
    database: Annotated[str | None, typer.Option(envvar=DATABASE.name, help="Its URL; otherwise asked for.")] = None,
    origin: Annotated[str | None, typer.Option(help="Your application's origin; otherwise asked for.")] = None,
    url: Annotated[
        str | None, typer.Option(help="Where Stripe reaches the gateway; otherwise asked for. Empty: no endpoint.")
    ] = None,
    webhook_secret: Annotated[
        str | None, typer.Option(help="The secret (whsec_…) of an endpoint that is there already.")
    ] = None,
    file: Annotated[Path, typer.Option(help="The file of variables.")] = Path(".env"),
    force: Annotated[bool, typer.Option("--force", help="Replace values that the file has already.")] = False,
) -> None:
    """Write `.env`, and make the webhook endpoint at Stripe; safe to run again."""
    configure_logging(readable=True)
    known = read_variables(file)
    values = {KEY.name: KEY.answer(key, known), DATABASE.name: DATABASE.answer(database, known)}
    values[ORIGIN.name] = ORIGIN.answer(origin, known)
    values[CORS] = values[ORIGIN.name] if force and origin else known.get(CORS, values[ORIGIN.name])
    settings = _checked(values, file)
    if settings.stripe_api_base != STRIPE_API:
        values["STRIPE_API_BASE"] = settings.stripe_api_base
    changed = [name for name, value in values.items() if known.get(name, value) != value]
    if changed and not force:
        raise BadInput(f"{file} has other values of {', '.join(changed)}; give --force to replace them")
    where = url if url is not None else URL.answer(None, {})
    endpoint = f"{origin_of_gateway(where)}{PATH}" if where else None
    if values.items() - known.items():
        write_variables(file, values)
        console.print(f"{file} is written: {', '.join(values)}", soft_wrap=True)
    if endpoint:
        asyncio.run(_endpoint(settings, endpoint, file, webhook_secret))
    console.print(NEXT, soft_wrap=True)


def origin_of_gateway(url: str) -> str:
    """Return where the gateway is, without a slash at the end; a path is kept for a proxy that serves others beside.

    Raises:
        BadInput: it is no address.
    """
    try:
        origin_of(url)
    except ValueError as error:
        raise BadInput(f"--url: {error}") from None
    return url.rstrip("/").removesuffix(PATH)


def _checked(values: dict[str, str], file: Path) -> Settings:
    """Return the settings that a gateway would have: with what else is in the file, such as where Stripe's API is.

    Raises:
        SettingsError: a value is wrong.
    """
    settings = Settings.load(
        env_files=(file,),
        stripe_secret_key=values[KEY.name],
        database_url=values[DATABASE.name],
        redirect_origins=values[ORIGIN.name],
        cors_origins=values[CORS],
    )
    database_url(values[DATABASE.name])
    prepare_proxies(settings)
    return settings


async def _endpoint(settings: Settings, url: str, file: Path, given: str | None) -> None:
    """Find the endpoint of this address at Stripe and repair it, or make it and write its secret down.

    Raises:
        BadInput: it is there, and its secret is not known.
    """
    stripe = Stripe(settings)
    try:
        at_address = [each for each in await endpoints(stripe) if each.url == url]
        ours = [each for each in at_address if each.api_version == API_VERSION]
        if ours:
            _keep_secret(ours[0], file, given)
        else:
            await _make(stripe, url, file)
        for endpoint in ours:
            async for step in repair(stripe, endpoint):
                console.print(f"{step} …", soft_wrap=True)
        for endpoint in at_address:
            note = (
                "" if endpoint in ours else f" in another version: delete it in {DASHBOARD} once the new one delivers"
            )
            console.print(f"{endpoint.id} posts to {url}{note}", soft_wrap=True)
    except StripeUnavailable as error:
        raise StripeUnavailable(f"{error}{proxy_note(settings)}") from error
    finally:
        await stripe.close()


async def _make(stripe: Stripe, url: str, file: Path) -> None:
    """Make the endpoint; where its secret, which is told once, cannot be written down, it is deleted again."""
    console.print(f"making an endpoint at Stripe ({'live' if stripe.livemode else 'test'} mode) …", soft_wrap=True)
    made = await make(stripe, url)
    try:
        _add_secret(file, f"{made.id}:{made.secret}")
    except GatewayError:
        with suppress(StripeFailure):
            await stripe.delete(f"/v1/webhook_endpoints/{made.id}")
        raise
    console.print(f"{made.id} posts to {url}; its secret is in {file}", soft_wrap=True)


def _keep_secret(there: Endpoint, file: Path, given: str | None) -> None:
    """Check that the secret of an endpoint that is there is known, or write down what was given.

    Raises:
        BadInput: it is not known.
    """
    if given:
        _add_secret(file, f"{there.id}:{given.rpartition(':')[2]}")
    elif SECRETS not in read_variables(file):
        raise BadInput(
            f"{there.id} posts to {there.url} already, and {file} lacks its secret, which only {DASHBOARD} shows; "
            "give it with --webhook-secret, or delete the endpoint there and run this again"
        )


def _add_secret(file: Path, secret: str) -> None:
    """Add a signing secret to those of the file, which stay: an older endpoint may still deliver."""
    present = [each for each in read_variables(file).get(SECRETS, "").split(",") if each]
    secrets = present if secret in present else [*present, secret]
    Settings.load(stripe_webhook_secrets=",".join(secrets))
    write_variables(file, {SECRETS: ",".join(secrets)})
