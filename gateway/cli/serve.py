"""`gateway serve`: the gateway alone, for production."""

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from socket import socket
from tempfile import TemporaryDirectory
from typing import Annotated

import structlog
import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from gateway.http import collector, plain_imports
from gateway.http.options import OPTIONS
from gateway.observability.logging import configure_logging

log = structlog.get_logger()

STARTUP_FAILURE = 3
"""The exit code of a server that did not start, as uvicorn has it."""


class Server(uvicorn.Server):
    """Says where it listens, and as what, once it does.

    Args:
        config: how it serves.
        about: what is said.
    """

    def __init__(self, config: uvicorn.Config, about: dict[str, str]) -> None:
        super().__init__(config)
        self._about = about

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            log.info("serving", **self._about)


class Workers(Multiprocess):
    """Several processes behind one socket, which say where they listen once all of them do.

    Args:
        config: how each serves.
        listener: the socket they share.
        about: what is said.
    """

    def __init__(self, config: uvicorn.Config, listener: socket, about: dict[str, str]) -> None:
        super().__init__(config, sockets=[listener])
        self._about = about
        self._said = False

    def keep_subprocess_alive(self) -> None:
        """Look after them, as often as uvicorn does; say it when all are there."""
        super().keep_subprocess_alive()
        if not self._said and all(process.is_ready() for process in self.processes):
            log.info("serving", **self._about, workers=len(self.processes))
            self._said = True


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The gateway's port.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one wants PostgreSQL.")] = 1,
    wait_for_migration: Annotated[
        int, typer.Option(min=0, help="Seconds to wait for `gateway db upgrade` where the database is behind.")
    ] = 0,
) -> None:
    """Run the gateway alone, for production: its settings come from the environment."""
    configure_logging(readable=False)
    config = uvicorn.Config(
        "gateway.cli.worker:from_environment" if workers > 1 else "gateway.app:from_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        timeout_graceful_shutdown=4,
        **OPTIONS,
    )
    if workers > 1:
        # who looks after the others never imports what they run
        with ProcessPoolExecutor(1, get_context("fork")) as another:
            about = another.submit(_check, host, port, wait_for_migration).result()
        _serve_many(config, about)
    else:
        _serve_one(config, _check(host, port, wait_for_migration))


def _check(host: str, port: int, wait_seconds: int) -> dict[str, str]:
    """Return what is said once the gateway serves.

    Raises:
        SettingsError: one is missing or wrong, or the database is not migrated, which stops the start here and not in
            each worker.
    """
    collector.pause()
    plain_imports.defer_validators()
    from gateway.cli.preflight import check

    collector.resume()
    return check(host, port, wait_seconds)


def _serve_one(config: uvicorn.Config, about: dict[str, str]) -> None:
    """Serve in this process. A terminal that closes ends it in good order too, unless `nohup` has it ignored."""
    server = Server(config, about)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, server.handle_exit)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(STARTUP_FAILURE)


def _serve_many(config: uvicorn.Config, about: dict[str, str]) -> None:
    """Serve in several processes, which count into one folder: whichever is asked for its metrics answers for all."""
    with TemporaryDirectory() as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        listener = config.bind_socket()
        with suppress(KeyboardInterrupt):
            Workers(config, listener, about).run()
