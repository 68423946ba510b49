"""How Stripe applies parameters to an object: a hash is merged, an empty string unsets, metadata is per key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.errors import invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj

# https://docs.stripe.com/api/metadata
_METADATA_KEYS = 50
_METADATA_KEY_LENGTH = 40
_METADATA_VALUE_LENGTH = 500


def merge(obj: Obj, params: Obj, *fields: str) -> Obj:
    """Return a copy of the object with the parameters applied; with `fields`, only the parameters of these names."""
    merged = dict(obj)
    for name, value in params.items():
        if fields and name not in fields:
            continue
        if name == "metadata":
            merged[name] = metadata(obj.get(name), value)
        elif isinstance(value, dict):
            merged[name] = merge(obj.get(name) or {}, value)
        else:
            merged[name] = None if value == "" else value
    return merged


def metadata(before: Obj | None, given: Obj | str | None) -> dict[str, str]:
    """Return the metadata after a request: `""` for all unsets everything, `""` for a key unsets the key."""
    if not isinstance(given, dict):
        return {}
    merged = {key: str(value) for key, value in {**(before or {}), **given}.items() if value not in ("", None)}
    if len(merged) > _METADATA_KEYS:
        raise invalid(f"You can only specify up to {_METADATA_KEYS} metadata keys.", "metadata")
    for key, value in merged.items():
        if len(key) > _METADATA_KEY_LENGTH:
            raise invalid(
                f"Metadata keys can have up to {_METADATA_KEY_LENGTH} characters, but you passed in a key that is "
                f"{len(key)} characters. Invalid key: {key}",
                "metadata",
            )
        if len(value) > _METADATA_VALUE_LENGTH:
            raise invalid(
                f"Metadata values can have up to {_METADATA_VALUE_LENGTH} characters, but you passed in a value that "
                f"is {len(value)} characters. Invalid value: {value}",
                f"metadata[{key}]",
            )
    return merged
