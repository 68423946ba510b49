"""What clients saw of something that changes, and whether that may have been.

A subject is something with versions, one after the other: a subscription, a balance. A view is a way to look at it. The
checker knows nothing of the gateway's inside:

- what was acknowledged 50 ms before a request was sent is in its answer, and at once where the same process had
  acknowledged it (as long as that process lives);
- no answer shows what nobody has sent yet, and answers about one subject by one process never go back.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

STALE_SECONDS = 0.05
OVERLAPPING = 8  # requests to one process at a time, at most


class Acknowledged(NamedTuple):
    """That a version was taken: when, and by which life of a process."""

    moment: float
    version: int
    life: int


class Seen(NamedTuple):
    """An answer: when its request was sent and answered, by which life of a process, and the version that it showed."""

    begun: float
    ended: float
    life: int
    version: int


class Newest:
    """The newest version that was acknowledged before a moment.

    Args:
        acknowledged: in any order.
    """

    def __init__(self, acknowledged: Iterable[Acknowledged]) -> None:
        ordered = sorted(acknowledged)
        self._moments = [each.moment for each in ordered]
        self._versions = [0, *accumulate((each.version for each in ordered), max)]

    def before(self, moment: float) -> int:
        return self._versions[bisect_left(self._moments, moment)]


@dataclass
class History:
    """What happened, by subject. Moments are on this process's own clock.

    Attributes:
        sent: of each version when it was first sent.
        acknowledged: what was taken.
        seen: by view and subject.
    """

    sent: dict[Hashable, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    acknowledged: dict[Hashable, list[Acknowledged]] = field(default_factory=lambda: defaultdict(list))
    seen: dict[tuple[str, Hashable], list[Seen]] = field(default_factory=lambda: defaultdict(list))

    def faults(self) -> list[str]:
        """Return each answer that must not have been."""
        return [fault for view, subject in self.seen for fault in self._faults(view, subject)]

    def _faults(self, view: str, subject: Hashable) -> Iterable[str]:
        acknowledged = self.acknowledged[subject]
        newest = Newest(acknowledged)
        own = defaultdict(lambda: Newest(()))
        own |= {life: Newest(a for a in acknowledged if a.life == life) for life in {a.life for a in acknowledged}}
        shown: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for begun, ended, life, version in sorted(self.seen[view, subject]):
            told = f"{view} of {subject}: {version} from {begun:.3f} to {ended:.3f} by {life}"
            late, at_once = newest.before(begun - STALE_SECONDS), own[life].before(begun)
            if version < max(late, at_once):
                yield f"{told}, after {late} was acknowledged, and {at_once} by it"
            if version and not self.sent[subject].get(version, float("inf")) <= ended:
                yield f"{told}, before anybody sent it"
            before = max((known for end, known in shown[life] if end < begun), default=0)
            if version < before:
                yield f"{told}, which had shown {before}"
            shown[life] = [*shown[life][-OVERLAPPING:], (ended, max(before, version))]
