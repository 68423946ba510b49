"""What leaves the sandbox: private and unexpanded fields removed, `expand[]` followed.

Source: https://docs.stripe.com/api/expanding_objects
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.core.errors import StripeError
from gateway.sandbox.core.objects import lookup
from gateway.sandbox.core.registry import EXPANDABLE, HIDDEN
from gateway.sandbox.core.templates import counted, includable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


def present(
    sandbox: Sandbox, obj: Obj, expand: Iterable[str] = (), shape: Callable[[Obj], Obj] = lambda obj: obj
) -> Obj:
    """Return the public form of an object or list with the named paths expanded.

    Args:
        sandbox: The account.
        obj: The stored object, or a list of them.
        expand: The paths.
        shape: Writes an object in the form of the client's API version, whose fields the paths are about.

    Raises:
        StripeError: A path is too deep or names what cannot be expanded.
    """
    tree: dict[str, Any] = {}
    for path in expand:
        node = tree
        segments = path.split(".")
        if len(segments) > _DEEPEST + (segments[0] == "data"):
            raise StripeError(
                f"You cannot expand more than {_DEEPEST} levels of a property. Property: {path}",
                code="property_expansion_max_depth",
                param="expand",
            )
        for segment in segments:
            node = node.setdefault(segment, {})
    return _Expansion(sandbox, shape).of(shape(obj), tree, "")


class _Expansion:
    """Paths followed through objects in the shape of one API version."""

    def __init__(self, sandbox: Sandbox, shape: Callable[[Obj], Obj]) -> None:
        self.sandbox, self.shape = sandbox, shape

    def of(self, obj: Obj, tree: dict[str, Any], path: str) -> Obj:
        """Return an object, which has its shape already, with what is in the tree expanded."""
        shown: Obj = public(obj, frozenset(tree))
        if obj.get("deleted"):
            return shown  # it has nothing left to expand, and Stripe does not mind
        for name, below in tree.items():
            where = f"{path}{name}"
            if name not in obj and self._has_none(obj.get("object", ""), name):
                continue  # a price without tiers has none to show
            value = self._value(obj, name, where)
            if isinstance(value, list):
                shown[name] = [self._follow(each, name, below, where) for each in value]
            else:
                shown[name] = self._follow(value, name, below, where)
        return shown

    @staticmethod
    def _has_none(kind: str, name: str) -> bool:
        """Return whether what an object lacks may be asked for all the same."""
        return (kind, name) not in EXPANDABLE and (name in HIDDEN.get(kind, _NOTHING) or includable(kind, name))

    def _value(self, obj: Obj, name: str, where: str) -> Any:
        kind = obj.get("object", "")
        if (kind, name) in EXPANDABLE:
            value = EXPANDABLE[kind, name](self.sandbox, obj)
            if not isinstance(value, dict):
                return value
            return self.shape(counted(kind, name, value) if value.get("object") == "list" else value)
        if name in obj:
            return obj[name]
        raise _not_expandable(where, in_list=kind == "list")

    def _follow(self, value: Any, name: str, below: dict[str, Any], where: str) -> Any:
        if isinstance(value, str):
            found = lookup(self.sandbox.store, value, name)
            if found is None:
                raise _not_expandable(where)
            value = self.shape(found)
        if isinstance(value, dict):
            return self.of(value, below, f"{where}.")
        if value is None or name == "total_count":  # of a search: a number that is only there when asked for
            return value
        raise _not_expandable(where)


def _not_expandable(path: str, *, in_list: bool = False) -> StripeError:
    hint = f" You may want to try expanding 'data.{path}' instead." if in_list else ""
    return StripeError(f"This property cannot be expanded ({path}).{hint}", param="expand")
