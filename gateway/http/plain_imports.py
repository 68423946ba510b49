"""Hide `rich` from libraries that import it where it is installed, for what is not done here.

structlog would draw exceptions with it, httpx has a command line. It is there for the tables of our own commands.
Decision 0010 has the figures.
"""

import sys

DRAWING = "rich", "pygments"


def hide_rich() -> None:
    """Let it look as if it were not installed, unless it is imported already."""
    for name in DRAWING:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as Python notes what cannot be imported


def show_rich() -> None:
    """Let it be imported again."""
    for name in DRAWING:
        if sys.modules.get(name, sys) is None:
            del sys.modules[name]
