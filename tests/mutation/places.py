"""Find the statement that a mutant changes, and the lines of the functions that a test runs.

A test that never runs the changed statement cannot tell the mutant from the original, so it need not be run.
"""

import ast
import difflib
import hashlib
import re
import textwrap
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import coverage

_VARIANT = re.compile(r"^( *)(?:async )?def (\w+__mutmut_(?:orig|\d+))\(", re.MULTILINE)
ORIGINAL = "__mutmut_orig"


@dataclass(frozen=True)
class Function:
    """The original or a mutant of a function, in the file that mutmut has written.

    Attributes:
        name: such as `x_money__mutmut_3`.
        first: the number of its first line.
        lines: its source.
    """

    name: str
    first: int
    lines: list[str]

    @cached_property
    def digest(self) -> str:
        """Tell one source of the function from another."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]

    def statement_at(self, line: int) -> range:
        """Return the lines of the innermost statement that a line is of, counted from the function's first.

        Of a statement with a body these are the lines above its body.
        """
        found = range(1)
        for each in self._statements:
            if line in each and each.start >= found.start:
                found = each
        return found

    @cached_property
    def _statements(self) -> list[range]:
        found = []
        for node in ast.walk(ast.parse(textwrap.dedent("\n".join(self.lines))).body[0]):
            if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
                body: list[ast.stmt] = getattr(node, "body", [])
                first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
                last = max(first, body[0].lineno - 1) if body else (node.end_lineno or first)  # type: ignore[union-attr]
                found.append(range(first - 1, last))
        return found


def variants_in(text: str) -> Iterator[Function]:
    """Yield the originals and the mutants in a file that mutmut has written."""
    lines = text.splitlines()
    for match in _VARIANT.finditer(text):
        first = text.count("\n", 0, match.start())
        indent, last = len(match[1]), first + 1
        while last < len(lines) and (not lines[last].strip() or _goes_on(lines[last], indent)):
            last += 1
        yield Function(match[2], first + 1, lines[first:last])


def _goes_on(line: str, indent: int) -> bool:
    """Return whether a line is still of the function that is indented so far."""
    return len(line) - len(line.lstrip()) > indent or line.lstrip().startswith(")")


def changed(original: Function, mutant: Function) -> range:
    """Return the lines of the statement that a mutant changes, counted from the function's first."""
    after = [line.replace(mutant.name, original.name) for line in mutant.lines]
    same = next(
        (place for place, (was, now) in enumerate(zip(original.lines, after, strict=False)) if was != now),
        min(len(original.lines), len(after)) - 1,
    )
    return original.statement_at(same)


def change_of(original: Function, mutant: Function, plain: str) -> tuple[str, str]:
    """Return the lines that a mutant takes away, and those that come instead."""
    before = [line.replace(original.name, plain) for line in original.lines]
    after = [line.replace(mutant.name, plain) for line in mutant.lines]
    diff = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    was, becomes = ("\n".join(line[1:].strip() for line in diff if line[0] == sign).strip() for sign in "-+")
    return was, becomes


class Lines:
    """Note which lines of the originals run, from the time that it is made.

    Args:
        files: those that mutmut has written, each with the start of its mutants' names.
    """

    def __init__(self, files: dict[Path, str]) -> None:
        self._functions: dict[str, list[tuple[str, Function]]] = {}
        for path, prefix in files.items():
            originals = [each for each in variants_in(path.read_text()) if each.name.endswith(ORIGINAL)]
            named = [(prefix + each.name.removesuffix(ORIGINAL), each) for each in originals]
            self._functions[str(path.resolve())] = named
        measured = coverage.Coverage(
            data_file=None, config_file=False, include=list(self._functions), concurrency=["thread", "greenlet"]
        )
        measured.start()
        self._data: Any = measured._collector.data  # type: ignore[union-attr]

    def clear(self) -> None:
        """Forget what ran so far."""
        for lines in list(self._data.values()):
            lines.clear()

    def run(self) -> Iterator[tuple[str, str, list[int]]]:
        """Yield each function that ran: its mutants' name, its digest, and its lines, counted from its first."""
        for file, lines in list(self._data.items()):
            numbers = sorted(lines)
            for name, function in self._functions.get(file, ()) if numbers else ():
                start, end = (bisect_left(numbers, function.first + more) for more in (0, len(function.lines)))
                if start < end:
                    yield name, function.digest, [number - function.first for number in numbers[start:end]]


class Reached:
    """What the tests reach.

    Args:
        notes: of each file of tests the functions with the tests that reach them, and the lines that these run.
    """

    def __init__(self, notes: list[tuple[dict[str, list[str]], dict[str, Any]]]) -> None:
        self._notes = notes

    def of(self, function: str, digest: str, lines: range) -> list[str]:
        """Return the tests that run one of some lines of a function: all that reach it, where that is not known."""
        found = []
        for reached, noted in self._notes:
            known = noted.get(function)
            if lines.start == 0 or not known or known["of"] != digest:
                found += reached.get(function, [])
            else:
                found += dict.fromkeys(test for line in lines for test in known["at"].get(str(line), ()))
        return found
