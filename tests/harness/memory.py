"""How much memory Python objects take."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
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
