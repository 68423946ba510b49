"""Try mutants of the rules of money and access, and print the share of them that something catches.

    python tests/mutation/score.py                               all modules whose results are not on file
    python tests/mutation/score.py billing.money                 one module, or several, afresh
    python tests/mutation/score.py --survivors billing.money     only what survived the last time
    python tests/mutation/score.py --report                      run nothing; the table of what is on file
    python tests/mutation/score.py --postgres mirror.upsert      what has survived, with the tests that need PostgreSQL

mutmut makes the mutants; each is tried with the tests that reach its function, the quickest first, until one fails
(`loop.py`). What became of each is kept in `.mutants.json`: a run that was broken off goes on where it was, and a
function whose source has changed since is tried again.

A mutant is killed when a test fails, or runs for ever. What nothing can tell from the original stands in
`equivalent.toml`, each with the reason, is not tried, and does not count. Prose does not count either: clients read the
code and the field of a problem, never its words; nor what is logged; nor that `zip` asserts equal lengths.
"""

import argparse
import ast
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import libcst
import orjson
import pytest
from loop import KILLED, NO_TESTS, SURVIVED, TIMEOUT, Loop, Place
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, setup_source_paths
from mutmut.mutation import file_mutation, mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.utils.file_utils import walk_mutatable_files
from places import ORIGINAL, Function, change_of, changed, variants_in

NEEDED = 95
"""Percent of the mutants, without those that are equivalent."""
EQUIVALENT, SCORES = (Path(__file__).parent / name for name in ("equivalent.toml", "scores.toml"))
TESTS = ("tests/billing", "tests/mirror")
DECORATORS = {"property", "cache", "lru_cache", "contextmanager"}
THERE = "killed on PostgreSQL"
CAUGHT = {KILLED, TIMEOUT, THERE}
NO_MESSAGE = re.compile(r"(^|\n)(message = None|raise \w+\(None\)|log\.\w+\()|Problem\((None|ProblemCode\.\w+, None)\b")
"""A problem or an error without its code or message, which mypy refuses, and what is logged otherwise."""
LENGTHS = re.compile(r",? ?strict=\w+|, (?=\))")
"""`strict=True` of `zip`, with the comma that may stay when it goes."""
FILE = Path(".mutants.json")
COLUMNS = ("mutants", "untried", "killed", "PostgreSQL", "survived", "equivalent")

Results = dict[str, dict[str, dict[str, Any]]]
"""By module its mutants by name: each has its `status` (None: not tried), the digest `of` its function, and if it has
survived its `change`: the function, the lines that are taken away, those that come instead, which are the same wherever
the function moves."""


def without_words(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
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
    found = {}
    for mutant, original, its in variants_of(module, mutants):
        name = function_of(mutant)
        found[mutant] = [name, *change_of(original, its, name.rpartition(".")[2])]
    return found


def places_in(module: str, mutants: Collection[str]) -> dict[str, Place]:
    """Return where some mutants of a module differ from their functions."""
    found = variants_of(module, mutants)
    return {mutant: (original.digest, changed(original, its)) for mutant, original, its in found}


def variants_of(module: str, mutants: Collection[str]) -> Iterator[tuple[str, Function, Function]]:
    """Yield some mutants of a module, each with its original and its source."""
    functions = {each.name: each for each in variants_in(written(module).read_text())} if mutants else {}
    for mutant in mutants:
        name = mutant.rpartition(".")[2]
        yield mutant, functions[name.rpartition("__mutmut_")[0] + ORIGINAL], functions[name]


def written(module: str) -> Path:
    """Return the file with the mutants of a module."""
    return Path("mutants", path_of(module))


def mutants_of(path: Path) -> dict[str, int | None]:
    """Return the mutants that mutmut has made of a file, each with the exit code of its tests, once it was tried."""
    data = SourceFileMutationData(path=path)
    data.load()
    found: dict[str, int | None] = data.exit_code_by_key
    return found


def path_of(module: str) -> Path:
    path = Path("gateway", *module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def digests_of(module: str) -> dict[str, str]:
    """Return a digest of each function of a module, as it is now."""
    if not path_of(module).exists():
        return {}
    text = path_of(module).read_text()
    return {
        f"{module}.{prefix}{node.name}": hashlib.sha256((ast.get_source_segment(text, node) or "").encode()).hexdigest()
        for prefix, nodes in _named(ast.parse(text))
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _named(tree: ast.Module) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Yield what stands in a module and in its classes, with what goes before the names there."""
    yield "", tree.body
    yield from ((f"{node.name}.", node.body) for node in tree.body if isinstance(node, ast.ClassDef))


class Notes:
    """What is on file of modules as they are now.

    Args:
        postgres: whether what survived elsewhere is tried on PostgreSQL.
        partly: whether only some of the tests are run.
    """

    def __init__(self, *, postgres: bool, partly: bool) -> None:
        self._path, self._postgres, self._partly = FILE.resolve(), postgres, partly or postgres
        found: Results = json.loads(FILE.read_text()) if FILE.exists() else {}
        self.results: Results = {}
        for module, mutants in found.items():
            now = digests_of(module)
            self.results[module] = {name: it for name, it in mutants.items() if it["of"] == now.get(function_of(name))}
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
            digests, kept = digests_of(module), {} if afresh else self.results.get(module, {})
            new = {name: {"status": None, "of": digests[function_of(name)]} for name in mutants_of(path_of(module))}
            known = {name: kept.get(name, it) for name, it in new.items()}
            alive = [name for name, found in known.items() if found["status"] not in CAUGHT]
            for name, change in changes_in(module, alive).items():
                if NO_MESSAGE.search(change[2]) or LENGTHS.sub("", change[1]) == LENGTHS.sub("", change[2]):
                    del known[name]
                elif tuple(change) in self.equivalent:
                    known[name] |= {"status": SURVIVED, "change": change}
            self.results[module] = known
            again = {None, SURVIVED, NO_TESTS} if survivors else {None}
            open_ = (name for name, it in known.items() if it["status"] in again)
            wanted += [name for name in open_ if tuple(known[name].get("change", ())) not in self.equivalent]
        self.save()
        return wanted

    def tell(self, mutant: str, status: str) -> None:
        """Note what became of a mutant. What no test reaches stays as it was where only some are run."""
        if self._partly and status == NO_TESTS:
            return
        found = THERE if self._postgres and status in CAUGHT else status
        its = self.results[module_of(mutant)]
        its[mutant] = {"status": found, "of": its[mutant]["of"]}
        self._unsaved += 1
        if self._unsaved >= 100:
            self.save()

    def describe(self, modules: Collection[str]) -> None:
        """Note what the survivors change."""
        for module in modules:
            mutants = self.results[module]
            survivors = [name for name, found in mutants.items() if found["status"] in {SURVIVED, NO_TESTS}]
            for name, change in changes_in(module, survivors).items():
                mutants[name]["change"] = change
        self.save()

    def save(self) -> None:
        new, self._unsaved = self._path.with_suffix(".new"), 0
        new.write_bytes(orjson.dumps(self.results, option=orjson.OPT_APPEND_NEWLINE))
        new.replace(self._path)  # a run that is ended here leaves the one or the other


def _keeps_decorators(node: libcst.CSTNode) -> bool:
    """Return whether a node is a function whose decorators may stay on what picks among its mutants."""
    if not isinstance(node, libcst.FunctionDef) or not node.decorators:
        return False
    given = (each.decorator for each in node.decorators)
    names = (each.func if isinstance(each, libcst.Call) else each for each in given)
    return all(isinstance(each, libcst.Name) and each.value in DECORATORS for each in names)


def mutate_decorated_functions() -> None:
    """Have mutmut mutate properties and functions that keep their results, too: it leaves decorated ones alone."""
    skip, arrange = file_mutation.MutationVisitor._skip_node_and_children, file_mutation.function_trampoline_arrangement

    def skips(visitor: file_mutation.MutationVisitor, node: libcst.CSTNode) -> bool:
        return not _keeps_decorators(node) and skip(visitor, node)

    def arranged(
        function: libcst.FunctionDef, mutants: Iterable[file_mutation.Mutation], class_name: str | None
    ) -> tuple[Sequence[Any], Sequence[Any], Sequence[Any], Sequence[str]]:
        declared, nodes, assigned, names = arrange(function, mutants, class_name)
        if _keeps_decorators(function):
            nodes = [nodes[0], *(each.with_changes(decorators=()) for each in nodes[1:])]
        return declared, nodes, assigned, names

    file_mutation.NEVER_MUTATE_FUNCTION_CALLS |= {"cast"}  # of `typing`: for mypy alone
    file_mutation.MutationVisitor._skip_node_and_children = skips
    file_mutation.function_trampoline_arrangement = arranged


def make_mutants() -> None:
    """Write all mutants into the folder `mutants`, beside the tests; what is there already is kept."""
    mutators.mutation_operators[:] = [
        (kind, without_words if operator is mutators.operator_string else operator)
        for kind, operator in mutators.mutation_operators
    ]
    mutate_decorated_functions()
    set_mutant_under_test("mutant_generation")
    Path("mutants").mkdir(exist_ok=True)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        copy_src_dir()
        copy_also_copy_files()
        create_mutants(os.cpu_count() or 2)
    set_mutant_under_test("")


@contextlib.contextmanager
def template() -> Iterator[None]:
    """Make a migrated database that all tests copy (`tests/conftest.py`)."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gateway.db"
        upgrade = [sys.executable, "-m", "gateway", "db", "upgrade"]
        subprocess.run(upgrade, check=True, env={**os.environ, "DATABASE_URL": url}, stdout=subprocess.DEVNULL)
        os.environ["SQLITE_TEMPLATE"] = url.removeprefix("sqlite:///")
        yield


@contextlib.contextmanager
def server() -> Iterator[None]:
    """Start the PostgreSQL server on which all tests make their databases."""
    from harness.postgres import PostgresDatabases, postgres_server  # noqa: PLC0415 - the mutants' folder has it, and is found by now

    with postgres_server() as started:
        PostgresDatabases(started.get_uri()).close()
        os.environ["POSTGRES_SERVER"] = started.get_uri()
        yield


def try_mutants(
    notes: Notes,
    mutants: Collection[str],
    tests: Sequence[str],
    workers: int,
    budget: float,
    *,
    postgres: bool,
    quick: bool,
) -> None:
    """Try mutants with those of some tests that reach them."""
    which = "postgres" if postgres else "not postgres and not browser"
    reach = Path(f".mutants-reach{'-postgres' if postgres else '-quick' if quick else ''}").resolve()
    asked = ["-q", "--rootdir=.", "--capture=no", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    asked += ["-m", f"{which} and not soak", *tests]
    by_module = groupby(sorted(mutants), key=module_of)
    places = {name: place for module, its in by_module for name, place in places_in(module, list(its)).items()}
    files = {written(module).resolve(): f"gateway.{module}." for module in modules_of_rules()}
    setup_source_paths()
    around = server if postgres else contextlib.nullcontext
    with template(), contextlib.chdir("mutants"):
        code = pytest.main(
            asked, plugins=[Loop(places, files, workers, notes.tell, budget, reach, around, quick=quick)]
        )
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
        for mutant, found in results[module].items():
            status, change = found["status"], tuple(found.get("change") or (function_of(mutant), "", ""))
            row.update({"mutants": 1, "untried": status is None})
            row.update({"killed": status in CAUGHT, "PostgreSQL": status == THERE})
            if status in CAUGHT or status is None:
                continue
            seen.add(change)
            row["equivalent" if change in listed else "survived"] += 1
            if change not in listed:
                names = zip(("function", "was", "becomes"), change, strict=True)
                text.append("\n  ".join([f"{status}: {mutant}", *(f"{name} = {its!r}" for name, its in names)]))
    gone = sorted(function for function, *_ in listed - seen if function.startswith(tuple(f"{its}." for its in table)))
    text += [f"in {EQUIVALENT.name}, but killed or gone: a mutant of {function}" for function in gone]
    missing = [module for module in modules if module not in table or table[module]["untried"]]
    text += [f"not tried, or not all of it: {module}" for module in missing]
    text.append(f"\n{'module':40}" + "".join(f"{name:>11}" for name in COLUMNS) + f"{'score':>9}")
    for module, row in [*sorted(table.items()), ("all", sum(table.values(), Counter()))]:
        text.append(f"{module:40}" + "".join(f"{row[name]:>11}" for name in COLUMNS) + f"{score(row):>8.1f}%")
    print("\n".join(text), flush=True)  # noqa: T201 - a report
    write_scores(table)
    return all(score(row) >= NEEDED for row in table.values()) and not gone and not missing


def write_scores(table: dict[str, Counter[str]]) -> None:
    """Write down the scores of some modules; those of others stay as they are."""
    rows = {module: its for module, its in tomllib.loads(SCORES.read_text()).items() if path_of(module).exists()}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout
    at = {"date": datetime.now(UTC).date().isoformat(), "commit": commit.strip()}
    for module, row in table.items():
        found = {name: row[name] for name in COLUMNS} | {"score": round(score(row), 1)}
        if {name: rows.get(module, {}).get(name) for name in found} != found:
            rows[module] = at | found
    whole = Counter({name: sum(its[name] for its in rows.values()) for name in COLUMNS})
    rows["all"] = {**whole, "score": round(score(whole), 1)}
    lines = (
        f'"{module}" = {{ {", ".join(f"{name} = {json.dumps(it)}" for name, it in row.items())} }}'
        for module, row in sorted(rows.items())
    )
    SCORES.write_text(
        "\n".join([*takewhile(lambda line: line[:1] == "#", SCORES.read_text().splitlines()), *lines, ""])
    )


def score(row: Counter[str]) -> float:
    """Return the percent of the mutants that are killed; what was not tried counts as what has survived."""
    counted = row["mutants"] - row["equivalent"]
    return 100 * row["killed"] / counted if counted else 100.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="below `gateway`, such as `billing.money`; all of them without")
    parser.add_argument("--survivors", action="store_true", help="run only what survived the last time")
    parser.add_argument("--untried", action="store_true", help="go on where a run of these modules was broken off")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--postgres", action="store_true", help="the same, with the tests that need PostgreSQL")
    parser.add_argument("--quick", action="store_true", help="without tests that start a gateway: a lower bound, soon")
    parser.add_argument("--every", type=int, default=1, help="only each third, say, of them: an estimate, soon")
    parser.add_argument("--tests", action="append", help="with these tests alone: a lower bound, soon")
    parser.add_argument("--budget", type=float, default=20, help="seconds of tests that a mutant may take")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    asked = parser.parse_args()
    notes = Notes(postgres=asked.postgres, partly=asked.quick or bool(asked.tests))
    modules = asked.modules or modules_of_rules()
    if not asked.report:
        make_mutants()
        survivors = asked.survivors or asked.postgres
        afresh = bool(asked.modules) and not survivors and not asked.untried
        mutants = notes.take_up(modules, afresh=afresh, survivors=survivors)[:: asked.every]
        tests, pace = asked.tests or TESTS, (asked.workers, asked.budget)
        try_mutants(notes, mutants, tests, *pace, postgres=asked.postgres, quick=asked.quick)
        notes.describe(modules)
    return 0 if report(notes, modules) else 1


if __name__ == "__main__":
    sys.exit(main())
