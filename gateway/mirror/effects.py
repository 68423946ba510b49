"""What follows from a change of the copy, in the same transaction; `gateway/runtime.py` supplies the effects."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa


class Written(NamedTuple):
    """A row of the copy that has just been written.

    Attributes:
        kind: Stripe's `object`.
        id: its id.
        columns: what was said.
        created: whether the row is new.
    """

    kind: str
    id: str
    columns: dict[str, Any]
    created: bool


Effect = Callable[[sa.Connection, Sequence[Written]], None]
"""Writes what follows from rows that have just been written, whatever brought them: an event, an answer of Stripe, a
repair. It gets the transaction that wrote them, and the rows as they are now."""
