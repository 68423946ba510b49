"""Thin events: what happened to which object, without the object (https://docs.stripe.com/event-destinations).

Every event of the API has a thin form, `v1.customer.created` for `customer.created`. It says nothing new, so it is not
stored: its id carries the id of the event.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj

_PREFIX = "evt_test_"


def thin_type(type: str) -> str:
    """Return the thin form's type."""
    return f"v1.{type}"


def thin(event: Obj) -> Obj:
    """Return the thin form of a stored event."""
    obj = event["data"]["object"]
    object_id, kind = obj.get("id"), obj["object"]
    request = event["request"]
    reason = {"type": "request", "request": {key: request[key] or "" for key in ("id", "idempotency_key")}}
    related = {"id": object_id, "type": kind, "url": f"/v1/{kind.replace('.', '/')}s/{object_id}"}
    return {
        "id": _PREFIX + event["id"].removeprefix("evt_"),
        "object": "v2.core.event",
        "changes": None,
        "context": None,
        "created": iso(event["created"]),
        "livemode": False,
        "reason": reason if request["id"] else None,
        "related_object": related if object_id else None,
        "snapshot_event": event["id"],
        "type": thin_type(event["type"]),
    }


def snapshot_id(id: str) -> str:
    """Return the id of the event that a thin event is a form of."""
    return f"evt_{id.removeprefix(_PREFIX)}"


def iso(moment: int) -> str:
    """Return a time as the v2 API writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
