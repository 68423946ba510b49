"""The documents of our clients, which the gateway knows by their hashes without being told."""

from functools import cache
from pathlib import Path

import orjson

_PACKAGES = Path(__file__).parents[1]
_MANIFESTS = tuple(_PACKAGES / name / "documents.json" for name in ("web/src", "client", "cli/assistants"))
"""The package's for browsers, and the Python client's and the assistants', which are not imported: none is needed."""


@cache
def documents() -> dict[str, str]:
    """Return them by their SHA-256."""
    return {name: text for path in _MANIFESTS for name, text in orjson.loads(path.read_bytes()).items()}
