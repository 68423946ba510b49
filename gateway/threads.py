"""Threads for work that blocks: what is handed over first begins first.

They are daemons, unlike those of `concurrent.futures`: a database that hangs must not keep the process from ending.
"""

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
CLOSE_SECONDS = 3.0


class Threads:
    """A few threads, started when they are first needed.

    Args:
        count: how many pieces of work may run at a time.
        name: what a debugger calls them.
    """

    def __init__(self, count: int, name: str) -> None:
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads = [Thread(target=self._serve, name=name, daemon=True) for _ in range(count)]
        self._started = False

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Have a function run in one of the threads, with the caller's context variables.

        Returns:
            what it returns or raises. Once it has begun it runs to its end, also when nobody waits any more.
        """
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()
        done: Future[T] = Future()
        self._waiting.put((done, partial(contextvars.copy_context().run, work)))
        return asyncio.wrap_future(done)

    def close(self) -> None:
        """Take nothing more, and wait for what is there; some seconds at most."""
        if self._started:
            for _ in self._threads:
                self._waiting.put(None)
            deadline = time.monotonic() + CLOSE_SECONDS
            for thread in self._threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        while taken := self._waiting.get():
            done, work = taken
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                    done.set_exception(error)
            del taken, done, work  # an idle thread keeps nothing alive
