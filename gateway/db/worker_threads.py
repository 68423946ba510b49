"""WorkerThreads for work that blocks: what is handed over first begins first.

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


class WorkerThreads:
    """A few threads, each started when there is work for one more: work that comes in turn finds the same one warm.

    Args:
        count: how many pieces of work may run at a time.
        name: what a debugger calls them.
    """

    def __init__(self, count: int, name: str) -> None:
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._count, self._name = count, name
        self._threads: list[Thread] = []
        self._unfinished = 0

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Run a function in one of the threads, with the caller's context variables.

        Returns:
            what it returns or raises. Once it has begun it runs to its end, also when nobody waits any more.
        """
        self._unfinished += 1
        if len(self._threads) < min(self._unfinished, self._count):
            self._threads.append(Thread(target=self._serve, name=self._name, daemon=True))
            self._threads[-1].start()
        done: Future[T] = Future()
        self._waiting.put((done, partial(contextvars.copy_context().run, work)))
        running = asyncio.wrap_future(done)
        running.add_done_callback(self._ended)
        return running

    def close(self) -> None:
        """Take nothing more, and wait for what is there; some seconds at most."""
        for _ in self._threads:
            self._waiting.put(None)
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _ended(self, _: "asyncio.Future[Any]") -> None:
        self._unfinished -= 1

    def _serve(self) -> None:
        while taken := self._waiting.get():
            done, work = taken
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
                    done.set_exception(error)
            del taken, done, work  # an idle thread keeps nothing alive
