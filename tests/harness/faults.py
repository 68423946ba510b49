"""Faults that are put back, into a copy of the tree or into what runs, to see whether a search finds them."""

import inspect
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from types import CodeType
from typing import Any, Protocol

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


@contextmanager
def running_with(fault: Faulty) -> Iterator[None]:
    """Have a fault in the running program while the block runs: functions that it changes get other code.

    Raises:
        SystemExit: it changes something else than functions, which were made when the program began.
    """
    swapped = [
        (function, function.__code__, code)
        for file, source in edited(fault).items()
        for function, code in _changed(fault, file, source)
    ]
    for function, _, code in swapped:
        function.__code__ = code
    try:
        yield
    finally:
        for function, code, _ in swapped:
            function.__code__ = code


def _changed(fault: Faulty, file: str, source: str) -> Iterator[tuple[Any, CodeType]]:
    """Yield the functions of a module that are others in this source, each with its code there."""
    now = _functions(file, (ROOT / "gateway" / file).read_text())
    then = _functions(file, source)
    changed = [name for name in now if name not in then or not _alike(now[name], then[name])]
    if not changed or now.keys() != then.keys():
        raise SystemExit(f"fault {fault.name}: it changes more of {file} than functions")
    module = import_module(f"gateway.{file.removesuffix('.py').replace('/', '.')}")
    for name in changed:
        found: Any = module
        for part in name.split("."):
            found = inspect.getattr_static(found, part)
        yield inspect.unwrap(getattr(found, "fget", None) or getattr(found, "__func__", found)), then[name]


@cache
def _functions(file: str, source: str) -> dict[str, CodeType]:
    """Return the code of a module's functions and of its classes' methods, by their names."""
    found: dict[str, CodeType] = {}
    blocks = [compile(source, ROOT / "gateway" / file, "exec", dont_inherit=True)]
    while blocks:
        for each in (constant for constant in blocks.pop().co_consts if isinstance(constant, CodeType)):
            if each.co_flags & inspect.CO_OPTIMIZED:
                found[each.co_qualname] = each
            else:
                blocks.append(each)  # a class
    return found


def _alike(one: CodeType, other: CodeType) -> bool:
    """Return whether two functions do the same, wherever they stand."""
    first, second = (each.replace(co_firstlineno=1, co_linetable=b"", co_consts=()) for each in (one, other))
    return (
        first == second
        and len(one.co_consts) == len(other.co_consts)
        and all(
            _alike(mine, its) if isinstance(mine, CodeType) and isinstance(its, CodeType) else mine == its
            for mine, its in zip(one.co_consts, other.co_consts, strict=True)
        )
    )
