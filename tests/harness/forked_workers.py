"""Run pytest with workers that are forked from one process which has imported every test.

    python -P tests/harness/forked_workers.py 5 [what else pytest is to be told]

A worker of pytest-xdist is a new Python, which imports the project, its libraries and all tests before its first one.
Here one process collects the tests, and pytest and each worker are forks of it. pytest-xdist knows nothing of that:
what it starts as a worker's Python (`join_workers.py`) hands its standard streams to the process that forks, and waits
until the fork has ended (decision 30). All of them use one PostgreSQL server, each for databases of its own, one SQLite
database to copy, one sample catalogue, and one process that forks the commands under test (`harness/command.py`).
"""

import contextlib
import gc
import io
import json
import multiprocessing.forkserver
import os
import random
import select
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pytest


def collect(arguments: list[str]) -> int:
    """Import all tests as pytest does; return its exit code.

    What cannot be imported is told here: a worker would take the half of a module that is there for the whole.
    """
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        code = pytest.main(["--collect-only", "-qq", *arguments])
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
        sys.stdout.write(told.getvalue())
        return int(code)
    gc.collect()
    gc.freeze()
    return 0


def start_pytest(arguments: list[str], listener: socket.socket) -> int:
    """Fork the process that is pytest, which tells the workers what to do and the terminal how it goes."""
    if (child := os.fork()) == 0:
        listener.close()
        sys.exit(pytest.main(arguments))
    return child


def fork_workers(listener: socket.socket, tests: int) -> int | None:
    """Fork a worker for each that joins; return pytest's exit code after its end, None in a worker."""
    while not (ended := os.waitpid(tests, os.WNOHANG))[0]:
        if select.select([listener], [], [], 0.1)[0]:
            connection, _ = listener.accept()
            _, streams, _, _ = socket.recv_fds(connection, 16, 3)
            if os.fork() == 0:
                become_worker(connection, streams)
                return None
            for each in (connection.detach(), *streams):
                os.close(each)
    return os.waitstatus_to_exitcode(ended[1])


def become_worker(connection: socket.socket, streams: list[int]) -> None:
    """Take over the streams of the program that joined; the connection stays open for as long as this process lives."""
    connection.detach()
    for standard, each in enumerate(streams):
        os.dup2(each, standard)
        os.close(each)
    multiprocessing.forkserver._forkserver.ensure_running = lambda: None  # it is our parent's child, and runs
    sys.stdin, sys.stdout, sys.stderr = (open(each, mode, closefd=False) for each, mode in enumerate("rww"))  # noqa: SIM115
    random.seed()


def share_databases() -> tuple[int, int]:
    """Make what all workers use; the process that ends it with the last of us, and what we keep open for it."""
    reading, ours = os.pipe()
    told, theirs = os.pipe()
    if (child := os.fork()) == 0:
        os.setsid()  # nobody who interrupts the tests takes it from those who still use it
        os.close(ours)
        # pytest has found them
        from harness.gateway import SCENE, make_scene  # noqa: PLC0415
        from harness.postgres import SHARED, PostgresDatabases, postgres_server  # noqa: PLC0415

        with (
            contextlib.closing(os.fdopen(theirs, "w")) as answer,
            postgres_server(SHARED) as server,
            tempfile.TemporaryDirectory(prefix="gateway-scene-") as folder,
        ):
            PostgresDatabases(server.get_uri()).close()
            make_scene(Path(folder))
            shared = {"POSTGRES_SERVER": server.get_uri(), "SQLITE_TEMPLATE": f"{folder}/empty.db", SCENE: folder}
            json.dump(shared, answer)
            answer.close()
            os.read(reading, 1)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(told) as answer:
        os.environ.update(json.load(answer))
    return child, ours


def main(workers: str, arguments: list[str]) -> str:
    """Run the tests and exit with their code; in each worker, return what pytest-xdist tells its Python to execute."""
    folder = tempfile.mkdtemp(prefix="gateway-workers-")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/socket")
    listener.listen()
    python = f"{sys.executable} -IS {Path(__file__).with_name('join_workers.py')} {folder}/socket"
    if not (code := collect(arguments)):
        started = ["--tx", f"{workers}*popen//python={python}", "--dist", "worksteal", *arguments]
        tests = start_pytest(started, listener)
        multiprocessing.forkserver.ensure_running()
        databases, kept = share_databases()
        code = fork_workers(listener, tests)
        if code is None:
            listener.close()
            return sys.stdin.readline()
        os.close(kept)
        os.waitpid(databases, 0)
    shutil.rmtree(folder)
    sys.exit(code)


if __name__ == "__main__":
    exec(eval(main(sys.argv[1], sys.argv[2:])))  # noqa: S102, S307 - as a new Python does for pytest-xdist
