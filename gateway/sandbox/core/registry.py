"""The kinds of Stripe objects, and which of their fields must be expanded: filled by the resource modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of Stripe object: its `object` value, the prefix of its ids and how errors call it.

    `path` is the `param` of a 404. It is the name that the path has in Stripe's API description, but "id" for
    customers and subscriptions (recorded: "id", "payment_method").
    """

    name: str
    prefix: str
    noun: str
    deleted_stays: bool = False
    path: str = "id"


Computed = Callable[..., Any]
"""Called as `computed(sandbox, object)`, returns the value of the field."""

KINDS: dict[str, Kind] = {}
HIDDEN: dict[str, frozenset[str]] = {}
EXPANDABLE: dict[tuple[str, str], Computed] = {}
_PREFIXES: dict[str, str] = {}


def kind(
    name: str,
    prefix: str,
    noun: str | None = None,
    *,
    deleted_stays: bool = False,
    path: str = "id",
    also: tuple[str, ...] = (),
) -> Kind:
    """Declare a kind of object.

    Args:
        name: Its `object`.
        prefix: Of its ids.
        noun: How errors call it; its name by default.
        deleted_stays: A deleted one still answers `{"deleted": true}` (customers).
        path: The `param` of a 404.
        also: Other prefixes of its ids (a charge that is no card's begins with `py`).
    """
    KINDS[name] = Kind(name, prefix, noun or name, deleted_stays, path)
    _PREFIXES.update(dict.fromkeys((prefix.rstrip("_"), *also), name))
    return KINDS[name]


def kind_of_id(id: str) -> str | None:
    """Return the kind that an id's prefix belongs to: `prod_…` is a product."""
    head = id.rpartition("_")[0]
    while head:
        if head in _PREFIXES:
            return _PREFIXES[head]
        head = head.rpartition("_")[0]
    return None


def hidden(kind: str, *fields: str) -> None:
    """Declare stored fields that Stripe shows only when they are expanded (`price.tiers`)."""
    HIDDEN[kind] = HIDDEN.get(kind, frozenset()) | set(fields)


def expandable(kind: str, name: str) -> Callable[[Computed], Computed]:
    """Declare a field that is not stored but computed when it is expanded (`customer.subscriptions`)."""

    def register(function: Computed) -> Computed:
        EXPANDABLE[kind, name] = function
        return function

    return register
