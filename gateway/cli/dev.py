"""`gateway dev`: the embedded database, the offline Stripe and the gateway in one process, wired to each other."""

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import SecretStr
from rich.panel import Panel
from starlette.middleware import Middleware

from gateway import migrations
from gateway.app import create_app
from gateway.cli.context import console
from gateway.errors import SettingsError
from gateway.http.options import OPTIONS
from gateway.mirror.backfill import backfill, completed
from gateway.observability.logging import configure_logging
from gateway.runtime import Runtime, open_runtime
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.sandbox.guard import Guard
from gateway.settings import Settings
from gateway.settings.variables import LIVE_KEY, STATE_DIR
from gateway.web.demo import demo_routes
from gateway.web.demo.sign_in import USERS, sign_in_routes

OFFLINE_KEY = "sk_test_offline"
RATES = (
    "rate_limit_requests",
    "rate_limit_checkouts",
    "rate_limit_guest_checkouts",
    "rate_limit_mutations",
    "rate_limit_stripe_reads",
    "rate_limit_all_stripe_reads",
)
"""The limits that are off in development unless they are set: one address plays all the buyers."""


class LocalPages(tuple[str, ...]):
    """Some origins, and those of this machine on every port: wherever a front-end tool serves, it may call the API.

    No site elsewhere can have such an origin, also not one whose name leads here: browsers send the name.
    """

    __slots__ = ()

    def __contains__(self, origin: object) -> bool:
        """Return whether it is one of these origins, or of a server on this machine."""
        return super().__contains__(origin) or _LOCAL.fullmatch(str(origin)) is not None


# 0.0.0.0 is what `python3 -m http.server` calls itself.
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Options:
    """Where `gateway dev` listens and keeps its state.

    Args:
        host: the address to listen on.
        port: the gateway's port.
        stripe_port: the offline Stripe's port.
        state: the folder of both databases and of `dev.env`.
        names: those under which both may be called, besides `localhost` and addresses.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    stripe_port: int = 12111
    state: Path = STATE_DIR
    names: tuple[str, ...] = ()

    @property
    def gateway_url(self) -> str:
        """The gateway's own address."""
        return f"http://{_callable_host(self.host)}:{self.port}"

    @property
    def stripe_url(self) -> str:
        """The offline Stripe's address."""
        return f"http://{_callable_host(self.host)}:{self.stripe_port}"

    @property
    def environment_file(self) -> Path:
        """The file that the other commands read, so that they find what `gateway dev` has set up."""
        return self.state / "dev.env"


def dev(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The gateway's port.")] = 8000,
    stripe_port: Annotated[int, typer.Option(min=1, max=65535, help="The offline Stripe's port.")] = 12111,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name of this machine, besides localhost.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start with an empty state.")] = False,
) -> None:
    """Run the gateway, the offline Stripe and the demo shop together: no account, no key, no network."""
    configure_logging(readable=True)
    names = (host, *(allow_host or ()))
    asyncio.run(_run(Options(host=host, port=port, stripe_port=stripe_port, names=names), fresh=fresh))


def _callable_host(host: str) -> str:
    """Return an address to call the server at, also where it listens everywhere."""
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound


def settings_for(options: Options) -> Settings:
    """Load the settings: what names a database, a Stripe or a webhook secret is `gateway dev`'s own.

    Raises:
        SettingsError: the environment holds a live key, or a wrong value.
    """
    if LIVE_KEY.match(os.environ.get("STRIPE_SECRET_KEY", "") or os.environ.get("STRIPE_API_KEY", "")):
        raise SettingsError("STRIPE_SECRET_KEY: a live key must not be near the offline Stripe; unset it")
    given = Settings.load(
        env_files=(Path(".env"),),
        stripe_secret_key=SecretStr(OFFLINE_KEY),
        stripe_api_base=options.stripe_url,
        stripe_webhook_secrets=_saved_secret(options, "STRIPE_WEBHOOK_SECRET") or f"whsec_{secrets.token_hex(24)}",
        database_url=SecretStr(f"sqlite:///{options.state}/gateway.db"),
        graphiql=True,
    )
    return given.model_copy(
        update={
            "auth_hs256_secret": given.auth_hs256_secret
            or SecretStr(_saved_secret(options, "AUTH_HS256_SECRET") or secrets.token_hex(32)),
            "service_tokens": given.service_tokens
            or (SecretStr(_saved_secret(options, "GATEWAY_SERVICE_TOKEN") or secrets.token_hex(32)),),
            "redirect_origins": LocalPages(dict.fromkeys((options.gateway_url, *given.redirect_origins))),
            "cors_origins": LocalPages(given.cors_origins),
            **{name: "off" for name in RATES if name not in given.model_fields_set},
        }
    )


def _saved_secret(options: Options, variable: str) -> str | None:
    """Return a secret that an earlier start has written beside the state."""
    lines = options.environment_file.read_text().splitlines() if options.environment_file.exists() else []
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{variable}=")), None)


def _write_environment(options: Options, settings: Settings) -> None:
    """Let the other commands (`gateway sync`, `gateway events list` …) find this gateway."""
    secret = settings.stripe_webhook_secrets[0].secret.get_secret_value()
    sign_in = settings.auth_hs256_secret.get_secret_value() if settings.auth_hs256_secret else ""
    options.state.mkdir(parents=True, exist_ok=True)
    options.environment_file.touch(mode=0o600)
    options.environment_file.write_text(
        "# Written by `gateway dev`: the other commands read it when nothing else is set.\n"
        f"STRIPE_SECRET_KEY={OFFLINE_KEY}\n"
        f"STRIPE_API_BASE={options.stripe_url}\n"
        f"STRIPE_WEBHOOK_SECRET={secret}\n"
        f"AUTH_HS256_SECRET={sign_in}\n"
        f"GATEWAY_SERVICE_TOKEN={settings.service_tokens[0].get_secret_value()}\n"
        f"DATABASE_URL={settings.database_url.get_secret_value()}\n"
        f"GATEWAY_REDIRECT_ORIGINS={','.join(settings.redirect_origins)}\n"
    )


async def _run(options: Options, *, fresh: bool) -> None:
    """Run both servers until the process is told to stop.

    Raises:
        SettingsError: a port is taken, or a setting is wrong.
    """
    for name, port in (("--port", options.port), ("--stripe-port", options.stripe_port)):
        _check_port(options.host, port, name)
    settings = settings_for(options)
    if fresh:
        _empty(options.state)
    _write_environment(options, settings)
    secret = settings.stripe_webhook_secrets[0].secret.get_secret_value()
    sandbox = create_sandbox(
        SandboxOptions(
            path=options.state / "stripe.db",
            allowed_hosts=options.names,
            links=(("Demo shop", f"{options.gateway_url}/demo"), ("GraphiQL", f"{options.gateway_url}/graphql")),
            forward_to=f"{options.gateway_url}/webhooks/stripe",
            webhook_secret=secret,
        )
    )
    pages = (
        *demo_routes(options.stripe_url),
        *sign_in_routes(settings, [Middleware(Guard, options.names, only_names=True)]),
    )
    async with (
        open_runtime(settings) as runtime,
        # the offline Stripe answers with the date of its own clock
        _serve(sandbox, options.host, options.stripe_port, date_header=False),
    ):
        await migrations.upgrade(runtime.database)
        await _first_sync(runtime)
        async with _serve(create_app(settings, runtime=runtime, pages=pages), options.host, options.port):
            console.print(_welcome(options))
            await _wait_for_signal()
            console.print(f"Stopping; the state stays under [bold]{options.state}[/]")


def _empty(state: Path) -> None:
    """Remove what `gateway dev` keeps, and nothing else that somebody may have put there."""
    for path in (*state.glob("gateway.db*"), *state.glob("stripe.db*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


async def _first_sync(runtime: Runtime) -> None:
    """Fill the mirror, unless it has been filled before: from then on the webhooks keep it."""
    if await completed(runtime.database):
        return
    with console.status("Reading the catalogue from the offline Stripe"):
        async for _ in backfill(runtime.mirror, runtime.require_stripe()):
            pass


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to us: two of them share this process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def _serve(app: Any, host: str, port: int, *, date_header: bool = True) -> AsyncIterator[None]:
    """Serve an app from when it answers until the block ends."""
    server = _Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            date_header=date_header,
            timeout_graceful_shutdown=3,
            **OPTIONS,
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            if serving.done():
                serving.result()
                raise SettingsError(f"the server on port {port} did not start")
            await asyncio.sleep(0.02)
        yield
    finally:
        server.should_exit = True
        await serving


async def _wait_for_signal() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _check_port(host: str, port: int, option: str) -> None:
    """Say in one line that a port is taken, before anything starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"port {port} on {host} cannot be used ({error.strerror}): stop what listens there, perhaps an earlier "
                f'`make dev`, or choose another: {option} N, by make ARGS="{option} N"'
            ) from None


def _this_command() -> str:
    """Return how to call the `gateway` command of this Python from the current directory."""
    path = Path(sys.executable).with_name("gateway")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def _welcome(options: Options) -> Panel:
    """Return what a newcomer should know and try first."""
    return Panel(
        f"[bold]Demo shop[/]       {options.gateway_url}/demo\n"
        f"[bold]GraphiQL[/]        {options.gateway_url}/graphql\n"
        f"[bold]Offline Stripe[/]  {options.stripe_url}\n"
        f"[bold]Secrets[/]         in {options.environment_file}, which the other commands read\n"
        "[bold]Your own page[/]   docs/gate-a-feature.md, served from any port of this machine\n\n"
        "Try first: open the demo shop, choose a plan and pay with card [bold]4242 4242 4242 4242[/].\n"
        f"Sign in there as {' or '.join(USERS)}, or without a page: POST {options.gateway_url}/dev/sign-in.\n"
        f"Then: [bold]{_this_command()} events list[/] in another terminal shows what Stripe has sent.\n"
        f"State is kept under [bold]{options.state}[/]; [bold]--fresh[/] empties it. Ctrl-C stops.",
        title="The billing gateway is running",
        expand=False,
    )
