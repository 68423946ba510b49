"""Faults on request: what can go wrong between Stripe and a webhook endpoint, seeded so that a run repeats."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from gateway.sandbox.core.errors import invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj, Store
    from gateway.sandbox.options import SandboxOptions

FAULTS = {
    "duplicate": "the event arrives twice",
    "reorder": "the event arrives after later ones",
    "delay": "the event arrives `delay_seconds` late",
    "drop": "the event never arrives",
    "cut": "the connection breaks in the middle of the body; the event is sent again later",
    "bad_signature": "the signature is wrong; the event is sent again later",
    "old_secret": "the event is signed with the endpoint's former secret, if it has one",
}
"""Each fault and what it does; its setting is the share of deliveries that it hits, 0 to 1."""

# Besides the shares: how long a delay is, where the dice start, requests per second before 429 (0 never limits), and
# how long a call to the API is on its way, half of it there and half of it back.
_DEFAULTS = {**dict.fromkeys(FAULTS, 0.0), "delay_seconds": 2.0, "seed": 0.0, "rate_limit": 0.0, "latency_seconds": 0.0}
MOST_LATENCY_SECONDS = 60


class Chaos:
    """The settings, kept in the store, and the dice."""

    def __init__(self, store: Store, options: SandboxOptions) -> None:
        self._store = store
        self._options = options
        self._dice = random.Random()  # noqa: S311 -- must repeat
        self.configure({**options.chaos, **self.settings()})

    def settings(self) -> dict[str, float]:
        """Return the present settings, every one with its value."""
        stored = self._store.get("_settings", "chaos") or {}
        options = self._options
        own = {"rate_limit": options.rate_limit or 0, "seed": options.random_seed or 0}
        defaults = {**_DEFAULTS, **own, **options.chaos}
        return {name: stored.get(name, default) for name, default in defaults.items()}

    def configure(self, changes: dict[str, float]) -> dict[str, float]:
        """Change some settings and throw the dice anew from the seed; return all settings.

        Raises:
            StripeError: For an unknown name or a share outside 0 to 1.
        """
        for name, value in changes.items():
            if name not in _DEFAULTS:
                raise invalid(f"Unknown chaos setting: {name}. There are {', '.join(_DEFAULTS)}.", name)
            if name in FAULTS and not 0 <= value <= 1:
                raise invalid(f"{name} is a share of all deliveries: give a number from 0 to 1.", name)
            if name == "latency_seconds" and not 0 <= value <= MOST_LATENCY_SECONDS:
                raise invalid(f"{name} must be a number from 0 to {MOST_LATENCY_SECONDS}.", name)
        settings = {**self.settings(), **changes}
        self._store.put({"object": "_settings", "id": "chaos", **settings})
        self._dice.seed(settings["seed"])
        return settings

    def draw_faults(self) -> frozenset[str]:
        """Throw the dice for one first delivery: the faults that hit it."""
        settings = self.settings()
        # One throw for every fault, hit or not, so that changing one share leaves the others' fate alone.
        throws = {name: self._dice.random() for name in FAULTS}
        return frozenset(name for name, throw in throws.items() if throw < settings[name])

    def lateness(self, faults: frozenset[str]) -> float:
        """Return seconds that a delivery waits because of its faults."""
        late = self.settings()["delay_seconds"] if "delay" in faults else 0.0
        return late + (0.1 + self._dice.random() * 0.4 if "reorder" in faults else 0.0)


def describe(settings: Obj) -> str:
    """Return the active faults in words, for people."""
    active = [f"{name} {settings[name]:.0%}" for name in FAULTS if settings[name]]
    return ", ".join(active) or "none"
