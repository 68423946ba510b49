"""Whether calls that overlapped can have been done one after the other, each at some moment between its two ends.

The search is Wing and Gong's, which does one call after another that may be next, with Lowe's memory of what it has
tried (G. Lowe, "Testing for linearizability", 2017). A call that changes nothing is done as soon as its answer fits:
whatever order has it later has it here as well.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

EVER = float("inf")
MOST = 20_000
"""So many configurations are tried at most. Where there is an order, a few more than there are calls mostly find it."""


class Undecided(Exception):
    """The search was given up: many calls overlapped of which nobody knows whether an earlier try was done."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """Something that was done at one moment, of which the ends are known.

    Attributes:
        begun: the earliest moment.
        ended: the latest.
        step: returns the state after it, by the one before; None where its answer cannot have been given then.
        name: for people.
        is_seen: whether its answer shows the state, so that it is tried first.
        after: a call that it must follow.
        most: how much must have been counted at most when it is done, of what only grows.
    """

    begun: float
    ended: float
    step: Callable[[Any], Any]
    name: str = ""
    is_seen: bool = False
    after: "Call | None" = None
    most: float = EVER


def fault(calls: Sequence[Call], state: Hashable, grown: Callable[[Any], float] = lambda _: 0) -> str | None:
    """Return where no order of the calls can go on; None where there is an order of all.

    Args:
        calls: all of them, of one object.
        state: the object's at the beginning.
        grown: says of a state what only grows: none is looked at that is beyond what a call still waits for.

    Raises:
        Undecided: after `MOST` configurations.
    """
    search = _Search(calls)
    stack = [(state, 0, search.next_of(state, 0))]
    tried: set[Hashable] = {(state, 0)}
    deepest: tuple[int, Any, int] = (-1, state, 0)
    while stack:
        state, done, ways = stack[-1]
        if done == search.all:
            return None
        if done.bit_count() > deepest[0]:
            deepest = done.bit_count(), state, done
        found = next(ways, None)
        if found is None:
            stack.pop()
        elif found not in tried:
            tried.add(found)
            if grown(found[0]) > search.most_of(found[1]):
                continue
            if len(tried) > MOST:
                raise Undecided(search.told(*deepest))
            stack.append((*found, search.next_of(*found)))
    return search.told(*deepest)


class _Search:
    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = sorted(calls, key=lambda call: call.begun)
        self.all = (1 << len(calls)) - 1
        places = {call: place for place, call in enumerate(self.calls)}
        self._by_most = sorted(places.values(), key=lambda place: self.calls[place].most)
        self._after = [places[call.after] if call.after else None for call in self.calls]

    def most_of(self, done: int) -> float:
        """Return how much must have been counted at most, by what is not done yet."""
        return next((self.calls[place].most for place in self._by_most if not done >> place & 1), EVER)

    def told(self, count: int, state: Any, done: int) -> str:
        """Return what a configuration is in words."""
        waiting = "; ".join(self.calls[place].name for place in self.first(done))
        return f"after {count} of {len(self.calls)} calls, at {state}, none of these can be next: {waiting}"

    def first(self, done: int) -> list[int]:
        """Return the calls that may be next: each began before any that is not done ended."""
        found, ends = [], EVER
        least = ((done + 1) & ~done).bit_length() - 1  # all before are done
        for place in range(least, len(self.calls)):
            call = self.calls[place]
            if call.begun > ends:
                break
            if not done >> place & 1:
                found.append(place)
                ends = min(ends, call.ended)
        free = (place for place in found if self.calls[place].begun <= ends)
        return [place for place in free if (after := self._after[place]) is None or done >> after & 1]

    def next_of(self, state: Any, done: int) -> Iterator[tuple[Any, int]]:
        """Yield what may come of a configuration."""
        ways = []
        for place in self.first(done):
            after = self.calls[place].step(state)
            if after == state:
                yield state, done | 1 << place
                return
            if after is not None:
                ways.append((not self.calls[place].is_seen, place, after))
        for _, place, after in sorted(ways, key=lambda way: way[:2]):
            yield after, done | 1 << place
