"""Run mutmut over the rules of money and access, and print the share of its mutants that something catches.

    python tests/mutation/score.py                               all modules whose results are not on file
    python tests/mutation/score.py billing.money                 one module, or several, afresh
    python tests/mutation/score.py --survivors billing.money     only what survived the last time
    python tests/mutation/score.py --report                      run nothing; the table of what is on file

Mutants are tried first with the tests that start nothing, what survives these with the module's own file of tests, and
what survives that with all tests of its folder, on both databases. What became of each is kept in `.mutants.json`: a
run that was broken off goes on where it was, and a module whose source has changed since is tried again.

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
from collections.abc import Collection, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import libcst
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.runners.harness import PytestRunner
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files

NEEDED = 95
"""Percent of the mutants, without those that are equivalent."""
EQUIVALENT = Path(__file__).parent / "equivalent.toml"
RESULTS = Path(".mutants.json")
RUNNING = Path("mutants/running.json")
"""What mutmut is about to try: the modules with the digests of their sources, and the stage."""
QUICK, OWN, WHOLE = range(3)
STAGES = ("what starts nothing", "their own tests", "all tests of the folder")
KILLED = {"killed", "timeout", "caught by type check"}
COLUMNS = ("mutants", "killed", "types", "survived", "equivalent")

Results = dict[str, dict[str, Any]]
"""By module: `digest` of its source, and `mutants` by name. Each has its `status` (None: not tried), the last `stage`
that it has met, and where it has survived all its `change`: the function, the lines that are taken away, those that
come instead; these are the same wherever the function moves."""


class Uncached:
    """Let each test make statements and other cached values anew, while mutmut notes which functions it reaches.

    Else only the first test to ask for a statement would be tried on the mutants of what makes it.
    """

    def pytest_runtest_setup(self) -> None:
        if os.environ.get("MUTANT_UNDER_TEST") != "stats":
            return
        from gateway.db.queries import PreparedQuery  # noqa: PLC0415 - the one of the mutants' folder, there alone

        for name, module in list(sys.modules.items()):
            for value in list(vars(module).values()) if name.startswith("gateway.") else ():
                if isinstance(value, PreparedQuery):
                    value._made.clear()
                elif hasattr(value, "cache_clear"):
                    value.cache_clear()


def with_plugin(plugin: object) -> None:
    """Have mutmut run pytest with a plugin."""
    execute = PytestRunner.execute_pytest

    def with_it(self: PytestRunner, params: list[str], plugins: Collection[object] = (), **more: Any) -> int:
        return execute(self, params, plugins=[*plugins, plugin], **more)

    PytestRunner.execute_pytest = with_it


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
    with_plugin(Uncached())
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


def path_of(module: str) -> Path:
    return Path("gateway", *module.split(".")).with_suffix(".py")


def digest_of(module: str) -> str:
    return hashlib.sha256(path_of(module).read_bytes()).hexdigest()


def tests_of(module: str, stage: int) -> list[str]:
    """Return the tests of a module at a stage: in its own files, or in its noun's folder; none where it has none.

    Args:
        module: such as `billing.money`.
        stage: `OWN`, or the others.
    """
    folder, _, name = module.rpartition(".")
    tests = Path("tests", *folder.split("."))
    own = sorted(map(str, {*tests.glob(f"test_{name}.py"), *tests.glob(f"test_{name}_read.py")}))
    return own if stage == OWN or (folder == "billing" and own) else [str(tests)]


def load() -> Results:
    """Return what is on file of modules as they are now."""
    found: Results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return {name: kept for name, kept in found.items() if path_of(name).exists() and kept["digest"] == digest_of(name)}


def save(results: Results) -> None:
    RESULTS.write_text(json.dumps(results, indent=0))


def harvest() -> None:
    """Put on file what mutmut has found out, also in a run that was broken off."""
    if not RUNNING.exists():
        return
    running, results = json.loads(RUNNING.read_text()), load()
    for module, digest in running["digests"].items():
        path = path_of(module)
        if not path.exists() or digest != digest_of(module):
            continue
        mutants = results.setdefault(module, {"digest": digest, "mutants": {}})["mutants"]
        for name, code in mutants_of(path).items():
            known = mutants.setdefault(name, {"status": None, "stage": QUICK})
            if code is not None:
                known |= {"status": status_by_exit_code[code], "stage": running["stage"]}
            if known["stage"] == WHOLE and known["status"] not in KILLED and "change" not in known:
                known["change"] = change_of(name, path)  # takes a tenth of a second
    save(results)
    RUNNING.unlink()


def to_try(results: Results, module: str, stage: int) -> list[str]:
    """Return the mutants on file that a stage must try: those not tried, or those that have survived those before."""
    mutants = results[module]["mutants"].items()
    if stage == QUICK:
        return [name for name, found in mutants if found["status"] is None]
    return [name for name, found in mutants if found["status"] not in KILLED and found["stage"] < stage]


def try_mutants(modules: list[str], workers: int, stage: int) -> None:
    """Try in this process what a stage must try of some modules, all of it where nothing is on file."""
    results = load()
    known = [module for module in modules if module in results]
    mutants = [name for module in known for name in to_try(results, module, stage)]
    if stage == QUICK:
        config().pytest_add_cli_args.append("--quick")
    elif not any(to_try(results, module, QUICK) for module in known):
        config().type_check_command = []  # it has refused what it refuses
    if stage == OWN:
        config().pytest_add_cli_args.extend(["-m", "not postgres and not soak and not browser"])
    config().only_mutate = [str(path_of(module)) for module in modules]
    config().pytest_add_cli_args_test_selection = sorted(
        {each for module in modules for each in tests_of(module, stage)}
    )
    shutil.rmtree("mutants", ignore_errors=True)
    RUNNING.parent.mkdir()
    RUNNING.write_text(json.dumps({"stage": stage, "digests": {module: digest_of(module) for module in modules}}))
    run(mutants, workers)


def play(modules: list[str], workers: int, stage: int) -> None:
    """Try some modules in a process of its own, because mutmut keeps the state of a run in its modules.

    Raises:
        SystemExit: mutmut broke off in the last stage, such as on a test that fails without any mutant.
    """
    if not modules:
        return
    began, log = time.monotonic(), Path(f".mutants-{stage}.log")
    command = [sys.executable, __file__, "--workers", str(workers), "--stage", str(stage), *modules]
    with log.open("w") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
    harvest()
    broken = "broke off" if done.returncode else "done"
    tell(f"{STAGES[stage]}: {broken} after {time.monotonic() - began:.0f} s: {' '.join(modules)}")
    if done.returncode and stage == WHOLE:
        raise SystemExit(f"mutmut broke off: see {log}")


def try_all(modules: list[str], workers: int) -> None:
    """Try what is to be tried of some modules, stage by stage; what starts something folder by folder."""
    harvest()
    results = load()
    known = [module for module in modules if module in results]
    play([module for module in modules if module not in results], workers, QUICK)
    play([module for module in known if to_try(results, module, QUICK)], workers, QUICK)
    for stage in (OWN, WHOLE):
        for _, some in groupby(sorted(modules), key=lambda module: module.rpartition(".")[0]):
            results = load()
            left = [module for module in some if module in results and to_try(results, module, stage)]
            play([module for module in left if tests_of(module, stage)], workers, stage)


def modules_of_rules() -> list[str]:
    """Return the modules that `pyproject.toml` names and that have functions."""
    paths = [path for path in walk_mutatable_files() if "def " in path.read_text()]
    return sorted(".".join(path.with_suffix("").parts[1:]) for path in paths)


def report(modules: Collection[str]) -> bool:
    """Print what survived and the table; return whether enough is killed and every equivalent one is there."""
    rows = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    listed = {(row["function"], row["was"], row["becomes"]) for row in rows}
    results, text, seen = load(), [], set()
    table = {module: Counter[str]() for module in modules if module in results}
    for module, row in table.items():
        for mutant, found in results[module]["mutants"].items():
            status, change = found["status"], tuple(found.get("change") or (function_of(mutant), "", ""))
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
    missing = [module for module in modules if module not in table or to_try(results, module, WHOLE)]
    text += [f"not tried with all of its tests: {module}" for module in missing]
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


def forget(modules: list[str], *, survivors: bool) -> None:
    """Drop what is on file of some modules, or that their survivors have met all tests."""
    harvest()
    results = load()
    for module in modules:
        if not survivors:
            results.pop(module, None)
        for found in results.get(module, {}).get("mutants", {}).values():
            found["stage"] = QUICK if found["status"] not in KILLED else found["stage"]
    save(results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="below `gateway`, such as `billing.money`; all of them without")
    parser.add_argument("--survivors", action="store_true", help="run only what survived the last time")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--stage", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.stage is not None:
        try_mutants(asked.modules, asked.workers, asked.stage)
        return 0
    modules = asked.modules or modules_of_rules()
    if not asked.report:
        if asked.modules or asked.survivors:
            forget(modules, survivors=asked.survivors)
        try_all(modules, asked.workers)
    return 0 if report(modules) else 1


if __name__ == "__main__":
    sys.exit(main())
