"""The `gateway` command: a table of commands, each in a module that is imported when the command is asked for."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway import __version__
from gateway.cli.terminal import printable
from gateway.errors import GatewayError
from gateway.http import collector

PANELS = {
    "Develop": {"dev": "dev:dev", "sandbox": "sandbox:sandbox", "schema": "schema:schema"},
    "Run": {"init": "init:init", "serve": "serve:serve", "doctor": "doctor:doctor", "db": "db:app"},
    "The copy of Stripe": {
        "sync": "mirror:sync",
        "reconcile": "mirror:reconcile",
        "customers": "customers:app",
        "import": "importing:import_customers",
    },
    "Queues and logs": {"events": "events:app", "usage": "usage:app", "outbox": "outbox:app", "audit": "audit:app"},
    "What is sold": {"pricing": "pricing:app"},
    "Assistants": {"mcp": "assistants:mcp"},
    "Data": {"backup": "backup:backup", "prune": "retention:prune", "erase": "retention:erase"},
}
"""The commands in the groups of the help. Each is a function, or a group of commands, of a module of this package."""

COMMANDS = {name: place for commands in PANELS.values() for name, place in commands.items()}
PANEL_OF = {name: panel for panel, commands in PANELS.items() for name in commands}

NOT_ON_WINDOWS = "Windows is not supported: run the gateway in WSL 2 or in its container image (`Dockerfile`)"


class Commands(TyperGroup):
    """Imports a command when it is asked for: the start is what people wait for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - click's interface
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - click's interface
        """Import a command; None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(import_module(f"gateway.cli.{module}"), attribute)
        collector.resume()  # `gateway/__main__.py` has paused it for the imports
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False)
            found.command(cmd_name)(function)
        command: Any = typer.main.get_command(found)
        command.name = cmd_name
        command.rich_help_panel = PANEL_OF[cmd_name]
        return command


app = typer.Typer(
    name="gateway",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # which every command inherits
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(help="A GraphQL billing gateway between a web application and Stripe.")
def gateway(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Make `gateway` a group of commands; it does nothing by itself."""


def _open_what_is_closed() -> None:
    """Open `/dev/null` in place of standard streams that the caller has closed, as some supervisors do.

    Otherwise the first log line ends the command, and a database or a socket gets the number to which a library writes.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        os.set_inheritable(opened, True)  # `--workers` and Python's own programs have them too
    os.close(opened)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def main() -> None:
    """Run the command; a failure that somebody can fix is a sentence and exit code 1, never a stack."""
    if sys.platform == "win32":
        raise SystemExit(NOT_ON_WINDOWS)
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # of a locale without UTF-8 a tick is a question mark, and no stack
            stream.reconfigure(errors="replace")
    try:
        app()
    except GatewayError as error:
        typer.echo(printable(f"{error} ({error.code})"), err=True)
        raise SystemExit(1) from None
