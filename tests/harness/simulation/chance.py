"""What goes wrong in a history, and when: drawn from its seed."""

import random
from dataclasses import dataclass, fields
from typing import Self

UNREACHABLE = 0.1
"""In how many histories no delivery comes at all, and nothing else goes wrong."""


@dataclass
class Troubles:
    """How likely each trouble is, 0 to 1, at every occasion for it. A history draws some of them and lets others be.

    Attributes:
        crash: a process dies at a crossing: between it and the database, Stripe or the application.
        database_slow: a reading or a transaction takes long.
        database_fails: one is refused, or its outcome stays unknown.
        stripe_slow: a call takes long.
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
    database_slow: float = 0.0
    database_fails: float = 0.0
    stripe_slow: float = 0.0
    stripe_refuses: float = 0.0
    stripe_answer_lost: float = 0.0
    event_lost: float = 0.0
    event_late: float = 0.0
    event_twice: float = 0.0
    clocks: float = 0.0
    clock_wrong: float = 0.0
    application_fails: float = 0.0

    @classmethod
    def drawn(cls, dice: random.Random) -> Self:
        """Draw which troubles a history has: about a quarter of them, each as often as not much."""
        most = {"crash": 0.01, "database_fails": 0.02, "stripe_refuses": 0.5}
        often = {"clock_wrong": 0.08}
        if dice.random() < UNREACHABLE:
            return cls(event_lost=1.0)
        return cls(
            **{
                each.name: dice.uniform(0.2, 1) * most.get(each.name, 0.3)
                if dice.random() < often.get(each.name, 0.25)
                else 0.0
                for each in fields(cls)
            }
        )

    def end(self) -> None:
        """Let nothing go wrong any more."""
        for each in fields(self):
            setattr(self, each.name, 0.0)
