"""Run pytest with workers that are forked from one process which has imported every test.

    python -P tests/harness/forked_workers.py 5 [what else pytest is to be told]

A worker of pytest-xdist is a new Python, which imports the project, its libraries and all tests before its first one.
Here one process collects the tests while pytest starts, and each worker is a fork of it. pytest-xdist knows nothing of
that: what it starts as a worker's Python hands its standard streams to the process that forks, and waits until the fork
has ended (decision 30). All of them use one PostgreSQL server, each for databases of its own, and one process that
forks the commands under test (`harness/command.py`).
"""

import contextlib
import gc
import io
import multiprocessing.forkserver
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest


def join(address: str) -> None:
    """Hand the standard streams to a fork, and wait for its end."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b"streams"], [0, 1, 2])
        connection.recv(1)


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


def fork_workers(listener: socket.socket, tests: "subprocess.Popen[bytes]") -> bool:
    """Fork a worker for each that joins; return whether this is a worker, or else after pytest's end."""
    while tests.poll() is None:
        if select.select([listener], [], [], 0.1)[0]:
            connection, _ = listener.accept()
            _, streams, _, _ = socket.recv_fds(connection, 16, 3)
            if os.fork() == 0:
                become_worker(connection, streams)
                return True
            for each in (connection.detach(), *streams):
                os.close(each)
    return False


def become_worker(connection: socket.socket, streams: list[int]) -> None:
    """Take over the streams of the program that joined; the connection stays open for as long as this process lives."""
    connection.detach()
    for standard, each in enumerate(streams):
        os.dup2(each, standard)
        os.close(each)
    multiprocessing.forkserver._forkserver.ensure_running = lambda: None  # it is our parent's child, and runs
    sys.stdin, sys.stdout, sys.stderr = (open(each, mode, closefd=False) for each, mode in enumerate("rww"))  # noqa: SIM115
    random.seed()


def start_postgres() -> tuple[int, int]:
    """Start the server in a process that ends it with the last of us; that process, and what we keep open for it."""
    reading, ours = os.pipe()
    told, theirs = os.pipe()
    if (child := os.fork()) == 0:
        os.setsid()  # nobody who interrupts the tests takes it from those who still use it
        os.close(ours)
        from harness.postgres import SHARED, PostgresDatabases, postgres_server  # noqa: PLC0415 - pytest has found it

        with contextlib.closing(os.fdopen(theirs, "w")) as answer, postgres_server(SHARED) as server:
            PostgresDatabases(server.get_uri()).close()
            answer.write(server.get_uri())
            answer.close()
            os.read(reading, 1)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(told) as answer:
        os.environ["POSTGRES_SERVER"] = answer.read()
    return child, ours


def main(workers: str, arguments: list[str]) -> str:
    """Run the tests and exit with their code; in each worker, return what pytest-xdist tells its Python to execute."""
    folder = tempfile.mkdtemp(prefix="gateway-workers-")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{folder}/socket")
    listener.listen()
    python = f"{sys.executable} {__file__} join {folder}/socket"
    command = [sys.executable, "-m", "pytest", "--tx", f"{workers}*popen//python={python}", "--dist", "worksteal"]
    tests = subprocess.Popen([*command, *arguments])
    failed = collect(arguments)
    if failed:
        tests.kill()
    else:
        multiprocessing.forkserver.ensure_running()
        postgres, kept = start_postgres()
        if fork_workers(listener, tests):
            listener.close()
            return sys.stdin.readline()
        os.close(kept)
        os.waitpid(postgres, 0)
    shutil.rmtree(folder)
    sys.exit(failed or tests.returncode)


if __name__ == "__main__":
    if sys.argv[1] == "join":
        join(sys.argv[2])
    else:
        exec(eval(main(sys.argv[1], sys.argv[2:])))  # noqa: S102, S307 - as a new Python does for pytest-xdist
