"""Run mutmut over the rules of money and access, and print the share of its mutants that something catches.

    python tests/mutation/score.py                               all modules whose results are not on file
    python tests/mutation/score.py billing.money                 one module, or several, afresh
    python tests/mutation/score.py --survivors billing.money     only what survived the last time
    python tests/mutation/score.py --report                      run nothing; the table of what is on file

Each module is tried by itself: first with the tests that start nothing, then what survived these with all tests of its
folder, on both databases. What became of each mutant is kept in `.mutants.json`, module by module, so that a run that
was broken off goes on where it was; a module whose source has changed since is tried again.

A mutant is killed when a test fails (or runs for ever), or when `mypy --strict` refuses it, as `make check` would. What
nothing can tell from the original stands in `equivalent.toml`, each with the reason, and does not count. Prose does not
count either: clients read the code and the field of a problem, never its words.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

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
RESULTS = Path(".mutants.json")
KILLED = {"killed", "timeout", "caught by type check"}
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
COLUMNS = ("mutants", "killed", "types", "survived", "equivalent")

Results = dict[str, dict[str, Any]]
"""By module: `digest` of its source, and `mutants` by name, each with `status` and `change`: the function, the lines
that are taken away, those that come instead; these are the same wherever the function moves."""


def without_prose(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    """Leave out literals with a space in them."""
    return () if " " in getattr(node, "value", "") else mutators.operator_string(node)


def run(mutants: Collection[str], workers: int) -> None:
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


def change_of(mutant: str, path: Path) -> list[str]:
    lines = get_diff_for_mutant(mutant, path=path).splitlines()
    taken, put = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign) and not line.startswith(sign * 3))
        for sign in "-+"
    )
    return [function_of(mutant), taken, put]


def mutants_of(path: Path) -> dict[str, int | None]:
    """Return the mutants that mutmut has made of a file, each with the exit code of its tests, once it was tried."""
    data = SourceFileMutationData(path=path)
    data.load()
    found: dict[str, int | None] = data.exit_code_by_key
    return found


def tried() -> Iterator[tuple[str, str, Path]]:
    """Yield each mutant that mutmut has tried, with what became of it and the file that it is of."""
    for path in walk_mutatable_files():
        for mutant, code in mutants_of(path).items():
            if code is not None:
                yield mutant, status_by_exit_code[code], path


def path_of(module: str) -> Path:
    return Path("gateway", *module.split(".")).with_suffix(".py")


def digest_of(module: str) -> str:
    return hashlib.sha256(path_of(module).read_bytes()).hexdigest()


def tests_of(module: str) -> list[str]:
    """Return the tests of a module: its file, of a noun the noun's folder."""
    folder, _, name = module.rpartition(".")
    alone = Path("tests", *folder.split("."), f"test_{name}.py")
    return [str(alone if folder == "billing" and alone.exists() else alone.parent)]


def survivors_of(results: Results, module: str) -> list[str]:
    return [name for name, found in results[module]["mutants"].items() if found["status"] not in KILLED]


def load() -> Results:
    found: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {module: kept for module, kept in found.items() if path_of(module).exists()}


def try_module(module: str, tests: list[str], workers: int, *, quick: bool) -> None:
    """Try a module's mutants with some tests, and keep what became of them: of those on file, the survivors."""
    results = load()
    entry = results.setdefault(module, {"digest": digest_of(module), "mutants": {}})
    config().only_mutate = [str(path_of(module))]
    config().pytest_add_cli_args_test_selection = tests
    if quick:
        config().pytest_add_cli_args.append("--quick")
    known = entry["mutants"]
    if known:
        config().type_check_command = []  # it has refused what it refuses
    shutil.rmtree("mutants", ignore_errors=True)
    try:
        run(survivors_of(results, module) if known else (), workers)
    except SystemExit:
        if any(mutants_of(path) for path in walk_mutatable_files()):
            raise
    for mutant, status, path in tried():
        known[mutant] = {"status": status, "change": change_of(mutant, path)}
    if not quick:
        entry["whole"] = True
    RESULTS.write_text(json.dumps(results, indent=0))


def play(module: str, *more: str) -> None:
    """Try a module in a process of its own, because mutmut keeps a run's state in its modules."""
    began, command = time.monotonic(), [sys.executable, __file__, "--one", module, *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode and "--fast" not in more:
        said = [line for line in done.stdout.replace("\r", "\n").splitlines() if line[:1] not in SPINNER]
        raise SystemExit("\n".join([f"{module}:", *said[-100:]]))
    stage = "what starts nothing" if "--fast" in more else "all of its tests"
    tell(f"{module}: {stage}, {time.monotonic() - began:.0f} s{', no such test' if done.returncode else ''}")


def try_all(modules: list[str], given: list[str], *, again: bool) -> None:
    """Try modules that are not on file whole, or of these only the survivors."""
    for module in modules:
        results = load()
        if not again:
            if results.get(module, {}).get("digest") != digest_of(module):
                results.pop(module, None)
                RESULTS.write_text(json.dumps(results, indent=0))
                play(module, "--fast", *given)
            elif results[module].get("whole"):
                continue
        results = load()
        if module not in results or survivors_of(results, module):
            play(module, *given)


def modules_of_rules() -> list[str]:
    """Return the modules that `pyproject.toml` names and that have functions."""
    paths = [path for path in walk_mutatable_files() if "def " in path.read_text()]
    return sorted(".".join(path.with_suffix("").parts[1:]) for path in paths)


def report(modules: Collection[str]) -> bool:
    """Print what survived and the table; return whether enough is killed and every equivalent one is there."""
    rows = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    listed = {(row["function"], row["was"], row["becomes"]) for row in rows}
    table: dict[str, Counter[str]] = {}
    seen, text = set(), []
    for module, kept in load().items():
        if module not in modules:
            continue
        row = table.setdefault(module, Counter())
        for mutant, found in kept["mutants"].items():
            status, change = found["status"], tuple(found["change"])
            row.update({"mutants": 1, "killed": status in KILLED, "types": status == "caught by type check"})
            if status in KILLED:
                continue
            seen.add(change)
            row["equivalent" if change in listed else "survived"] += 1
            if change not in listed:
                names = zip(("function", "was", "becomes"), change, strict=True)
                text.append("\n  ".join([f"{status}: {mutant}", *(f"{name} = {its!r}" for name, its in names)]))
    gone = sorted(function for function, *_ in listed - seen if function.startswith(tuple(f"{its}." for its in table)))
    text += [f"in {EQUIVALENT.name}, but killed or gone: a mutant of {function}" for function in gone]
    text += [f"not on file, or changed since: {module}" for module in modules if not is_current(module)]
    text.append(f"\n{'module':40}" + "".join(f"{name:>11}" for name in COLUMNS) + f"{'score':>9}")
    for module, row in [*sorted(table.items()), ("all", sum(table.values(), Counter()))]:
        text.append(f"{module:40}" + "".join(f"{row[name]:>11}" for name in COLUMNS) + f"{score(row):>8.1f}%")
    tell("\n".join(text))
    return all(score(row) >= NEEDED for row in table.values()) and not gone and all(map(is_current, modules))


def is_current(module: str) -> bool:
    return bool(load().get(module, {}).get("digest") == digest_of(module))


def score(row: Counter[str]) -> float:
    counted = row["mutants"] - row["equivalent"]
    return 100 * row["killed"] / counted if counted else 100.0


def tell(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="below `gateway`, such as `billing.money`; all of them without")
    parser.add_argument("--survivors", action="store_true", help="run only what survived the last time")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--tests", nargs="+", help="with these instead of those of the folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--fast", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        try_module(asked.one, asked.tests or tests_of(asked.one), asked.workers, quick=asked.fast)
        return 0
    modules = asked.modules or modules_of_rules()
    if not asked.report:
        if asked.modules and not asked.survivors:
            RESULTS.write_text(json.dumps({name: kept for name, kept in load().items() if name not in modules}))
        more = ["--workers", str(asked.workers), *(["--tests", *asked.tests] if asked.tests else [])]
        try_all(modules, more, again=asked.survivors)
    return 0 if report(modules) else 1


if __name__ == "__main__":
    sys.exit(main())
