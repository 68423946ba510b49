"""List and search envelopes: pagination by cursor, filters by field.

Source: https://docs.stripe.com/api/pagination
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from gateway.sandbox.core.errors import invalid, resource_missing
from gateway.sandbox.core.registry import KINDS
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

DEFAULT_LIMIT = 10
MOST = 100
_PAGING = frozenset({"limit", "starting_after", "ending_before", "expand", "page", "query"})
# Filters by an object: one that does not exist is refused (recorded), rather than answered by an empty list.
_REFERENCES = {
    **{name: name for name in ("charge", "customer", "invoice", "payment_intent", "payment_method", "price")},
    **{name: name for name in ("product", "subscription")},
    "plan": "price",
}
_BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def page(
    sandbox: Sandbox,
    request: Request,
    kind: str,
    where: Callable[[Obj], bool] | None = None,
    **equals: Any,
) -> Obj:
    """Answer a list request over the stored objects of a kind, newest first.

    Every parameter that is not about paging filters by the field of its name: equality, `created[gte]` bounds,
    a hash field by field, and a plural (`ids`, `lookup_keys`) by membership.

    Args:
        sandbox: The account.
        request: The request; its validated `params` are the filters.
        kind: Which objects.
        where: A further condition.
        equals: Overrides or adds filters; None switches the one of that name off (`status=None`).
    """
    filters = {key: value for key, value in {**request.params, **equals}.items() if key not in _PAGING}
    filters = {key: value for key, value in filters.items() if value is not None}
    exact: Obj = {key: value for key, value in filters.items() if isinstance(value, str | bool | int)}
    narrowed = {_field(key, value): value for key, value in filters.items() if _narrows(value)}
    _check_references(sandbox, request.params)

    def fits(obj: Obj) -> bool:
        return (where is None or where(obj)) and all(matches(obj, *item) for item in filters.items())

    limit, after, before = _paging(sandbox, request, kind)
    if before:
        newer = list(_until(before, filter(fits, sandbox.store.scan(kind, narrowed, **exact))))
        return envelope(request.path, newer[-limit:], len(newer) > limit)
    older = sandbox.store.scan(kind, narrowed, after=after, **exact)
    found = list(islice(filter(fits, older), limit + 1))
    return envelope(request.path, found[:limit], len(found) > limit)


def _check_references(sandbox: Sandbox, params: Obj) -> None:
    for name, kind in _REFERENCES.items():
        wanted = params.get(name)
        if isinstance(wanted, str) and sandbox.find(kind, wanted) is None:
            raise resource_missing(KINDS[name].noun, wanted, name)


def page_of(request: Request, objects: list[Obj]) -> Obj:
    """Answer a list request over objects that are not stored as such (an invoice's lines), in their order."""
    limit = _limit(request)
    after, before = request.params.get("starting_after"), request.params.get("ending_before")
    ids = [obj["id"] for obj in objects]
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor and cursor not in ids:
            raise resource_missing("object", cursor, name)
    if before:
        objects = objects[: ids.index(before)]
        return envelope(request.path, objects[-limit:], len(objects) > limit)
    if after:
        objects = objects[ids.index(after) + 1 :]
    return envelope(request.path, objects[:limit], len(objects) > limit)


def matches(obj: Obj, name: str, wanted: Any) -> bool:
    """Return whether an object passes the filter `name=wanted`."""
    if isinstance(wanted, list):
        return obj.get(_field(name, wanted)) in wanted
    actual = obj.get(name)
    if isinstance(wanted, dict):
        if wanted.keys() <= _BOUNDS.keys():
            return actual is not None and all(_BOUNDS[op](actual, limit) for op, limit in wanted.items())
        return isinstance(actual, dict) and all(matches(actual, *item) for item in wanted.items())
    return bool(actual == wanted)


def _field(name: str, wanted: Any) -> str:
    """Return the field that a filter is about: `types` is a list of what `type` may be."""
    return name.removesuffix("s") if isinstance(wanted, list) else name


def _narrows(wanted: Any) -> bool:
    """Return whether an index knows what a filter finds."""
    return isinstance(wanted, list) or (isinstance(wanted, dict) and wanted.keys() <= _BOUNDS.keys())


def _limit(request: Request) -> int:
    limit = request.params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MOST:
        word = "greater than or equal to 1" if limit < 1 else f"less than or equal to {MOST}"
        raise invalid(f"This value must be {word} (it currently is '{limit}').", "limit", "parameter_invalid_integer")
    return int(limit)


def _paging(sandbox: Sandbox, request: Request, kind: str) -> tuple[int, str | None, str | None]:
    cursors = []
    for name in ("starting_after", "ending_before"):
        cursor = request.params.get(name)
        if cursor and sandbox.store.get(kind, cursor) is None:
            raise resource_missing(KINDS[kind].noun, cursor, name)
        cursors.append(cursor)
    if all(cursors):
        raise invalid("Received both starting_after and ending_before parameters. Please pass in only one.")
    return _limit(request), cursors[0], cursors[1]


def _until(id: str, objects: Iterable[Obj]) -> Iterable[Obj]:
    for obj in objects:
        if obj["id"] == id:
            return
        yield obj
