"""The documents of the package, which the gateway knows by their hashes without being told."""

from functools import cache

import orjson

from gateway.web.bundle import SOURCES


@cache
def documents() -> dict[str, str]:
    """Return them by their SHA-256."""
    return dict(orjson.loads((SOURCES / "documents.json").read_bytes()))
