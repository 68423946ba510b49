"""How much memory Python objects take."""

import gc
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Trace memory while the block runs, and give what tells how many bytes of it are held.

    What was there before is left out of each look for garbage: to walk through all that earlier tests have left takes
    as long as most of these tests.
    """
    gc.freeze()
    tracemalloc.start()
    try:
        yield _held
    finally:
        tracemalloc.stop()
        gc.unfreeze()


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def least(measure: Callable[[], Awaitable[int]], enough: int) -> int:
    """Return what is measured, or the least of three measurements where the first are more than enough.

    The threads that earlier tests have left are traced too, and what they take is not there each time.
    """
    figures = [await measure()]
    while figures[-1] > enough and len(figures) < 3:
        figures.append(await measure())
    return min(figures)
