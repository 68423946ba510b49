"""The `gateway` command as a process of its own, forked from a server that has imported it once.

A start from nothing takes 0.7 s of CPU and more, a fork a fortieth. It is the whole process otherwise: its own
environment, folder, streams and signals. Starts from nothing are shown in test_processes.py and test_wheel.py.
"""

import atexit
import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from gateway.cli.main import COMMANDS, app, main

_FORKS = multiprocessing.get_context("forkserver")
_COMMANDS = {place.partition(":")[0] for place in COMMANDS.values()}
_FORKS.set_forkserver_preload(
    [*(f"gateway.cli.{module}" for module in sorted(_COMMANDS)), "gateway.app", "gateway.stripe_api.sdk"]
)
INHERITED = "PATH", "MUTANT_UNDER_TEST", "GATEWAY_COMPILED_EXECUTION"
"""What commands find of the tests' environment: the mutant of `make mutants`, and the switch of `make interpreted`."""
os.environ["COLUMNS"] = "80"  # as wide as terminals are: nothing that matters is cut off; read at the import


def commands(group: Any = None, prefix: str = "gateway") -> Iterator[tuple[str, Any]]:
    """Every command with its full name and click's own object."""
    group = group or typer.main.get_command(app)
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


class Command:
    """A running `gateway` command.

    Args:
        words: what stands behind `gateway`.
        cwd: the folder it runs in.
        environment: all that it finds in its environment beside `INHERITED`.
        output: the file that both its streams are added to.
        limit: the largest file that it may write, in bytes.
        typed: what a person types, who has no terminal then.
    """

    def __init__(
        self,
        *words: str,
        cwd: Path | str = ".",
        environment: dict[str, str] | None = None,
        output: Path | str = os.devnull,
        limit: int | None = None,
        typed: str = "",
    ) -> None:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        surroundings = {**inherited, **(environment or {})}
        given = (words, str(cwd), surroundings, str(output), limit, typed)
        self._process: Any = _FORKS.Process(target=_become, args=given)  # no daemon: those may have no processes
        self._process.start()
        atexit.register(self._process.kill)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float) -> int:
        """Its exit code, negative for a signal; fails if it does not end in time."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"it does not end within {seconds} s"
        return int(self._process.exitcode)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code, and what it wrote to both its streams."""

    returncode: int
    stdout: str


def run(*words: str, cwd: Path | str = ".", typed: str = "", **environment: str) -> Done:
    """Run a command to its end, as a person would."""
    with tempfile.NamedTemporaryFile() as output:
        command = Command(*words, cwd=cwd, environment=environment, output=output.name, typed=typed)
        try:
            code = command.wait(60)
        finally:
            command.kill()
        return Done(code, Path(output.name).read_text())


def _become(
    words: tuple[str, ...], cwd: str, environment: dict[str, str], output: str, limit: int | None, typed: str
) -> None:
    """Be `gateway` with these words, in a process that was just forked."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if typed:
        os.setsid()  # otherwise a password is asked for at the terminal
        reading, writing = os.pipe()
        os.write(writing, typed.encode())
        os.close(writing)
        os.dup2(reading, 0)
    sys.stdin = os.fdopen(0)  # multiprocessing's is another file, which a server's workers would look for in vain
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, sys.stdout.fileno())
    os.dup2(file, sys.stderr.fileno())
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = ["gateway", *words]
    main()
