"""What an answer has shown of the catalogue, and whether the catalogue still shows the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.billing.catalog.snapshot import Snapshot
from gateway.errors import BadInput


class Marked(Protocol):
    """A part of a snapshot."""

    @property
    def mark(self) -> object:
        """Equals that of another reading of the same part if nothing has changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of the catalogue as it was shown.

    Attributes:
        read: reads this part of a snapshot.
        mark: of the part, when it was shown.
    """

    read: Callable[[Snapshot], Marked | None]
    mark: object


def mark_of(part: Marked | None) -> object:
    """Return the mark of a part; None where there is nothing."""
    return None if part is None else part.mark


def is_unchanged(shown: Sequence[Shown], snapshot: Snapshot) -> bool:
    """Return whether everything that was shown is the same in a snapshot."""
    try:
        return all(mark_of(each.read(snapshot)) == each.mark for each in shown)
    except BadInput:  # such as a currency in which nothing is sold any more
        return False
