"""What every list has: lines for people, or with `--json` one line of JSON for each row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import orjson
import typer

from gateway.cli.context import console
from gateway.cli.terminal import printable

AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON for each row, with names that stay.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")]

Row = Mapping[str, Any]


def show_rows(rows: Sequence[Row], line: Callable[[Row], str], *, as_json: bool, none: str) -> None:
    """Print rows.

    Args:
        rows: what is listed, by the names that `--json` gives it.
        line: formats a row for people, with rich's markup, of which a narrow window cuts nothing off.
        as_json: whether programs read it; then nothing is printed where there is no row.
        none: what people are told where there is no row.
    """
    for row in rows:
        if as_json:
            typer.echo(orjson.dumps(row, option=orjson.OPT_UTC_Z))
        else:
            console.print(printable(line(row)), soft_wrap=True)
    if not rows and not as_json:
        console.print(none)
