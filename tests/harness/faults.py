"""Faults that are put back into a copy of the tree, to see whether a search finds them."""

import shutil
from pathlib import Path
from typing import Protocol

from harness.paths import ROOT

Edits = tuple[tuple[str, str, str], ...]
"""File below `gateway/`, text and replacement; each text stands once in its file."""


class Faulty(Protocol):
    """A fault: its name, and how it is put back."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def edits(self) -> Edits:
        """What is changed."""


def edited(fault: Faulty) -> dict[str, str]:
    """Return the files of a fault, each with its source as it is then.

    Raises:
        SystemExit: a text does not stand once in its file: the mechanism has changed, and so must the fault.
    """
    sources: dict[str, str] = {}
    for file, text, replacement in fault.edits:
        source = sources.get(file) or (ROOT / "gateway" / file).read_text()
        if source.count(text) != 1:
            found = f"{text.strip()!r} stands {source.count(text)} times in {file}, not once"
            raise SystemExit(f"fault {fault.name}: {found}")
        sources[file] = source.replace(text, replacement)
    return sources


def copy_with(fault: Faulty, folder: Path) -> None:
    """Copy the tree to a folder, with a fault in it."""
    for name in ("gateway", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for name in ("pyproject.toml", "schema.graphql"):
        shutil.copy(ROOT / name, folder / name)
    for file, source in edited(fault).items():
        (folder / "gateway" / file).write_text(source)
