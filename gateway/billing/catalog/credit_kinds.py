"""How metadata name kinds of credits: `credits_ai: 500` brings credits of the kind `ai`. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

CREDITS: Final = "credits"
"""The key that says how many credits there are of the kind without a name."""
ROLLOVER, EXPIRE_DAYS = "_rollover", "_expire_days"
"""What a key ends with that says more about a kind's credits, and no name of a kind does."""
_KIND: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")  # Stripe's keys have 40 characters at most


def key_of(kind: str) -> str:
    """Return the key that says how many credits of a kind there are."""
    return f"{CREDITS}_{kind}" if kind else CREDITS


def is_kind(name: str) -> bool:
    """Return whether a kind can have this name."""
    return bool(_KIND.fullmatch(name)) and not f"_{name}".endswith((ROLLOVER, EXPIRE_DAYS))


def kinds_in(metas: Iterable[Mapping[str, str]]) -> set[str]:
    """Return the kinds with a name that some metadata speak of."""
    prefix = CREDITS + "_"
    named = (key.removeprefix(prefix) for meta in metas for key in meta if key.startswith(prefix))
    return {name for name in named if is_kind(name)}
