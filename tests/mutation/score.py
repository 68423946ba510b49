"""Run mutmut over the rules of money and access, and print the share of its mutants that something catches.

    python tests/mutation/score.py                              everything, afresh
    python tests/mutation/score.py billing.subscriptions.access one module, or several, with the tests of its folder
    python tests/mutation/score.py --survivors billing.money    what survived the last run of the same modules
    python tests/mutation/score.py --report billing.money       its table once more

A mutant is killed when a test fails (or runs for ever), or when `mypy --strict` refuses it, as `make check` would. What
nothing can tell from the original stands in `equivalent.toml`, each with the reason, and does not count. Prose does not
count either: clients read the code and the field of a problem, never its words.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import libcst
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

NEEDED = 95
"""Percent of the mutants, without those that are equivalent."""
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
KILLED = {"killed", "timeout", "caught by type check"}
COLUMNS = ("mutants", "killed", "types", "survived", "equivalent")

Change = tuple[str, str, str]
"""The function, the lines that are taken away, those that come instead: the same wherever the function moves."""


def without_prose(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    """Leave out literals with a space in them."""
    return () if " " in getattr(node, "value", "") else mutators.operator_string(node)


def run(mutants: list[str], workers: int) -> None:
    """Run mutmut in this process, with our operator for strings in the place of its own; on all mutants where none is
    named.
    """
    mutators.mutation_operators[:] = [
        (kind, without_prose if operator is mutators.operator_string else operator)
        for kind, operator in mutators.mutation_operators
    ]
    os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])  # for mypy
    os.environ["MYPY_CACHE_DIR"] = str(Path(".mypy_cache/mutants").resolve())  # what is not mutated is checked once
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gateway.db"
        upgrade = [sys.executable, "-m", "gateway", "db", "upgrade"]
        subprocess.run(upgrade, check=True, env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.DEVNULL)
        os.environ["SQLITE_TEMPLATE"] = url.removeprefix("sqlite:///")  # for `tests/conftest.py`
        cli.main(["run", "--max-children", str(workers), *mutants], standalone_mode=False)


def function_of(mutant: str) -> str:
    """Return the dotted name of the function that a mutant is of, below `gateway`."""
    module, _, name = mutant.removeprefix("gateway.").rpartition(".")
    return f"{module}.{name.rpartition('__mutmut_')[0].removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def change_of(mutant: str, path: Path) -> Change:
    lines = get_diff_for_mutant(mutant, path=path).splitlines()
    taken, put = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign) and not line.startswith(sign * 3))
        for sign in "-+"
    )
    return function_of(mutant), taken, put


def tried() -> Iterator[tuple[str, str, Path]]:
    """Yield each mutant that has been tried, with what became of it and the file that it is of."""
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for mutant, code in data.exit_code_by_key.items():
            if code is not None:
                yield mutant, status_by_exit_code[code], path


def report() -> bool:
    """Print what survived and the table; return whether enough is killed and every equivalent one is there."""
    rows = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    listed = {(row["function"], row["was"], row["becomes"]) for row in rows}
    table: dict[str, Counter[str]] = {}
    seen, text = set(), []
    for mutant, status, path in tried():
        row = table.setdefault(".".join(path.with_suffix("").parts[1:]), Counter())
        row.update({"mutants": 1, "killed": status in KILLED, "types": status == "caught by type check"})
        if status in KILLED:
            continue
        change = function, was, becomes = change_of(mutant, path)
        seen.add(change)
        row["equivalent" if change in listed else "survived"] += 1
        if change not in listed:
            text.append(f"{status}: {mutant}\n  function = {function!r}\n  was = {was!r}\n  becomes = {becomes!r}")
    gone = sorted(
        function for function, *_ in listed - seen if function.startswith(tuple(f"{each}." for each in table))
    )
    text += [f"in {EQUIVALENT.name}, but killed or gone: a mutant of {function}" for function in gone]
    total = sum(table.values(), Counter())
    text.append(f"\n{'module':40}" + "".join(f"{name:>11}" for name in COLUMNS) + f"{'score':>9}")
    for module, row in [*sorted(table.items()), ("all", total)]:
        text.append(f"{module:40}" + "".join(f"{row[name]:>11}" for name in COLUMNS) + f"{score(row):>8.1f}%")
    print("\n".join(text))  # noqa: T201 - a report
    return score(total) >= NEEDED and not gone


def tests_of(path: str) -> str:
    """Return the tests of a module: its file, of a noun the noun's folder."""
    folder, _, name = path.replace("gateway", "tests", 1).rpartition("/")
    alone = f"{folder}/test_{name}.py"
    return alone if folder == "tests/billing" and Path(alone).exists() else folder


def score(row: Counter[str]) -> float:
    counted = row["mutants"] - row["equivalent"]
    return 100 * row["killed"] / counted if counted else 100.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="below `gateway`, such as `billing.money`; all of them without")
    parser.add_argument("--survivors", action="store_true", help="run only what survived the last time")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--quick", action="store_true", help="with the tests that start nothing: enough for pure rules")
    parser.add_argument("--tests", nargs="+", help="with these instead of those of the folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    asked = parser.parse_args()
    if asked.modules:
        paths = [f"gateway/{module.replace('.', '/')}" for module in asked.modules]
        config().only_mutate = [name for path in paths for name in (f"{path}.py", f"{path}/*")]
        config().pytest_add_cli_args_test_selection = asked.tests or sorted({tests_of(path) for path in paths})
    if asked.quick:
        config().pytest_add_cli_args.append("--quick")
    survivors = [mutant for mutant, status, _ in tried() if status not in KILLED]
    if not asked.report and not asked.survivors:
        shutil.rmtree("mutants", ignore_errors=True)
        run([], asked.workers)
    elif asked.survivors and survivors:
        run(survivors, asked.workers)
    return 0 if report() else 1


if __name__ == "__main__":
    sys.exit(main())
