"""A mapping of which a changed copy costs what changed: copies share what they have in common."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

MAX_CHANGED = 256
"""With more changes than this, a copy gets a base of its own: one in so many copies costs what a whole one does."""

Value = TypeVar("Value")


class LayeredMap(Mapping[str, Value]):
    """An immutable mapping: a base that copies share, and what is another there.

    Args:
        base: is never changed, whoever has it.
        changed: what stands before it; None is what the base has and this has not.
    """

    __slots__ = ("_base", "_changed", "_size")

    def __init__(self, base: Mapping[str, Value], changed: Mapping[str, Value | None] | None = None) -> None:
        self._base = base
        self._changed = changed or {}
        self._size = len(base) + sum((value is not None) - (key in base) for key, value in self._changed.items())

    def with_changes(self, changes: Mapping[str, Value | None]) -> "LayeredMap[Value]":
        """Return a copy with some values; None removes one."""
        changed = {**self._changed, **changes}
        if len(changed) <= MAX_CHANGED:
            return LayeredMap(self._base, changed)
        whole = {**self._base, **changed}
        return LayeredMap({key: value for key, value in whole.items() if value is not None})

    def __getitem__(self, key: str) -> Value:
        if key not in self._changed:
            return self._base[key]
        value = self._changed[key]
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self._base if key not in self._changed)
        yield from (key for key, value in self._changed.items() if value is not None)

    def __len__(self) -> int:
        return self._size
