"""Events. https://docs.stripe.com/api/events.

Stripe lists those of the last thirty days. Here all are listed: a move of time makes no client miss any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj


@route("POST", "/v1/events/{id}/retry", params="*")
def retry(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Deliver an event once more, as `stripe events resend` asks for, to `webhook_endpoint` or to all."""
    event = sandbox.need("event", id)
    sandbox.deliveries.redeliver(event, request.params.get("webhook_endpoint"))
    return event


@route("GET", "/v1/events", params="EventListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List events; those not delivered everywhere are still to come, or have failed."""
    wanted: str = request.params.get("type") or ""
    delivered = request.params.get("delivery_success")
    group = wanted.removesuffix("*")  # such as `invoice.`

    def fits(event: Obj) -> bool:
        return event["type"].startswith(group) and delivered in {None, event["pending_webhooks"] == 0}

    is_one = wanted and wanted == group
    return page(sandbox, request, "event", fits, type=wanted if is_one else None, delivery_success=None)


@route("GET", "/v1/events/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an event."""
    return sandbox.need("event", id)
