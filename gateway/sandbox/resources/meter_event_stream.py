"""The stream of meter events: many at once, with a token of fifteen minutes.

Source: https://docs.stripe.com/api/v2/billing-meter-stream
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.core.periods import MINUTE
from gateway.sandbox.events.thin import iso
from gateway.sandbox.resources import meters

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_SESSION = 15 * MINUTE


@route("POST", "/v2/billing/meter_event_session")
def session(sandbox: Sandbox, _: Request) -> Obj:
    """Begin a session: its token is the key of the stream."""
    now = sandbox.now()
    return {
        "id": sandbox.new_id("mes_test"),
        "object": "v2.billing.meter_event_session",
        "authentication_token": sandbox.new_id("rk_test"),
        "created": iso(now),
        "expires_at": iso(now + _SESSION),
        "livemode": False,
    }


@route("POST", "/v2/billing/meter_event_stream", params="v2.billing.MeterEventStreamCreateParams")
def stream(sandbox: Sandbox, request: Request) -> Obj:
    """Count many events at once. What is wrong with one of them is told at once here, later at Stripe."""
    for event in request.params["events"]:
        meters.record_v2(sandbox, replace(request, params=event))
    return {}


@route("POST", "/v2/billing/meter_event_adjustments", params="v2.billing.MeterEventAdjustmentCreateParams")
def adjust(sandbox: Sandbox, request: Request) -> Obj:
    """Cancel a meter event of the last 24 hours."""
    adjusted = meters.adjust(sandbox, request)
    made: Obj = {"id": sandbox.new_id("mea_test"), "object": "v2.billing.meter_event_adjustment"}
    return {**adjusted, **made, "created": iso(sandbox.now())}
