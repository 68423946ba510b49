"""Try mutants in one session of pytest: collected once, then each mutant in a process that is forked from it.

`mutmut` starts pytest anew for each mutant, which costs more than most of our tests. Here the modules are imported and
the tests collected by the time of the fork, and no test has run: what a test caches is gone with its process.
"""

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
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.format_utils import mangled_name_from_mutant_name

KILLED, SURVIVED, NO_TESTS, TIMEOUT = "killed", "survived", "no tests", "timeout"
STARTED = {"shop", "world", "database_url", "sandbox_factory", "new_sqlite"}
"""The fixtures that start something, or stand for a database on disk."""
LOST, BROKEN = 1, 3
"""How a process ends in which a test has failed, and one that could not run its tests, which kills nothing."""
SECONDS, TIMES = 20, 10
"""The CPU that a mutant may take before it counts as one that runs for ever: so many times its tests', and this."""
PATIENCE = 600
"""Seconds after which a process that takes no CPU is given up."""


class Loop:
    """A plugin that does not run the tests, but tries mutants with them.

    Args:
        mutants: their names.
        workers: how many are tried at once.
        tell: takes what became of each, as soon as it is known.
        budget: seconds of tests for one mutant; what takes longer is not run.
        reach: the folder that keeps what each test reaches.
        around: makes what all processes share, once the tests are collected.
    """

    def __init__(
        self,
        mutants: Collection[str],
        workers: int,
        tell: Callable[[str, str], None],
        budget: float,
        reach: Path,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._mutants = mutants
        self._workers = workers
        self._tell = tell
        self._budget = budget
        self._reach, self._around = reach, around
        self._failed = False
        self._running: dict[int, tuple[str, float, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that a test has failed."""
        self._failed |= report.failed

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
        reached, took = self._reaches(session.config)
        jobs = []
        for mutant in self._mutants:
            tests = reached.get(mangled_name_from_mutant_name(mutant), [])
            chosen = self._within(sorted(tests, key=lambda test: took[test]), took)
            jobs.append((sum(took[test] for test in chosen), mutant, self._in_order(chosen, took)))
        for seconds, mutant, tests in sorted(jobs):
            if not tests:
                self._tell(mutant, NO_TESTS)
                continue
            while len(self._running) >= self._workers:
                self._reap()
            self._start(session.config, mutant, tests, seconds)
        while self._running:
            self._reap()

    def _within(self, tests: Iterable[str], took: dict[str, float]) -> list[str]:
        """Return the tests that are cheap enough together, the cheapest first."""
        chosen, left = [], self._budget
        for test in tests:
            left -= took[test]
            if left < 0 and chosen:
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

    def _reaches(self, config: pytest.Config) -> tuple[dict[str, list[str]], dict[str, float]]:
        """Return the tests that reach each function, and what each test takes.

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
            self._running[pid] = ("", math.inf, "")
        while self._running:
            os.waitpid(self._running.popitem()[0], 0)
        reached: dict[str, list[str]] = {}
        took: dict[str, float] = {}
        for note in notes.values():
            found = json.loads(note.read_text())
            took |= found["took"]
            for name, tests in found["reached"].items():
                reached.setdefault(name, []).extend(tests)
        return reached, took

    def _note(self, config: pytest.Config, files: list[tuple[list[pytest.Item], Path]]) -> int:
        """Run some files of tests without any mutant, and write down what they reach."""
        set_mutant_under_test("stats")
        os.environ["MUTMUT_DEPENDENCY_DEPTH"] = "-1"
        _own_folder(config)
        for items, note in files:
            reached: dict[str, list[str]] = {}
            took: dict[str, float] = {}
            for item, following in zip(items, [*items[1:], None], strict=True):
                _forget_cached()
                state()._stats.clear()
                self._failed, began = False, time.process_time()
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                took[item.nodeid] = time.process_time() - began
                if self._failed:
                    print("FAILS WITHOUT A MUTANT:", item.nodeid, file=sys.__stderr__, flush=True)
                    continue
                for name in state()._stats:
                    reached.setdefault(name, []).append(item.nodeid)
            shared = max((took[item.nodeid] for item in items if _starts_something(item)), default=0)
            took |= {item.nodeid: took[item.nodeid] + shared for item in items if _starts_something(item)}
            note.write_text(json.dumps({"reached": reached, "took": took}))
        return 0

    # One mutant ------------------------------------------------------------------------------------------------

    def _start(self, config: pytest.Config, mutant: str, tests: list[str], seconds: float) -> None:
        folder = tempfile.mkdtemp(prefix="mutant-")
        pid = os.fork()
        if pid == 0:
            self._leave(partial(self._try, config, mutant, tests, seconds, folder))
        self._running[pid] = (mutant, time.monotonic() + PATIENCE, folder)

    def _try(self, config: pytest.Config, mutant: str, tests: list[str], seconds: float, folder: str) -> int:
        set_mutant_under_test(mutant)
        limit = int(time.process_time() + SECONDS + TIMES * seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        _own_folder(config, folder)
        self._failed = False
        items = [self._items[test] for test in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                return LOST
        return 0

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

    def _reap(self) -> None:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            now = time.monotonic()
            for each in [each for each, (_, until, _) in self._running.items() if now > until]:
                os.kill(each, signal.SIGKILL)
            time.sleep(0.002)
            return
        if pid not in self._running:
            return
        mutant, _, folder = self._running.pop(pid)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what its tests have left
        shutil.rmtree(folder, ignore_errors=True)
        ended = os.waitstatus_to_exitcode(status)
        self._tell(mutant, KILLED if ended == LOST else TIMEOUT if ended < 0 else SURVIVED)


def _starts_something(item: pytest.Item) -> bool:
    """Return whether a test stands on a fixture that its file shares and that takes long."""
    return not STARTED.isdisjoint(getattr(item, "fixturenames", ()))


def _own_folder(config: pytest.Config, folder: str | None = None) -> None:
    """Give a process a temporary folder of its own."""
    factory: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    factory._basetemp = Path(folder or tempfile.mkdtemp(prefix="mutant-"))


def _forget_cached() -> None:
    """Let each test make statements and other cached values anew, while what it reaches is noted.

    Else only the first test to ask for a statement would be tried on the mutants of what makes it.
    """
    from gateway.db.queries import PreparedQuery  # noqa: PLC0415 - the one of the mutants' folder, there alone

    for name, module in list(sys.modules.items()):
        for value in list(vars(module).values()) if name.startswith("gateway.") else ():
            if isinstance(value, PreparedQuery):
                value._made.clear()
            elif hasattr(value, "cache_clear"):
                value.cache_clear()
