"""Try mutants in one session of pytest: collected once, then each mutant in a process that is forked from it.

`mutmut` starts pytest anew for each mutant, which costs more than most of our tests. Here the modules are imported and
the tests collected by the time of the fork, and no test has run: what a test caches is gone with its process.
"""

import gc
import hashlib
import json
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from itertools import groupby, zip_longest
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.format_utils import mangled_name_from_mutant_name
from places import Lines, Reached

KILLED, SURVIVED, NO_TESTS, TIMEOUT = "killed", "survived", "no tests", "timeout"
STARTED = {"shop", "world", "make_world", "sandbox_factory", "own_postgres"}
"""Fixtures and functions that start a gateway, or a server."""
RESULTS = "results"
"""The file in a process's folder with a line for each mutant that was tried, and the test that killed it, if any."""
CHECKED, AT_ONCE = "checked", 10
"""The file there with how many are sure: what killed them has passed since without a mutant, for so many at once."""
FAILING = "failing"
"""The file there with the tests that fail without a mutant by now, and are not run any more."""
DONE, BROKEN, SPOILT = 0, 3, 4
"""How a process ends: all is tried; it could not run its tests; a mutant has left something behind that fails alone."""
TOGETHER = 50
"""So many mutants are tried in one process where no test starts a gateway."""
SECONDS, TIMES = 5, 5
"""The CPU that a mutant may take before it counts as one that runs for ever: so many times its tests', and this."""
PATIENCE = 20
"""Seconds without any CPU after which a process is given up."""
FRESH = 120
"""Seconds for which all tests pass that hold some minutes: later a mutant alone is tried with those that still do."""
REMEMBERED = 3
"""So many tests that killed the last mutants of a function are run first on its next one."""

Job = tuple[float, str, list[str]]
"""The seconds that a mutant's tests take, the mutant, and its tests."""
Place = tuple[str, range]
"""Where a mutant differs: a digest of its function, and the lines of a statement, counted from the function's first."""


class Loop:
    """A plugin that does not run the tests, but tries mutants with them.

    Args:
        mutants: their names, each with its place.
        files: those that mutmut has written, each with the start of its mutants' names.
        workers: how many are tried at once.
        tell: takes what became of each, as soon as it is known.
        budget: seconds of tests for one mutant; what takes longer is not run. A mutant without such tests is not tried.
        quick: whether the tests that start a gateway are left out.
        reach: the folder that keeps what each test reaches.
        around: makes what all processes share, once the tests are collected.
    """

    def __init__(
        self,
        mutants: dict[str, Place],
        files: dict[Path, str],
        workers: int,
        tell: Callable[[str, str], None],
        budget: float,
        reach: Path,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        quick: bool = False,
    ) -> None:
        self._mutants, self._files = mutants, files
        self._workers = workers
        self._tell = tell
        self._budget, self._quick = budget, quick
        self._together = TOGETHER if quick else 1
        self._reach, self._around = reach, around
        self._failed = False
        self._mutant, self._is_alone, self._folder = "", False, ""
        self._running: dict[int, tuple[list[Job], float, str]] = {}
        self._killers: dict[str, list[str]] = {}
        self._spent: dict[int, list[str]] = {}
        self._alone: set[str] = set()
        self._fresh_until = time.monotonic() + FRESH
        self._failing: set[str] = set()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the tests that are wanted."""
        items[:] = [item for item in items if not self._quick or not _starts_something(item)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that a test has failed."""
        self._failed |= report.failed

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
        """Say no more of a test that fails on a mutant than that: to tell why would take longer than the test.

        Where no other mutant follows, the process ends at once. What it has begun ends with its group, and its folder
        is deleted; a database must be dropped.
        """
        if not self._mutant or call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception):
            return None
        if self._is_alone and "postgres_url" not in getattr(item, "fixturenames", ()):
            self._write(item.nodeid)
            os._exit(DONE)
        return pytest.TestReport(item.nodeid, item.location, {}, "failed", None, call.when)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants."""
        if not session.config.option.collectonly:
            with self._around():
                self._try_all(session)
        return True

    def _try_all(self, session: pytest.Session) -> None:
        self._items = {item.nodeid: item for item in session.items}
        self._place = {nodeid: place for place, nodeid in enumerate(self._items)}
        session.config.pluginmanager.get_plugin(str(session.config.rootpath / "tests/conftest.py")).in_memory()
        if any(_starts_something(item) for item in session.items):
            _scene()
        reached, took = self._reaches(session.config)
        jobs: deque[Job] = deque()
        for mutant, place in self._mutants.items():
            tests = reached.of(mangled_name_from_mutant_name(mutant), *place)
            chosen = self._within(sorted(tests, key=lambda test: took[test]), took)
            if not tests:
                self._tell(mutant, NO_TESTS)
            elif chosen:
                jobs.append((sum(took[test] for test in chosen), mutant, self._in_order(chosen, took)))
        jobs = deque(sorted(jobs, key=lambda job: (round(job[0], 1), job[1])))
        self._cached = _cached()
        gc.freeze()  # so that no collection in a fork copies what all share
        while jobs or self._running:
            if jobs and len(self._running) < self._workers:
                together = 1 if jobs[0][1] in self._alone else min(self._together, len(jobs))
                self._start(session.config, [jobs.popleft() for _ in range(together)])
            else:
                jobs.extendleft(reversed(self._reap()))

    def _within(self, tests: Iterable[str], took: dict[str, float]) -> list[str]:
        """Return the tests that are cheap enough together, the cheapest first."""
        chosen, left = [], self._budget
        for test in tests:
            left -= took[test]
            if left < 0:
                break
            chosen.append(test)
        return chosen

    def _in_order(self, tests: list[str], took: dict[str, float]) -> list[str]:
        """Put the cheapest first, and together what shares a file's fixtures."""
        kinds = {kind: list(each) for kind, each in groupby(sorted(tests, key=self._kind_of), key=self._kind_of)}
        cheapest = sorted(kinds.values(), key=lambda each: min(took[test] for test in each))
        return [test for each in cheapest for test in sorted(each, key=self._place.__getitem__)]

    def _kind_of(self, test: str) -> tuple[str, bool]:
        """Return the file of a test, and whether it starts something."""
        return test.partition("::")[0], _starts_something(self._items[test])

    # What is reached -------------------------------------------------------------------------------------------

    def _reaches(self, config: pytest.Config) -> tuple[Reached, dict[str, float]]:
        """Return what the tests reach, and what each test takes.

        A file of tests is run again when it has changed since; so are all after `.mutants-reach` was deleted.
        """
        files = {path: list(each) for path, each in groupby(self._items.values(), key=lambda item: item.path)}
        digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        self._reach.mkdir(exist_ok=True)
        notes = {path: self._reach / f"{path.stem}-{digest[:16]}.json" for path, digest in digests.items()}
        missing = [path for path, note in notes.items() if not note.exists()]
        for worker in range(self._workers):
            mine = [(files[path], notes[path]) for path in missing[worker :: self._workers]]
            pid = os.fork()
            if pid == 0:
                self._leave(partial(self._note, config, mine))
            self._running[pid] = ([], math.inf, "")
        while self._running:
            os.waitpid(self._running.popitem()[0], 0)
        found = [json.loads(note.read_text()) for note in notes.values()]
        took = {test: seconds for each in found for test, seconds in each["took"].items()}
        return Reached([(each["reached"], each["lines"]) for each in found]), took

    def _note(self, config: pytest.Config, files: list[tuple[list[pytest.Item], Path]]) -> int:
        """Run some files of tests without any mutant, and write down what they reach."""
        set_mutant_under_test("stats")
        os.environ["MUTMUT_DEPENDENCY_DEPTH"] = "-1"
        _own_folder(config)
        ran, cached = Lines(self._files), _cached()
        for items, note in files:
            reached: dict[str, list[str]] = {}
            lines: dict[str, Any] = {}
            took: dict[str, float] = {}
            for item, following in zip(items, [*items[1:], None], strict=True):
                for forget in cached:
                    forget()
                state()._stats.clear()
                ran.clear()
                self._failed, began = False, time.process_time()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                took[item.nodeid] = time.process_time() - began
                if self._failed:
                    print("FAILS WITHOUT A MUTANT:", item.nodeid, file=sys.__stderr__, flush=True)
                    continue
                for name in state()._stats:
                    reached.setdefault(name, []).append(item.nodeid)
                for name, digest, numbers in ran.run():
                    its = lines.setdefault(name, {"of": digest, "at": {}})["at"]
                    for number in numbers:
                        its.setdefault(number, []).append(item.nodeid)
            note.write_text(json.dumps({"reached": reached, "lines": lines, "took": took}))
        return 0

    # One mutant ------------------------------------------------------------------------------------------------

    def _start(self, config: pytest.Config, jobs: list[Job]) -> None:
        jobs = [(took, mutant, [test for test in tests if test not in self._failing]) for took, mutant, tests in jobs]
        folder = tempfile.mkdtemp(prefix="mutant-")
        pid = os.fork()
        if pid == 0:
            self._leave(partial(self._try, config, jobs, folder))
        self._running[pid] = (jobs, time.monotonic() + PATIENCE, folder)

    def _try(self, config: pytest.Config, jobs: list[Job], folder: str) -> int:
        """Try mutants one after the other. One that is killed counts where the test then passes without it."""
        _own_folder(config, folder)
        self._folder = folder
        killers: dict[str, None] = {}
        for place, (seconds, mutant, chosen) in enumerate(jobs, 1):
            self._allow(seconds)
            self._mutant, self._is_alone = "", len(jobs) == 1
            is_late = self._is_alone and time.monotonic() > self._fresh_until
            tests = self._that_pass(chosen) if is_late or mutant in self._alone else chosen
            self._mutant = mutant
            known = [test for test in self._killers.get(_function_of(mutant), ()) if test in tests]
            killer = self._first_to_fail([*known, *(test for test in tests if test not in known)], mutant)
            self._write(killer)
            killers |= {killer: None} if killer else {}
            if not self._is_alone and (place % AT_ONCE == 0 or place == len(jobs)):
                self._allow(self._budget)
                if any(self._first_to_fail([test], "") for test in killers):
                    return SPOILT
                killers.clear()
                Path(folder, CHECKED).write_text(str(place))
        return DONE

    def _that_pass(self, tests: list[str]) -> list[str]:
        """Return the tests that pass without a mutant, and write down the others: some hold minutes after the start."""
        failing = [test for test in tests if self._first_to_fail([test], "")]
        Path(self._folder, FAILING).write_text("\n".join(failing))
        return [test for test in tests if test not in failing]

    @staticmethod
    def _allow(seconds: float) -> None:
        """Have the process end where it takes far longer than its tests should."""
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + SECONDS + TIMES * seconds), -1))

    def _first_to_fail(self, tests: list[str], mutant: str) -> str:
        """Run tests until one fails on a mutant, and return that one."""
        set_mutant_under_test(mutant)
        for forget in self._cached:
            forget()
        self._failed = False
        items = [self._items[test] for test in tests]
        for item, following in zip_longest(items, items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                item.session._setupstate.teardown_exact(None)
                return item.nodeid
        return ""

    def _write(self, killer: str) -> None:
        """Write down what became of the present mutant."""
        with Path(self._folder, RESULTS).open("a") as file:
            file.write(f"{self._mutant}\t{killer}\n")
        self._note_killer(self._mutant, killer)

    def _note_killer(self, mutant: str, killer: str) -> None:
        if killer:
            killers = self._killers.setdefault(_function_of(mutant), [])
            killers[:] = [killer, *(each for each in killers if each != killer)][:REMEMBERED]

    @staticmethod
    def _leave(job: Callable[[], int]) -> None:
        """Do something in a process that was just forked, and end it without what its parent does at its end."""
        os.setsid()
        code = BROKEN
        with suppress(BaseException):
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1):
                os.dup2(nowhere, stream)
            code = job()
        os._exit(code)

    def _end_what_waits(self) -> None:
        """End the processes that have taken no CPU for a while: they wait for what a mutant keeps from happening."""
        now = time.monotonic()
        for pid, (jobs, until, folder) in list(self._running.items()):
            if now > until:
                spent = _cpu_of(pid)
                if spent == self._spent.get(pid):
                    os.kill(pid, signal.SIGKILL)
                self._spent[pid] = spent
                self._running[pid] = jobs, now + PATIENCE, folder

    def _reap(self) -> list[Job]:
        """Tell what became of the mutants of a process that has ended; return those that are still to be tried."""
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            self._end_what_waits()
            time.sleep(0.002)
        if pid not in self._running:
            return []
        jobs, _, folder = self._running.pop(pid)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what its tests have left
        results = Path(folder, RESULTS)
        tried = [line.split("\t") for line in results.read_text().splitlines()] if results.exists() else []
        checked, failing = Path(folder, CHECKED), Path(folder, FAILING)
        self._failing.update(failing.read_text().splitlines() if failing.exists() else ())
        sure = len(tried) if len(jobs) == 1 else int(checked.read_text()) if checked.exists() else 0
        shutil.rmtree(folder, ignore_errors=True)
        for mutant, killer in tried[:sure]:
            self._note_killer(mutant, killer)
            self._tell(mutant, KILLED if killer else SURVIVED)
        unsure, rest, ended = jobs[sure : len(tried)], jobs[len(tried) :], os.waitstatus_to_exitcode(status)
        self._alone.update(mutant for _, mutant, _ in unsure)
        if rest and ended != SPOILT:
            self._tell(rest.pop(0)[1], TIMEOUT if ended < 0 else SURVIVED)
        return [*unsure, *rest]


def _cpu_of(pid: int) -> list[str]:
    """Return the clock ticks that a process and what it has waited for have taken."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return []


def _function_of(mutant: str) -> str:
    return mutant.rpartition("__mutmut_")[0]


def _starts_something(item: pytest.Item) -> bool:
    """Return whether a test starts a gateway, or stands on one, which takes long."""
    names = {*getattr(item, "fixturenames", ()), *item.function.__code__.co_names}
    return not names.isdisjoint(STARTED)


def _scene() -> None:
    """Make what gateways and commands of the tests begin with: seconds of CPU, which each process would take else."""
    from harness import command, gateway  # noqa: PLC0415 - the mutants' folder has them, and is found by now

    gateway.scene()
    assert command.run("--version").returncode == 0
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign] # it is our parent's child, and runs


def _own_folder(config: pytest.Config, folder: str | None = None) -> None:
    """Give a process a temporary folder of its own."""
    factory: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = Path(folder or tempfile.mkdtemp(prefix="mutant-"))


def _cached() -> list[Callable[[], None]]:
    """Return what makes each statement and other cached value be made anew.

    Else only the first test to ask for a statement would be tried on the mutants of what makes it.
    """
    from gateway.db.queries import PreparedQuery  # noqa: PLC0415 - the one of the mutants' folder, there alone

    found: dict[int, Callable[[], None]] = {}
    for name, module in list(sys.modules.items()):
        for value in list(vars(module).values()) if name.startswith("gateway.") else ():
            if isinstance(value, PreparedQuery):
                found[id(value)] = value._made.clear
            elif hasattr(value, "cache_clear"):
                found[id(value)] = value.cache_clear
    return list(found.values())
