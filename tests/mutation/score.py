"""Try mutants of the rules of money and access, and print the share of them that something catches.

    python tests/mutation/score.py                               all modules whose results are not on file
    python tests/mutation/score.py billing.money                 one module, or several, afresh
    python tests/mutation/score.py --survivors billing.money     only what survived the last time
    python tests/mutation/score.py --report                      run nothing; the table of what is on file
    python tests/mutation/score.py --postgres mirror.upsert      the same on PostgreSQL, of what is on file for it

mutmut makes the mutants; each is tried with the tests that reach its function, the quickest first, until one fails
(`loop.py`). What became of each is kept in `.mutants.json`: a run that was broken off goes on where it was, and a
module whose source has changed since is tried again. On PostgreSQL only the tests run that need it.

A mutant is killed when a test fails (or runs for ever), or when `mypy --strict` refuses it, as `make check` would. What
nothing can tell from the original stands in `equivalent.toml`, each with the reason, is tried only as a survivor, and
does not count. Prose does not
count either: clients read the code and the field of a problem, never its words.
"""

import argparse
import ast
import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import libcst
import pytest
from loop import KILLED, NO_TESTS, SURVIVED, TIMEOUT, Loop
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, setup_source_paths
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.utils.file_utils import walk_mutatable_files

NEEDED = 95
"""Percent of the mutants, without those that are equivalent."""
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
TESTS = ("tests/billing", "tests/mirror")
REFUSED = "caught by type check"
CAUGHT = {KILLED, TIMEOUT, REFUSED}
_MUTANT = re.compile(r"x.*__mutmut_\d+")
_REGISTERED = re.compile(r"\['(\w+__mutmut_\d+)'\] = .*# mutmut generated")
COLUMNS = ("mutants", "killed", "types", "survived", "equivalent")

Results = dict[str, dict[str, Any]]
"""By module: `digest` of its source, and `mutants` by name: each its `status` (None: not tried), and of one that has
survived its `change`: the function, the lines that are taken away, those that come instead, which are the same wherever
the function moves."""


def results_of(postgres: bool) -> Path:
    return Path(".mutants-postgres.json" if postgres else ".mutants.json")


def without_prose(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    """Leave out literals with a space in them."""
    return () if " " in getattr(node, "value", "") else mutators.operator_string(node)


def module_of(mutant: str) -> str:
    return mutant.removeprefix("gateway.").rpartition(".")[0]


def function_of(mutant: str) -> str:
    """Return the dotted name of the function that a mutant is of, below `gateway`."""
    module, _, name = mutant.removeprefix("gateway.").rpartition(".")
    return f"{module}.{name.rpartition('__mutmut_')[0].removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def changes_in(module: str, mutants: Collection[str]) -> dict[str, list[str]]:
    """Return what some mutants of a module change: the function, the lines that go, and those that come."""
    text = Path("mutants", path_of(module)).read_text()
    lines = text.splitlines()
    functions = {name: lines[first - 1 : last] for first, last, name in functions_in(text)}
    found = {}
    for mutant in mutants:
        name = mutant.rpartition(".")[2]
        plain = name.rpartition("__mutmut_")[0]
        before = [line.replace(f"{plain}__mutmut_orig", plain) for line in functions[f"{plain}__mutmut_orig"]]
        after = [line.replace(name, plain) for line in functions[name]]
        diff = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
        was, becomes = ("\n".join(line[1:].strip() for line in diff if line[0] == sign) for sign in "-+")
        found[mutant] = [function_of(mutant), was, becomes]
    return found


def mutants_of(path: Path) -> dict[str, int | None]:
    """Return the mutants that mutmut has made of a file, each with the exit code of its tests, once it was tried."""
    data = SourceFileMutationData(path=path)
    data.load()
    found: dict[str, int | None] = data.exit_code_by_key
    return found


def path_of(module: str) -> Path:
    path = Path("gateway", *module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def digest_of(module: str) -> str:
    return hashlib.sha256(path_of(module).read_bytes()).hexdigest()


class Notes:
    """What is on file of modules as they are now.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        found: Results = json.loads(path.read_text()) if path.exists() else {}
        self.results = {
            name: kept for name, kept in found.items() if path_of(name).exists() and kept["digest"] == digest_of(name)
        }
        self._unsaved = 0
        rows = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
        self.equivalent = {(row["function"], row["was"], row["becomes"]) for row in rows}

    def take_up(self, modules: Collection[str], *, afresh: bool, survivors: bool) -> list[str]:
        """Note the mutants of some modules, and return those to try.

        Args:
            modules: such as `billing.money`.
            afresh: whether all of them are tried again.
            survivors: whether those that survived are.
        """
        wanted = []
        for module in modules:
            names = mutants_of(path_of(module))
            kept = self.results.get(module, {}).get("mutants", {})
            known = {name: {"status": None} if afresh else kept.get(name, {"status": None}) for name in names}
            untried = [name for name, found in known.items() if found["status"] is None]
            for name, change in changes_in(module, untried).items():
                if tuple(change) in self.equivalent:
                    known[name] = {"status": SURVIVED, "change": change}
            self.results[module] = {"digest": digest_of(module), "mutants": known}
            again = {None, SURVIVED, NO_TESTS} if survivors else {None}
            wanted += [name for name, found in known.items() if found["status"] in again]
        self.save()
        return wanted

    def tell(self, mutant: str, status: str) -> None:
        """Note what became of a mutant."""
        self.results[module_of(mutant)]["mutants"][mutant] = {"status": status}
        self._unsaved += 1
        if self._unsaved >= 100:
            self.save()

    def describe(self, modules: Collection[str]) -> None:
        """Note what the survivors change."""
        for module in modules:
            mutants = self.results[module]["mutants"]
            survivors = [name for name, found in mutants.items() if found["status"] in {SURVIVED, NO_TESTS}]
            for name, change in changes_in(module, survivors).items():
                mutants[name]["change"] = change
        self.save()

    def save(self) -> None:
        self._path.write_text(json.dumps(self.results, indent=0))
        self._unsaved = 0


def make_mutants() -> None:
    """Write all mutants into the folder `mutants`, beside the tests; what is there already is kept."""
    mutators.mutation_operators[:] = [
        (kind, without_prose if operator is mutators.operator_string else operator)
        for kind, operator in mutators.mutation_operators
    ]
    set_mutant_under_test("mutant_generation")
    Path("mutants").mkdir(exist_ok=True)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(os.cpu_count() or 2)
    set_mutant_under_test("")


def refuse_by_types(notes: Notes, modules: Collection[str]) -> None:
    """Note those survivors that the type checker refuses.

    It looks at the modules with their survivors alone: all mutants at once would take it many minutes.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree("gateway", f"{folder}/gateway", ignore=shutil.ignore_patterns("static", "__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(name, folder)
        spans, modules_by_path = {}, {}
        for module in modules:
            survivors = {name for name, its in notes.results[module]["mutants"].items() if its["status"] not in CAUGHT}
            text = with_mutants(Path("mutants", path_of(module)).read_text(), {_function(each) for each in survivors})
            Path(folder, path_of(module)).write_text(text)
            spans[str(path_of(module))] = mutants_in(text)
            modules_by_path[str(path_of(module))] = module
        cache = Path(".mypy_cache/mutants").resolve()  # what is not mutated is checked once
        command = [sys.executable, "-m", "mypy", "gateway", "--output", "json", "--cache-dir", str(cache)]
        command += ["--disable-error-code", "unused-ignore"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    for error in map(json.loads, done.stdout.splitlines()):
        for first, last, name in spans.get(error["file"], ()):
            if first <= error["line"] <= last:
                notes.tell(f"gateway.{modules_by_path[error['file']]}.{name}", REFUSED)
    notes.save()


def _function(mutant: str) -> str:
    return mutant.rpartition(".")[2]


def functions_in(text: str) -> list[tuple[int, int, str]]:
    """Return the first and the last line of each function in a file, and its name."""
    found = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [(node.lineno, node.end_lineno or node.lineno, node.name) for node in found]


def mutants_in(text: str) -> list[tuple[int, int, str]]:
    """Return the same of the mutants alone, in a file of mutmut's."""
    return [each for each in functions_in(text) if _MUTANT.fullmatch(each[2])]


def with_mutants(text: str, wanted: Collection[str]) -> str:
    """Return a file of mutmut's with some of its mutants alone."""
    lines = text.splitlines(keepends=True)
    for first, last, name in mutants_in(text):
        if name not in wanted:
            lines[first - 1 : last] = [""] * (last - first + 1)
    kept = (line for line in lines if not (found := _REGISTERED.search(line)) or found[1] in wanted)
    return "".join(kept)


@contextlib.contextmanager
def template() -> Iterator[None]:
    """Make a migrated database that all tests copy (`tests/conftest.py`)."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gateway.db"
        upgrade = [sys.executable, "-m", "gateway", "db", "upgrade"]
        subprocess.run(upgrade, check=True, env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.DEVNULL)
        os.environ["SQLITE_TEMPLATE"] = url.removeprefix("sqlite:///")
        yield


def try_mutants(
    notes: Notes, mutants: Collection[str], workers: int, budget: float, *, postgres: bool, quick: bool
) -> None:
    """Try mutants with the tests that reach them."""
    which = "postgres" if postgres else "not postgres and not browser"
    reach = Path(f".mutants-reach{'-postgres' if postgres else '-quick' if quick else ''}").resolve()
    asked = ["-q", "--rootdir=.", "--capture=no", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    asked += ["-m", f"{which} and not soak", *(["--quick"] if quick else []), *TESTS]
    setup_source_paths()
    with template(), contextlib.chdir("mutants"):
        code = pytest.main(asked, plugins=[Loop(mutants, workers, notes.tell, budget, reach)])
    notes.save()
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        raise SystemExit(int(code))


def modules_of_rules() -> list[str]:
    """Return the modules that `pyproject.toml` names and that have functions."""
    paths = [path for path in walk_mutatable_files() if "def " in path.read_text()]
    return sorted(".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__") for path in paths)


def report(notes: Notes, modules: Collection[str]) -> bool:
    """Print what survived and the table; return whether enough is killed and every equivalent one is there."""
    results, listed, text, seen = notes.results, notes.equivalent, [], set()
    table = {module: Counter[str]() for module in modules if module in results}
    for module, row in table.items():
        for mutant, found in results[module]["mutants"].items():
            status, change = found["status"], tuple(found.get("change") or (function_of(mutant), "", ""))
            row.update({"mutants": 1, "killed": status in CAUGHT, "types": status == REFUSED})
            if status in CAUGHT:
                continue
            seen.add(change)
            row["equivalent" if change in listed else "survived"] += 1
            if change not in listed:
                names = zip(("function", "was", "becomes"), change, strict=True)
                text.append("\n  ".join([f"{status}: {mutant}", *(f"{name} = {its!r}" for name, its in names)]))
    gone = sorted(function for function, *_ in listed - seen if function.startswith(tuple(f"{its}." for its in table)))
    text += [f"in {EQUIVALENT.name}, but killed or gone: a mutant of {function}" for function in gone]
    missing = [module for module in modules if module not in table or None in statuses_of(results, module)]
    text += [f"not tried, or not all of it: {module}" for module in missing]
    text.append(f"\n{'module':40}" + "".join(f"{name:>11}" for name in COLUMNS) + f"{'score':>9}")
    for module, row in [*sorted(table.items()), ("all", sum(table.values(), Counter()))]:
        text.append(f"{module:40}" + "".join(f"{row[name]:>11}" for name in COLUMNS) + f"{score(row):>8.1f}%")
    tell("\n".join(text))
    return all(score(row) >= NEEDED for row in table.values()) and not gone and not missing


def score(row: Counter[str]) -> float:
    counted = row["mutants"] - row["equivalent"]
    return 100 * row["killed"] / counted if counted else 100.0


def tell(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a report


def statuses_of(results: Results, module: str) -> set[str | None]:
    return {found["status"] for found in results[module]["mutants"].values()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="below `gateway`, such as `billing.money`; all of them without")
    parser.add_argument("--survivors", action="store_true", help="run only what survived the last time")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--postgres", action="store_true", help="with the tests that need PostgreSQL, and no others")
    parser.add_argument("--quick", action="store_true", help="with the tests that start nothing: a lower bound, soon")
    parser.add_argument("--budget", type=float, default=20, help="seconds of tests that a mutant may take")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    asked = parser.parse_args()
    notes = Notes(results_of(asked.postgres))
    modules = asked.modules or modules_of_rules()
    if not asked.report:
        make_mutants()
        afresh = bool(asked.modules) and not asked.survivors
        mutants = notes.take_up(modules, afresh=afresh, survivors=asked.survivors)
        try_mutants(notes, mutants, asked.workers, asked.budget, postgres=asked.postgres, quick=asked.quick)
        refuse_by_types(notes, modules)
        notes.describe(modules)
    return 0 if report(notes, modules) else 1


if __name__ == "__main__":
    sys.exit(main())
