"""Hide from libraries what they import where it is installed, for what is not done here.

structlog would draw exceptions with `rich`, which is there for the tables of our own commands, and knows greenlets;
httpx has a command line. Stripe's SDK imports `requests`, and calls here go by httpx. PyJWT imports `cryptography`,
which only the keys of a provider need. Decision 0010 has the figures.
"""

import sys

from gateway.http import without_orm

UNUSED = "rich", "pygments", "greenlet", "requests"
FOR_PUBLISHED_KEYS = ("cryptography",)


def prepare() -> None:
    """Hide it in a process that is the gateway's alone, before anything else is imported."""
    hide()
    import structlog  # noqa: F401 - which looks for `rich` once

    show()  # to whatever draws a table
    without_orm.leave_out()


def hide(names: tuple[str, ...] = UNUSED) -> None:
    """Let them look as if they were not installed, unless they are imported already."""
    for name in names:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as Python notes what cannot be imported


def defer_validators() -> None:
    """Let pydantic's models be built when they are first used: FastAPI brings forty that describe its routes."""
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True  # which all models inherit


def show() -> None:
    """Let them be imported again."""
    for name in UNUSED:
        if sys.modules.get(name, sys) is None:
            del sys.modules[name]
