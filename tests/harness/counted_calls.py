"""What callers were told of one limit, as calls whose order is searched for (`linearizable.py`).

The model is a number that was used and the open holds in their order, and knows nothing of the gateway's inside. A
hold lapses by time alone, which is a call of its own: so long after the hold was made, so that older ones lapse first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from harness.linearizable import EVER, Call, fault

SLACK = 0.05
"""Between the clock of business rules and ours."""


@dataclass(eq=False)
class Told:
    """Something that was asked, from when it was sent first to when it was answered.

    Attributes:
        kind: consume, hold, commit or release.
        amount: how much is consumed, held or committed.
        begun: when it was sent first.
        sent: when it was sent last.
        ended: when it was answered.
        admitted: whether it was done.
        state: what the answer says is used and held.
        hold: of a commit or release its hold.
    """

    kind: str
    amount: int
    begun: float
    sent: float = 0.0
    ended: float = EVER
    admitted: bool = False
    state: tuple[int, int] | None = None
    hold: "Told | None" = None

    @property
    def is_use(self) -> bool:
        return self.kind in {"consume", "commit"} and self.admitted

    def __str__(self) -> str:
        said = "admitted" if self.admitted else "refused"
        return f"{self.kind} {self.amount} {said} at {self.begun:.3f} to {self.ended:.3f} with {self.state}"


class State(NamedTuple):
    used: int = 0
    holds: tuple[Told, ...] = ()

    @property
    def shown(self) -> tuple[int, int]:
        return self.used, sum(each.amount for each in self.holds)


@dataclass
class History:
    """What happened to one customer's limit.

    Attributes:
        limit: how much may be used.
        seconds: how long a hold lasts.
        told: in any order.
    """

    limit: int
    seconds: float
    told: list[Told] = field(default_factory=list)

    def fault(self) -> str | None:
        """Return where no order of what was told can go on."""
        return fault([call for each in self.told for call in self._calls(each)], State(), lambda state: state.used)

    def _calls(self, told: Told) -> Iterator[Call]:
        """Yield the calls that something is: it itself, what a later try of it has seen, and the end of a hold."""
        is_first = told.sent <= told.begun
        seen = told.state if is_first or not told.admitted else None
        begun = told.begun if told.admitted else told.sent  # what was refused has done nothing before
        most = told.state[0] if told.state else EVER
        own = told.amount if seen and told.is_use else 0
        done = Call(begun, told.ended, partial(self._step, told, seen), str(told), seen is not None, most=most - own)
        yield done
        if seen is None:
            shows = partial(_shows, told.state)
            yield Call(told.sent, told.ended, shows, f"{told}, seen again", is_seen=True, after=done, most=most)
        if told.kind == "hold" and told.admitted:
            first, last = told.begun + self.seconds - SLACK, told.ended + self.seconds + SLACK
            yield Call(first, last, partial(_lapsed, told), f"the end of {told}", after=done)

    def _step(self, told: Told, seen: tuple[int, int] | None, state: State) -> State | None:
        after = self._after(told, state)
        return after if after is not None and seen in {None, after.shown} else None

    def _after(self, told: Told, state: State) -> State | None:
        """Return the state after what was told; None where it must not have been told then."""
        held = told.hold in state.holds
        reserved = told.hold.amount if told.hold and held else 0
        more = max(0, told.amount - reserved) if told.kind == "commit" else told.amount
        if told.admitted != (told.kind == "release" or more == 0 or sum(state.shown) + more <= self.limit):
            return None
        if not told.admitted:
            return state
        if told.kind == "hold":
            return State(state.used, (*state.holds, told))
        return State(
            state.used + told.amount * told.is_use, tuple(each for each in state.holds if each is not told.hold)
        )


def _lapsed(hold: Told, state: State) -> State | None:
    if hold not in state.holds:
        return state
    return State(state.used, state.holds[1:]) if state.holds[0] is hold else None


def _shows(seen: tuple[int, int], state: State) -> State | None:
    return state if state.shown == seen else None
