"""`gateway mcp`: the operator's tools for assistants, over the Model Context Protocol on stdin and stdout."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

import typer

from gateway.cli.assistants.asking import Gateway
from gateway.errors import BadInput, SettingsError


def mcp(
    url: Annotated[str, typer.Option(help="Where the gateway runs.")] = "http://127.0.0.1:8000",
    token: Annotated[str, typer.Option(envvar="OPERATOR_TOKEN", help="An operator's token.", show_default=False)] = "",
) -> None:
    """Serve assistants: what an operator reads, and what an operator does, previewed and confirmed."""
    if not token:
        raise SettingsError("OPERATOR_TOKEN is not set: give it a token of GATEWAY_OPERATOR_TOKENS (docs/console.md)")
    check(url)
    try:
        from gateway.cli.assistants.server import build
    except ModuleNotFoundError:
        raise SettingsError("the MCP SDK is missing: pip install 'billing-gateway[mcp]'") from None
    build(Gateway(url, token)).run()


def check(url: str) -> None:
    """Check that the token goes to this machine, or encrypted.

    Raises:
        BadInput: it would not, or this is no address.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not parts.hostname:
        raise BadInput(f"--url {url} is no address: use https://… or http://127.0.0.1:8000")
    try:
        is_own = parts.hostname == "localhost" or ip_address(parts.hostname).is_loopback
    except ValueError:
        is_own = False
    if not is_own:
        raise BadInput(f"--url {url} would send the operator's token in the clear: use https://")
