"""Types whose objects never change, so that results made of one can be used again."""

from typing import Any


class MemoizedType:
    """The base of types whose objects never change and cache their own results.

    Attributes:
        memo: results, by the text of the selection. Every object needs a `dict` of its own.
    """

    memo: dict[str, dict[str, Any]]
