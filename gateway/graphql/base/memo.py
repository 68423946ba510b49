"""The mark of types whose objects never change, so that an answer that was made of one can be used again."""

from typing import Any


class MemoizedType:
    """The base of a type whose objects never change, and which therefore keep what was answered of them.

    Attributes:
        memo: what was answered, by the text of the selection. Every object needs a `dict` of its own.
    """

    memo: dict[str, dict[str, Any]]
