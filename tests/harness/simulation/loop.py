"""The simulated machine: an event loop whose time passes at once, and dice that one number decides."""

import asyncio
import heapq
import itertools
import os
import random
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

import time_machine

EPOCH = 1_768_478_400  # 2026-01-15, noon
BILLION = 1_000_000_000


class Host:
    """A machine that a process runs on.

    Attributes:
        name: of the process.
        skew: how many seconds its clock is ahead of the true time.
        alive: whether its process runs; of a dead one nothing reaches the others any more.
        tasks: what runs in it, in the order of its beginning.
    """

    def __init__(self, name: str) -> None:
        self.name, self.skew, self.alive = name, 0.0, True
        self.tasks: dict[asyncio.Task[Any], None] = {}

    def kill(self) -> None:
        """End the process as a power cut does. Its tasks unwind, and all that they would do in doing so is refused."""
        self.alive = False
        for task in list(self.tasks):
            task.cancel()


HOST: ContextVar[Host | None] = ContextVar("simulated_host", default=None)
"""On which machine the present task runs; None is the world outside."""


def copy_context_outside() -> Context:
    """Return the present context without a host: what runs in it is no part of a process, and outlives it."""
    context = copy_context()
    context.run(HOST.set, None)
    return context


MOST_LOOKS = 200_000
"""How often a history's loop may look what is ready: a hundred times as often as it mostly does."""


class Stuck(AssertionError):
    """Everything waits for something that nothing will bring, or goes on without an end."""


class _NoFiles(selectors.BaseSelector):
    """There are no files to wait for."""

    def select(self, _: float | None = None) -> list[Any]:
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return selectors.SelectorKey(fileobj, 0, 0, None)

    def get_map(self) -> Any:
        return {}


class _Handle(asyncio.Handle):
    """asyncio's own, which does not ask for the debug mode."""

    def __init__(self, callback: Callable[..., Any], args: Any, loop: Any, context: Context | None) -> None:
        self._context = context or copy_context()
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None


class _Timer(asyncio.TimerHandle):
    """asyncio's own, which does not ask for the debug mode either."""

    def __init__(self, when: float, callback: Callable[..., Any], args: Any, context: Context | None) -> None:
        self._context = context or copy_context()
        self._when, self._callback, self._args = when, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None

    def cancel(self) -> None:
        """Be passed over at its moment, and keep nothing alive until then."""
        self._cancelled, self._callback, self._args = True, _nothing, ()

    def __repr__(self) -> str:
        return f"<timer of {self._callback} at {self._when}>"


def _nothing() -> None:
    """Do what a timer does that was cancelled."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop in a time of its own. What is ready runs in asyncio's order; who is ready when, delays say.

    It waits by letting the time pass. What asyncio does beside that for files, signals, threads and slow callbacks is
    left out, which takes it as long as what it calls.
    """

    def __init__(self, epoch: int) -> None:
        super().__init__(_NoFiles())
        self._now, self._epoch, self._looks = 0.0, epoch, 0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = itertools.count()  # of two timers of one moment the first comes first
        self.set_task_factory(_task_of_host)  # type: ignore[arg-type]

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False  # each future asks

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, context)
        heapq.heappush(self._timers, (when, next(self._count), timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        """Run what is ready; if nothing is, let the time pass until something is."""
        ready, timers = self._ready, self._timers
        self._looks += 1
        if self._looks == MOST_LOOKS:  # once: what was begun is to be ended
            raise Stuck("it goes on without an end")
        while not ready or (timers and timers[0][0] <= self._now):
            if not timers:
                raise Stuck("everything waits, and nothing will come")
            when, _, timer = heapq.heappop(timers)
            if not timer._cancelled:
                self._now = max(self._now, when)
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                try:
                    handle._context.run(handle._callback, *handle._args)
                except Exception as error:  # noqa: BLE001 - as asyncio's own does
                    self.call_exception_handler({"message": f"{handle!r} failed", "exception": error})

    def time_ns(self) -> int:
        """Return the present moment as the present host's clock shows it, in Unix nanoseconds."""
        host = HOST.get()
        skew = host.skew if host else 0.0
        return self._epoch * BILLION + int((self._now + skew) * BILLION)

    def run_in_executor(self, _: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Run at once what would have a thread."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            done.set_exception(error)
        return done


def _task_of_host(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], context: Context | None = None
) -> asyncio.Task[Any]:
    task = asyncio.Task(coro, loop=loop, context=context)
    host = context.get(HOST) if context else HOST.get()
    if host:
        host.tasks[task] = None
        task.add_done_callback(lambda done: host.tasks.pop(done, None))
    return task


class _Chance:
    """Where `os.urandom` has its bytes from.

    Those of each length are drawn apart: SQLAlchemy asks for ten when it makes a statement, which it does once for a
    process, and so not in each history.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._dice: dict[int, random.Random] = {}

    def randbytes(self, count: int) -> bytes:
        dice = self._dice.setdefault(count, random.Random(f"{self._seed} {count}"))
        return dice.randbytes(count)


@contextmanager
def simulated(seed: int, epoch: int = EPOCH) -> Iterator[SimulatedLoop]:
    """Have time, chance and the event loop simulated while the block runs.

    Args:
        seed: decides everything.
        epoch: when it begins.
    """
    loop = SimulatedLoop(epoch)
    chance = _Chance(seed)
    really = os.urandom, random._urandom, time.monotonic, random.getstate()  # type: ignore[attr-defined]
    asyncio.set_event_loop(loop)
    with time_machine.travel(epoch, tick=False) as traveller:
        traveller.time_ns = loop.time_ns  # type: ignore[method-assign]
        os.urandom = random._urandom = chance.randbytes  # type: ignore[attr-defined]
        time.monotonic = loop.time
        random.seed(seed)
        try:
            yield loop
        finally:
            os.urandom, random._urandom, time.monotonic = really[:3]  # type: ignore[attr-defined]
            random.setstate(really[3])
            asyncio.set_event_loop(None)
            loop.close()
