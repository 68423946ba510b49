"""What goes wrong in a history, and when: drawn from its seed."""

import random
from dataclasses import dataclass, fields
from typing import Self

UNREACHABLE = 0.1
"""In how many histories no delivery comes at all, and nothing else goes wrong."""
THEMES = (
    ("stripe_away", "stripe_slow", "stripe_refuses", "stripe_answer_lost"),
    ("event_lost", "event_late", "event_twice"),
    ("database_away", "database_slow", "database_fails"),
    ("crash", "replaced", "clocks"),
)
"""What mostly goes wrong together: one of these in so many histories as `THEMED` says."""
SLOWEST = 0.04
"""How much of what is slow takes so long that nobody waits for it, in half of the histories."""
THEMED = 0.4
GENTLE = 0.07
"""In how many histories nothing fails: deliveries come late or twice, and clocks are apart."""


@dataclass
class Troubles:
    """How likely each trouble is, 0 to 1, at every occasion for it. A history draws some of them and lets others be.

    Attributes:
        crash: a process dies at a crossing: between it and the database, Stripe or the application.
        replaced: it is told to end there, and another one begins in its place.
        database_away: for some seconds it refuses everything, of everybody.
        database_slow: a reading or a transaction takes long.
        database_fails: one is refused, or its outcome stays unknown.
        stripe_away: for some seconds Stripe refuses every call.
        stripe_slow: a call takes long, on its way or after it was done.
        stripe_refuses: a call is answered 429 or 500, or not at all.
        stripe_answer_lost: a call is done, and its answer lost.
        event_lost: a delivery never comes.
        event_late: one comes late, and so after others.
        event_twice: one comes twice.
        clocks: the machines' clocks are seconds apart.
        clock_wrong: the clock of the only machine is many minutes off.
        application_fails: the application refuses a message, or its answer is lost.
    """

    crash: float = 0.0
    replaced: float = 0.0
    database_away: float = 0.0
    database_slow: float = 0.0
    database_fails: float = 0.0
    stripe_away: float = 0.0
    stripe_slow: float = 0.0
    stripe_refuses: float = 0.0
    stripe_answer_lost: float = 0.0
    event_lost: float = 0.0
    event_late: float = 0.0
    event_twice: float = 0.0
    clocks: float = 0.0
    clock_wrong: float = 0.0
    application_fails: float = 0.0

    def __post_init__(self) -> None:
        self.slowest = SLOWEST
        self.back_at: dict[str, float] = {}
        """When those are back who are away, on the loop's clock."""

    @classmethod
    def drawn(cls, dice: random.Random) -> Self:
        """Draw which troubles a history has: about a quarter of them, or those of a theme, some often."""
        if dice.random() < UNREACHABLE:
            return cls(event_lost=1.0)
        if dice.random() < GENTLE:
            gentle = ("event_late", "event_twice", "clocks")
            return cls(**{name: dice.choice([0.0, dice.uniform(0, 0.3)]) for name in gentle})
        most = {"crash": 0.01, "replaced": 0.01, "database_fails": 0.02, "stripe_refuses": 0.5}
        most |= {"database_away": 0.002, "stripe_away": 0.05, "stripe_slow": 0.6, "database_slow": 0.5}
        often = {"clock_wrong": 0.08}
        if dice.random() < THEMED:
            theme = [name for each in dice.sample(THEMES, dice.choice([1, 1, 2])) for name in each]
            often |= {each.name: 0.8 if each.name in theme else 0.1 for each in fields(cls) if each.name not in often}
        found = cls(
            **{
                each.name: dice.uniform(0.2, 1) * most.get(each.name, 0.3)
                if dice.random() < often.get(each.name, 0.25)
                else 0.0
                for each in fields(cls)
            }
        )
        found.slowest = dice.choice([0.0, SLOWEST])
        return found

    @property
    def is_gentle(self) -> bool:
        """Whether nothing is lost, refused or broken off, so that all comes right by itself."""
        gentle = {"event_late", "event_twice", "clocks"}
        return not any(getattr(self, each.name) for each in fields(self) if each.name not in gentle)

    def end(self, *, slow: float = 0.0) -> None:
        """Let nothing go wrong any more; the database may still be slow."""
        for each in fields(self):
            setattr(self, each.name, 0.0)
        self.database_slow, self.slowest = slow, 0.0
