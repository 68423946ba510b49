"""What was written to the copy, as the ledger is told of it."""

from typing import Any, NamedTuple


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
