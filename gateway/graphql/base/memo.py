"""Types whose objects never change, so that results made of one can be used again."""

from dataclasses import field
from itertools import count
from typing import Any, Final

_serials: Final = count()


class MemoizedType:
    """The base of types whose objects never change and cache their own results.

    Attributes:
        memo: results, by the text of the selection. Every object needs a `dict` of its own.
    """

    memo: dict[str, dict[str, Any]]


class SharedType:
    """The base of types whose objects never change and stand in the answers of many requests (`KeptJson`).

    Whatever their fields answer follows from the object and the arguments alone: no clock, and nobody's request.

    Attributes:
        serial: the object's own number (`serial_number`); a changed copy has another.
    """

    serial: int


def serial_number() -> Any:
    """Declare the field of an object's own number."""
    return field(init=False, default_factory=_serials.__next__, compare=False, repr=False)
