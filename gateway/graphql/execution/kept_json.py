"""The JSON of objects that all requests share, kept by what is selected of them: a page of the catalogue is made of it.

An object of a `SharedType` never changes: what changes at Stripe becomes another object. So its JSON is right wherever
the object is shown, whose request that may be.
"""

from itertools import count
from typing import Any, Final

import orjson

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_SHARE: Final = 16  # one object takes at most this part of the memory
ENTRY_BYTES: Final = 350  # of an entry beside its JSON (measured)

_selections = count()


class KeptJson:
    """JSON by object and selection, in a bounded memory. When it is full, all is forgotten, and made again.

    Args:
        max_bytes: what it may take.

    Attributes:
        found: the JSON, by the object's serial number and that of the selection.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.found: dict[tuple[int, int], orjson.Fragment] = {}
        self._max_bytes = max_bytes
        self._bytes = 0

    @staticmethod
    def new_selection() -> int:
        """Return the number of a selection."""
        return next(_selections)

    def keep(self, key: tuple[int, int], value: dict[str, Any]) -> orjson.Fragment:
        """Return the JSON of what an object has become, which is kept if there is room for it."""
        text = memoryview(orjson.dumps(value)).tobytes()  # a copy: the serializer's buffer stays as large as it grew
        fragment = orjson.Fragment(text)
        size = len(text) + ENTRY_BYTES
        if size <= self._max_bytes // MAX_SHARE:
            self._bytes += size
            if self._bytes > self._max_bytes:
                self.found.clear()
                self._bytes = size
            self.found[key] = fragment
        return fragment
