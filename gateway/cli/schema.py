"""`gateway schema`: print the GraphQL schema, or compare it with the file of the checkout."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.context import console
from gateway.errors import BadInput
from gateway.graphql import schema as graphql_schema

SCHEMA_FILE = Path("schema.graphql")


def schema(
    check: Annotated[bool, typer.Option("--check", help="Compare with schema.graphql instead of printing.")] = False,
) -> None:
    """Print the GraphQL schema, or compare it with schema.graphql and list the breaking changes."""
    if not check:
        typer.echo(graphql_schema.sdl(), nl=False)
        return
    try:
        known = SCHEMA_FILE.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{SCHEMA_FILE} cannot be read in this folder ({type(error).__name__})"
        raise BadInput(f"{problem}; `gateway schema > {SCHEMA_FILE}` writes it") from None
    try:
        differences = graphql_schema.check(known)
    except BadInput as error:
        raise BadInput(f"{SCHEMA_FILE} is no schema ({error}); `gateway schema > {SCHEMA_FILE}` writes it") from None
    for difference in differences:
        console.print(difference, markup=False)
    if differences:
        console.print(f"{SCHEMA_FILE} is out of date: `gateway schema > {SCHEMA_FILE}` writes it")
        raise typer.Exit(1)
    console.print(f"{SCHEMA_FILE} is up to date")
