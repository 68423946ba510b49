"""The documents of our clients, which the gateway knows by their hashes without being told."""

from functools import cache
from pathlib import Path

import orjson

_MANIFESTS = (Path(__file__).parent / "src" / "documents.json", Path(__file__).parents[1] / "client" / "documents.json")
"""The package's for browsers, and the Python client's, which is not imported: the server needs none of it."""


@cache
def documents() -> dict[str, str]:
    """Return them by their SHA-256."""
    return {name: text for path in _MANIFESTS for name, text in orjson.loads(path.read_bytes()).items()}
