"""Python's garbage collector: when it looks for cycles, and how often. Nothing else in the gateway calls `gc`.

Decision 0010 has the reasons and the figures.
"""

import gc

THRESHOLD = 20_000
"""More objects than the events of a batch consist of: with Python's 700, each batch is searched several times for
cycles, of which it has none."""


def pause() -> None:
    """Look for nothing while modules are imported: that takes a seventh of the start, and there is no garbage."""
    gc.disable()


def resume() -> None:
    """Look again, as Python does, once a command is imported: what is imported is no garbage, and is passed over."""
    gc.freeze()
    gc.enable()


def tune() -> None:
    """Look again, without what lives as long as the process, and less often than by default."""
    gc.freeze()
    gc.set_threshold(THRESHOLD, 20, 20)
    gc.enable()
