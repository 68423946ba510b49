"""Events: what happened to which object, in the shape of https://docs.stripe.com/api/events."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import kind
from gateway.sandbox.core.expand import public
from gateway.sandbox.core.versions import changes
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj
    from gateway.sandbox.instance import Sandbox

kind("event", "evt")


Listener = Callable[["Sandbox", "Obj"], None]
_LISTENERS: list[tuple[str, Listener]] = []


def on(prefix: str) -> Callable[[Listener], Listener]:
    """Have a function called with the object of every event whose type begins with `prefix`."""

    def register(listener: Listener) -> Listener:
        _LISTENERS.append((prefix, listener))
        return listener

    return register


def notify(sandbox: Sandbox, type: str, obj: Obj) -> None:
    """Call the listeners of an event type."""
    for prefix, listener in _LISTENERS:
        if type.startswith(prefix):
            listener(sandbox, obj)


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
        "_object": obj.get("id") or obj.get("customer", ""),
    }
