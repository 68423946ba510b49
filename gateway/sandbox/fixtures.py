"""Scenes: fill a sandbox from a file, save what it holds into one.

Two formats are read: a list of requests as `stripe fixtures` has them (https://docs.stripe.com/cli/fixtures; the
sample catalogue is one), and the sandbox's own export, which holds every object with its private state.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

from gateway.sandbox.core.errors import StripeError

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

# `${name:id}` or `${name:data.0.id}`: a value from the answer to an earlier request.
_REFERENCE = re.compile(r"\$\{(\w+):([\w.\[\]]+)\}")
_PASSING = ("_idempotency", "_delivery")
_FORMAT = "gateway sandbox scene 1"


def load_file(sandbox: Sandbox, path: Path) -> int:
    """Fill a sandbox from a file; return how many requests or objects there were.

    Raises:
        ValueError: The file is no fixture, or one of its requests is refused; says which and why.
    """
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    return load(sandbox, document)


def load(sandbox: Sandbox, document: Any) -> int:
    """Fill a sandbox from a decoded fixture, all or nothing. See `load_file`."""
    with sandbox.store.transaction():
        match document:
            case {"format": str(name), "objects": list(objects)} if name == _FORMAT:
                for obj in objects:
                    sandbox.store.put(obj)
                sandbox.reopen()
                return len(objects)
            case {"fixtures": list(requests)}:
                _replay(sandbox, requests)
                return len(requests)
    raise ValueError("The file has neither `fixtures` (as for `stripe fixtures`) nor the `objects` of an export.")


def load_catalog(sandbox: Sandbox) -> int:
    """Fill a sandbox with the sample catalogue of a small software company."""
    return load(sandbox, orjson.loads((files(__package__) / "catalog.json").read_bytes()))


def export(sandbox: Sandbox) -> Obj:
    """Return everything a sandbox holds but deliveries and idempotency keys, to be loaded into another one."""
    kinds = [kind for kind in sandbox.store.kinds() if kind not in _PASSING]
    objects = [obj for kind in kinds for obj in reversed(sandbox.store.find(kind))]
    return {"format": _FORMAT, "objects": objects}


def _replay(sandbox: Sandbox, requests: list[Obj]) -> None:
    answers: dict[str, Obj] = {}
    for index, step in enumerate(requests):
        name = step.get("name", f"number {index + 1}")
        try:
            path, params = _filled(step["path"], answers), _filled(step.get("params", {}), answers)
            answers[name] = sandbox.call(step.get("method", "post").upper(), path, params)
        except StripeError as error:
            expected = step.get("expected_error_type")
            if expected != error.type:
                raise ValueError(f"The fixture `{name}` was refused: {error.message}") from None
        except (KeyError, IndexError, LookupError) as error:
            raise ValueError(f"The fixture `{name}` cannot be made: {error} is not there.") from None


def _filled(value: Any, answers: dict[str, Obj]) -> Any:
    """Return the value with references replaced."""
    if isinstance(value, dict):
        return {key: _filled(each, answers) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, answers) for each in value]
    if not isinstance(value, str):
        return value
    return _REFERENCE.sub(lambda found: str(_reached(answers[found[1]], found[2])), value)


def _reached(node: Any, path: str) -> Any:
    for step in path.replace("[", ".").replace("]", "").split("."):
        node = node[int(step)] if isinstance(node, list) else node[step]
    return node
