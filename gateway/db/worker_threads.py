"""Threads for work that blocks: what is handed over first begins first.

They are daemons, unlike those of `concurrent.futures`: a database that hangs must not keep the process from ending.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")
CLOSE_SECONDS = 3.0


@dataclass(eq=False, slots=True)
class Piece(Generic[T]):
    """A piece of work.

    Attributes:
        done: becomes what the work returns or raises.
        context: the context variables of whoever gave it.
        work: what is to be done.
    """

    done: "asyncio.Future[T]"
    context: Context
    work: Callable[[], T]
    _free: list[None] = field(default_factory=lambda: [None])

    def claim(self) -> bool:
        """Take it, to do it or to leave it undone; whether it was still free. One of several threads gets it."""
        try:
            self._free.pop()
        except IndexError:
            return False
        return True


Result = tuple[Any, BaseException | None]
"""What a piece of work returned, or what it raised."""


def result_of(piece: Piece[Any]) -> Result:
    """Do a piece of work, with the context variables of whoever gave it."""
    try:
        return piece.context.run(piece.work), None
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
        return None, error


class WorkerThreads:
    """A few threads, each started when all others are busy: pieces that come one after the other share one thread.

    Args:
        count: how many pieces of work may run at a time.
        name: what a debugger calls them.
        together: does all pieces that wait at a time, and returns the result of each.
        most: how many those may be.
    """

    def __init__(
        self,
        count: int,
        name: str,
        *,
        together: Callable[[Sequence[Piece[Any]]], Sequence[Result]] | None = None,
        most: int = 1,
    ) -> None:
        self._together, self._most = together, most
        self._waiting: SimpleQueue[Piece[Any] | None] = SimpleQueue()
        self._count, self._name = count, name
        self._threads: list[Thread] = []
        self._unfinished = 0

    def run(self, work: Callable[[], T]) -> Piece[T]:
        """Run a function in one of the threads, with the caller's context variables.

        Returns:
            the piece of work. It does not begin when its `done` is cancelled or somebody else has claimed it before;
            once it has begun it runs to its end, also when nobody waits any more.
        """
        self._unfinished += 1
        if len(self._threads) < min(self._unfinished, self._count):
            self._threads.append(Thread(target=self._serve, name=self._name, daemon=True))
            self._threads[-1].start()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        done.add_done_callback(self._ended)
        piece = Piece(done, copy_context(), work)
        self._waiting.put(piece)
        return piece

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
        while piece := self._waiting.get():
            pieces = [each for each in (piece, *self._others()) if not each.done.cancelled() and each.claim()]
            results = self._together(pieces) if self._together else map(result_of, pieces)
            for each, (outcome, failure) in zip(pieces, results, strict=True):
                with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                    each.done.get_loop().call_soon_threadsafe(_finish, each.done, outcome, failure)
                del each, outcome, failure
            del piece, pieces, results  # an idle thread keeps nothing alive

    def _others(self) -> list[Piece[Any]]:
        """Return what else is to be done together with the first that waits."""
        others: list[Piece[Any]] = []
        with suppress(Empty):
            while len(others) + 1 < self._most:
                if (piece := self._waiting.get_nowait()) is None:
                    self._waiting.put(None)  # the end, which comes when the next is asked for
                    break
                others.append(piece)
        return others


def _finish(done: "asyncio.Future[Any]", outcome: Any, failure: BaseException | None) -> None:
    """Say on the event loop what became of a piece of work, if somebody still waits for it."""
    if done.cancelled():
        return
    if failure is None:
        done.set_result(outcome)
    else:
        done.set_exception(failure)
