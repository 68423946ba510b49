"""`gateway schema`: print the GraphQL schema, or compare it with the file of the checkout."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.context import console
from gateway.errors import BadInput
from gateway.graphql import schema as graphql_schema
from gateway.graphql.federation import federated_sdl

SCHEMA_FILE, RELEASED_FILE = Path("schema.graphql"), Path("schema.released.graphql")


def schema(
    check: Annotated[bool, typer.Option("--check", help="Compare with schema.graphql instead of printing.")] = False,
    federation: Annotated[bool, typer.Option("--federation", help="Print it as a part of a larger graph.")] = False,
) -> None:
    """Print the GraphQL schema, or compare it with schema.graphql and list the breaking changes.

    Where there is schema.released.graphql, the last version's, it must list each breaking change since with its reason.
    """
    if not check:
        typer.echo(federated_sdl() if federation else graphql_schema.sdl(), nl=False)
        return
    differences = _compared(SCHEMA_FILE, graphql_schema.check)
    unlisted = _compared(RELEASED_FILE, graphql_schema.check_released) if RELEASED_FILE.exists() else []
    for difference in (*differences, *unlisted):
        console.print(difference, markup=False)
    if differences:
        console.print(f"{SCHEMA_FILE} is out of date: `gateway schema > {SCHEMA_FILE}` writes it")
    if differences or unlisted:
        raise typer.Exit(1)
    console.print(f"{SCHEMA_FILE} is up to date")


def _compared(path: Path, compare: Callable[[str], list[str]]) -> list[str]:
    """Compare a file with the schema.

    Raises:
        BadInput: it cannot be read, or is no schema.
    """
    hint = f"`gateway schema > {SCHEMA_FILE}` writes it" if path == SCHEMA_FILE else "take it from the last version"
    try:
        return compare(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        problem = f"{path} cannot be read in this folder ({type(error).__name__})"
        raise BadInput(f"{problem}; {hint}") from None
    except BadInput as error:
        raise BadInput(f"{path} is no schema ({error}); {hint}") from None
