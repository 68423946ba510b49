"""New ids in Stripe's form."""

from __future__ import annotations

import random
import string
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALPHABET = string.digits + string.ascii_letters
# Stripe's older objects have short ids, sessions very long ones.
_LENGTH = {"prod": 14, "cus": 14, "cs_test_": 58, "si": 14, "re": 24}


class Ids:
    """A source of ids, random or, with a seed, the same in every run."""

    def __init__(self, seed: str | None = None) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- ids need to be new, not secret

    @contextmanager
    def seeded(self, seed: str) -> Iterator[None]:
        """Make the ids inside from another seed."""
        usual, self._random = self._random, random.Random(seed)  # noqa: S311 -- must repeat
        try:
            yield
        finally:
            self._random = usual

    def new(self, prefix: str) -> str:
        """Return a new id: `prod_` and 14 characters, most others 24, the first of which is 1."""
        length = _LENGTH.get(prefix, 24)
        body = self.choices(_ALPHABET, length)
        if length == _LENGTH["re"]:
            body = f"1{body[1:]}"
        return f"{prefix}{'' if prefix.endswith('_') else '_'}{body}"

    def choices(self, alphabet: str, length: int) -> str:
        """Return a random string."""
        return "".join(self._random.choices(alphabet, k=length))
