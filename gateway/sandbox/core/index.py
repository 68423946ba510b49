"""Documents in the order of their creation, and by the values of their fields.

A list goes through what its filter finds, as far as its page, and not through all documents of the kind.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from heapq import merge
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Scalar = str | int | float | bool | None
Bounds = Mapping[str, float]
"""`gt`, `gte`, `lt`, `lte`."""

Numbered = tuple[int, str]
"""A document's number, which grows with every new one, and its id."""


class Ordered:
    """Documents by their numbers, in two lists beside each other, which take little memory."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._ids: list[str] = []

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def oldest(self) -> int:
        """The number of the first; there is one."""
        return self._numbers[0]

    def add(self, number: int, doc_id: str) -> None:
        """Add a document, which is not there."""
        place = bisect_left(self._numbers, number)
        self._numbers.insert(place, number)
        self._ids.insert(place, doc_id)

    def remove(self, number: int) -> None:
        """Take a document out, which is there."""
        place = bisect_left(self._numbers, number)
        del self._numbers[place], self._ids[place]

    def newest_first(self, before: int) -> Iterator[Numbered]:
        """Yield what is older than the document of a number; who reads may change documents meanwhile."""
        while place := bisect_left(self._numbers, before):
            before = self._numbers[place - 1]
            yield before, self._ids[place - 1]


class Found(NamedTuple):
    """What a filter finds.

    Attributes:
        size: about how many documents.
        newest_first: them.
    """

    size: int
    newest_first: Iterator[Numbered]


class Index:
    """The documents of a kind by the value of one field."""

    def __init__(self) -> None:
        self._buckets: dict[Scalar, Ordered] = {}
        self._values: list[float] = []  # those that are numbers, sorted
        self._newest = 0, float("-inf")  # the newest document's number, and its value
        self._is_in_order = True  # whether no document has a smaller value than an older one, as mostly with `created`

    def add(self, value: Any, number: int, doc_id: str) -> None:
        """Add a document; a value that no filter can ask for is left out."""
        if not isinstance(value, Scalar):
            return
        if value not in self._buckets:
            self._buckets[value] = Ordered()
            if isinstance(value, int | float):
                insort(self._values, value)
        self._buckets[value].add(number, doc_id)
        if isinstance(value, int | float):
            self._is_in_order &= number > self._newest[0] and value >= self._newest[1]
            self._newest = number, value

    def remove(self, value: Any, number: int) -> None:
        """Take a document out."""
        if not isinstance(value, Scalar):
            return
        self._buckets[value].remove(number)
        if not self._buckets[value]:
            del self._buckets[value]
            if isinstance(value, int | float):
                del self._values[bisect_left(self._values, value)]

    def among(self, values: Collection[Scalar], before: int) -> Found:
        """Return the documents older than that of a number whose value is one of these."""
        buckets = [bucket for value in dict.fromkeys(values) if (bucket := self._buckets.get(value))]
        found = merge(*(bucket.newest_first(before) for bucket in buckets), reverse=True)
        return Found(sum(map(len, buckets)), iter(found))

    def within(self, bounds: Bounds, before: int) -> Found:
        """Return the documents older than that of a number whose value is a number within bounds."""
        low, high = 0, len(self._values)
        for name, bound in bounds.items():
            place = (bisect_left if name in {"gte", "lt"} else bisect_right)(self._values, bound)
            low, high = (max(low, place), high) if name[0] == "g" else (low, min(high, place))
        if self._is_in_order and low < high:
            high = bisect_left(self._values, before, low, high, key=lambda value: self._buckets[value].oldest)
        in_turn = chain.from_iterable(self._newest_first(value, before) for value in self._largest_first(low, high))
        return Found(high - low, in_turn if self._is_in_order else iter(sorted(in_turn, reverse=True)))

    def _largest_first(self, low: int, high: int) -> Iterator[float]:
        """Yield the values of a slice; who reads may change them meanwhile."""
        if low < high:
            least, place = self._values[low], high
            while place and (value := self._values[place - 1]) >= least:
                yield value
                place = bisect_left(self._values, value)

    def _newest_first(self, value: Scalar, before: int) -> Iterator[Numbered]:
        bucket = self._buckets.get(value)
        return bucket.newest_first(before) if bucket else iter(())
