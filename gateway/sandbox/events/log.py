"""The event log: what happened to which object, in the shape of https://docs.stripe.com/api/events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.expand import public
from gateway.sandbox.core.registry import kind
from gateway.sandbox.core.versions import changes
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sandbox.core.clock import Clock
    from gateway.sandbox.core.ids import Ids
    from gateway.sandbox.core.ports import Request
    from gateway.sandbox.core.store import Obj, Store

kind("event", "evt")

_WITH_PREVIOUS_ATTRIBUTES = frozenset({"charge.refunded", "payment_method.detached"})
"""The events with `previous_attributes` beside `*.updated`, as public copies of such events show."""


class EventLog:
    """Records events and hands each of them to whoever delivers them."""

    def __init__(self, store: Store, ids: Ids, clock: Clock, deliver: Callable[[Obj], int]) -> None:
        """Write into a store.

        Args:
            store: Where events are kept.
            ids: Where their ids come from.
            clock: What time it is.
            deliver: Plans the deliveries of an event and returns how many there are.
        """
        self._store = store
        self._ids = ids
        self._clock = clock
        self._deliver = deliver

    def record(self, type: str, obj: Obj, previous: Obj | None, request: Request | None) -> Obj:
        """Keep an event and plan its deliveries.

        Args:
            type: `product.updated` and so on.
            obj: The object after the change.
            previous: The object before the change; makes `previous_attributes`, "only included in events of type
                `*.updated`" (https://docs.stripe.com/api/events/object).
            request: The API request that caused it, if one did.
        """
        data: Obj = {"object": public(obj)}
        if previous is not None and (type.endswith(".updated") or type in _WITH_PREVIOUS_ATTRIBUTES):
            data["previous_attributes"] = changes(public(previous), data["object"])
        event = {
            "id": self._ids.new("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self._clock.now_of(obj),
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
        event["pending_webhooks"] = self._deliver(event)
        return self._store.put(event)
