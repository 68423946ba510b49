"""Events: what happened to which object, in the shape of https://docs.stripe.com/api/events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.expand import public
from gateway.sandbox.options import API_VERSION
from gateway.sandbox.routing import Request, kind, route

if TYPE_CHECKING:
    from gateway.sandbox.store import Obj
    from gateway.sandbox.world import Sandbox

kind("event", "evt")
RETENTION = 30 * 24 * 3600
"""Seconds for which `GET /v1/events` goes back."""


def build(sandbox: Sandbox, type: str, obj: Obj, previous: Obj | None) -> Obj:
    """The event document for a change of an object; `previous` is the object as it was."""
    data: Obj = {"object": public(obj)}
    if previous is not None:
        data["previous_attributes"] = changes(public(previous), data["object"])
    request = sandbox.request
    return {
        "id": sandbox.new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": sandbox.now(obj),
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {
            "id": request.id if request else None,
            "idempotency_key": request.idempotency_key if request else None,
        },
        "type": type,
        "_object": obj.get("id", ""),
    }


def changes(before: Obj, after: Obj) -> Obj:
    """The former values of what changed; hashes are compared field by field, lists as a whole."""
    changed: Obj = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        both = isinstance(old, dict) and isinstance(new, dict)
        changed[key] = changes(old, new) if both and key != "items" else old  # type: ignore[arg-type] # `both`
    return dict(sorted(changed.items()))


@route("GET", "/v1/events", params="EventListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List events of the last thirty days."""
    from gateway.sandbox.lists import page

    wanted: Any = request.params.get("type")
    oldest = sandbox.now() - RETENTION

    def recent(event: Obj) -> bool:
        if wanted and not _type_fits(event["type"], wanted):
            return False
        return bool(event["created"] > oldest)

    return page(sandbox, request, "event", recent, type=None)


@route("GET", "/v1/events/{id}")
def retrieve(sandbox: Sandbox, request: Request, id: str) -> Obj:  # noqa: ARG001 -- the handlers' signature
    """Retrieve an event."""
    return sandbox.need("event", id)


def _type_fits(type: str, wanted: str) -> bool:
    return type == wanted or (wanted.endswith("*") and type.startswith(wanted[:-1]))
