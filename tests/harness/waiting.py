"""Waiting for what comes about elsewhere: whoever waits in a test uses this, and sleeps nowhere else."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import httpx


class Process(Protocol):
    """What `subprocess.Popen` and `harness.command.Command` have in common."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""


def eventually(probe: Callable[[], Any], expected: Any = True, seconds: float = 10) -> Any:
    """Wait until `probe()` gives what is expected (or anything true); fail with the last value after a while."""
    deadline = time.monotonic() + seconds
    while not _is_met(value := probe(), expected):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s, not {expected!r}"
        time.sleep(0.02)
    return value


async def eventually_async(probe: Callable[[], Awaitable[Any]], expected: Any = True, seconds: float = 10) -> Any:
    """The same for a coroutine function."""
    deadline = time.monotonic() + seconds
    while not _is_met(value := await probe(), expected):
        assert time.monotonic() < deadline, f"still {value!r} after {seconds} s, not {expected!r}"
        await asyncio.sleep(0.02)
    return value


def throughout(probe: Callable[[], Any], expected: Any, seconds: float) -> None:
    """Look again and again for so long, and fail as soon as `probe()` gives anything else."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert probe() == expected
        time.sleep(0.02)


def answering(url: str, process: Process, said: Callable[[], str] = str, seconds: float = 60) -> None:
    """Wait until a server answers at a URL.

    Args:
        url: any of its pages.
        process: the server; it must not end before.
        said: what it has printed, for the failure.
        seconds: how long it may take.
    """

    def answers() -> bool:
        assert process.poll() is None, f"it has ended: {said()}"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=5)
            return True
        return False

    eventually(answers, seconds=seconds)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _is_met(value: Any, expected: Any) -> bool:
    return bool(value) if expected is True else value == expected
