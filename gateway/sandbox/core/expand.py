"""What leaves the sandbox: private and unexpanded fields removed, `expand[]` followed.

Source: https://docs.stripe.com/api/expanding_objects
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.objects import lookup
from gateway.sandbox.core.registry import EXPANDABLE, HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_DEEPEST = 4
_NOTHING: frozenset[str] = frozenset()
_NESTED = (dict, list)


def public(obj: Any, reveal: frozenset[str] = _NOTHING) -> Any:
    """Return a copy without private fields (`_…`) and without fields that must be expanded, save those in `reveal`."""
    if isinstance(obj, dict):
        kind = obj.get("object")
        # An event's data has the object itself under this name; metadata may use any name it likes.
        hidden = HIDDEN.get(kind, _NOTHING) if isinstance(kind, str) else _NOTHING
        return {
            key: public(value) if isinstance(value, _NESTED) and key != "metadata" else value
            for key, value in obj.items()
            if key[:1] != "_" and (key not in hidden or key in reveal)
        }
    if isinstance(obj, list):
        return [public(each) for each in obj]
    return obj


def present(sandbox: Sandbox, obj: Obj, expand: Iterable[str] = ()) -> Obj:
    """Return the public form of an object or list with the named paths expanded."""
    tree: dict[str, Any] = {}
    for path in expand:
        node = tree
        segments = path.split(".")
        if len(segments) > _DEEPEST + (segments[0] == "data"):
            raise StripeError(f"You cannot expand more than {_DEEPEST} levels of a property (found '{path}').")
        for segment in segments:
            node = node.setdefault(segment, {})
    return _expanded(sandbox, obj, tree, "")


def _expanded(sandbox: Sandbox, obj: Obj, tree: dict[str, Any], path: str) -> Obj:
    shown: Obj = public(obj, frozenset(tree))
    if obj.get("deleted"):
        return shown  # it has nothing left to expand, and Stripe does not mind
    for name, below in tree.items():
        where = f"{path}{name}"
        if name not in obj and name in HIDDEN.get(obj.get("object", ""), _NOTHING):
            continue  # a price without tiers has none to show
        value = _value(sandbox, obj, name, where)
        if isinstance(value, list):
            shown[name] = [_follow(sandbox, each, name, below, where) for each in value]
        else:
            shown[name] = _follow(sandbox, value, name, below, where)
    return shown


def _value(sandbox: Sandbox, obj: Obj, name: str, where: str) -> Any:
    kind = obj.get("object", "")
    if (kind, name) in EXPANDABLE:
        return EXPANDABLE[kind, name](sandbox, obj)
    if name in obj:
        return obj[name]
    raise _not_expandable(where, in_list=kind == "list")


def _follow(sandbox: Sandbox, value: Any, name: str, below: dict[str, Any], where: str) -> Any:
    if isinstance(value, str):
        found = lookup(sandbox.store, value, name)
        if found is None:
            raise _not_expandable(where)
        value = found
    if isinstance(value, dict):
        return _expanded(sandbox, value, below, f"{where}.")
    if value is None or name == "total_count":  # of a search: a number that is only there when asked for
        return value
    raise _not_expandable(where)


def _not_expandable(path: str, *, in_list: bool = False) -> StripeError:
    hint = f" You may want to try expanding 'data.{path}' instead." if in_list else ""
    return StripeError(f"This property cannot be expanded ({path}).{hint}")
