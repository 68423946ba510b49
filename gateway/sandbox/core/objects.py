"""Objects found by their ids, whatever their kind, and the clock that they live by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.registry import KINDS, kind_of_id

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj, Store

_DELETED = "_deleted"


def find(store: Store, kind: str, id: str) -> Obj | None:
    """Return the object, or `{"deleted": true}` for a deleted one of a kind that leaves such a trace, or None."""
    found = store.get(kind, id)
    if found is None:
        trace = store.get(_DELETED, f"{kind}:{id}")
        found = trace and {"id": id, "object": kind, "deleted": True}
    return found


def delete(store: Store, kind: str, id: str) -> Obj:
    """Delete an object, leave a trace of it if its kind does, and return what Stripe answers."""
    store.delete(kind, id)
    if KINDS[kind].deleted_stays:
        store.put({"object": _DELETED, "id": f"{kind}:{id}"})
    return {"id": id, "object": kind, "deleted": True}


def lookup(store: Store, id: str, field: str = "") -> Obj | None:
    """Return the object of any kind that an id names, found by its prefix or else by the name of its field."""
    for kind in (kind_of_id(id), field, field.rpartition("_")[2]):
        found = kind in KINDS and find(store, str(kind), id)
        if found:
            return found
    return None


def clock_of(store: Store, owner: Obj | str | None) -> str | None:
    """Return the id of the test clock that an object (or id) lives by, its own or its customer's, or None."""
    obj = lookup(store, owner) if isinstance(owner, str) else owner
    if not obj:
        return None
    if obj.get("test_clock"):
        return str(obj["test_clock"])
    customer = obj.get("customer")
    if isinstance(customer, dict):
        customer = customer.get("id")
    found = store.get("customer", customer) if customer else None
    return found.get("test_clock") if found else None
