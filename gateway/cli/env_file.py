"""A file of variables such as `.env`: read, and changed without losing a line of it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from gateway.errors import BadInput

PLAIN = re.compile(r"[\w./:@%+,=?&~*;-]*", re.ASCII)
"""What needs no quotes, which `docker run --env-file` would take for a part of the value."""
MODE = 0o600


def read_variables(path: Path) -> dict[str, str]:
    """Return the variables of a file; none where there is no file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        found = dotenv_values(path, encoding="utf-8")  # nothing where there is no file
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({type(error).__name__})") from None
    return {name: value for name, value in found.items() if value}


def write_variables(path: Path, variables: Mapping[str, str]) -> None:
    """Set variables in a file: their lines are replaced or added, every other line stays. Only its owner may read it.

    The file is whole at every moment.

    Raises:
        BadInput: a value cannot be written, or the file cannot.
    """
    path = path.resolve()  # where it is a link, what it leads to
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        text = _merged(path.read_text(encoding="utf-8") if path.exists() else "", variables)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadInput(f"{path} cannot be written ({type(error).__name__})") from None


def _merged(text: str, variables: Mapping[str, str]) -> str:
    lines = text.splitlines()
    for name, value in variables.items():
        line, known = f"{name}={_quoted(name, value)}", re.compile(rf"\s*(export\s+)?{name}\s*=")
        places = [place for place, each in enumerate(lines) if known.match(each)]
        if places:
            lines[places[-1]] = line  # the last one counts
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _quoted(name: str, value: str) -> str:
    if PLAIN.fullmatch(value):
        return value
    if not value.isprintable() or "'" in value or "${" in value:
        raise BadInput(f"{name} holds what a file of variables cannot: write it percent-encoded")
    return f"'{value}'"
