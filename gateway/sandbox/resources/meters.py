"""Billing meters and the usage they count. https://docs.stripe.com/api/billing/meter.

Meter events have no id of their own at Stripe; they are stored under their identifier.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page, page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import usage, usage_alerts
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind
from gateway.sandbox.core.templates import complete
from gateway.sandbox.events.thin import iso

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("billing.meter", "mtr", "meter")
kind("billing.meter_event_summary", "mtrusg", "meter event summary")
kind("billing.meter_event", "mtrevt", "meter event")

_HOUR = 3600
_WINDOWS = {"hour": _HOUR, "day": 24 * _HOUR}
_CANCELLABLE = 24 * _HOUR
_PAST, _FUTURE = 35 * 24 * _HOUR, 300


@route("POST", "/v1/billing/meters", params="billing.MeterCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a meter; no two active ones may listen to the same event name."""
    if _active(sandbox, request.params["event_name"]):
        name = request.params["event_name"]
        raise invalid(f"An active meter with event name '{name}' already exists.", "event_name")
    meter = {
        "object": "billing.meter",
        "customer_mapping": {"event_payload_key": "stripe_customer_id", "type": "by_id"},
        "status": "active",
        "status_transitions": {},
        "updated": sandbox.now(),
        "value_settings": {"event_payload_key": "value"},
    }
    return sandbox.create(merge(meter, request.params), "billing.meter.created")


@route("GET", "/v1/billing/meters", params="billing.MeterListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List meters."""
    return page(sandbox, request, "billing.meter")


@route("GET", "/v1/billing/meters/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a meter."""
    return sandbox.need("billing.meter", id)


@route("POST", "/v1/billing/meters/{id}", params="billing.MeterUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Rename a meter."""
    meter = merge(sandbox.need("billing.meter", id), request.params)
    return sandbox.update({**meter, "updated": sandbox.now()}, "billing.meter.updated")


@route("POST", "/v1/billing/meters/{id}/deactivate")
def deactivate(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Stop counting."""
    now = sandbox.now()
    meter = {**sandbox.need("billing.meter", id), "status": "inactive", "updated": now}
    meter["status_transitions"] = {"deactivated_at": now}
    return sandbox.update(meter, "billing.meter.deactivated")


@route("POST", "/v1/billing/meters/{id}/reactivate")
def reactivate(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Count again."""
    meter = {**sandbox.need("billing.meter", id), "status": "active", "updated": sandbox.now()}
    meter["status_transitions"] = {"deactivated_at": None}
    return sandbox.update(meter, "billing.meter.reactivated")


@route("POST", "/v1/billing/meter_events", params="billing.MeterEventCreateParams")
def record(sandbox: Sandbox, request: Request) -> Obj:
    """Count usage for a customer.

    The value must be a number. The time may lie up to 35 days back and five minutes ahead
    (https://docs.stripe.com/api/billing/meter-event/create).
    """
    params = request.params
    meter = _active(sandbox, params["event_name"])
    if meter is None:
        raise invalid(f"No active meter found for event name '{params['event_name']}'.", "event_name")
    customer = params["payload"].get(meter["customer_mapping"]["event_payload_key"])
    if not customer:
        raise invalid(f"The payload lacks '{meter['customer_mapping']['event_payload_key']}'.", "payload")
    owner = sandbox.need("customer", customer, "payload[stripe_customer_id]")
    _check_value(meter, params["payload"])
    identifier = params.get("identifier") or sandbox.new_id("mtrevt")
    if sandbox.store.get("billing.meter_event", identifier):
        raise invalid(f"An event already exists with identifier {identifier}.", "identifier", "resource_already_exists")
    now = sandbox.now(owner)
    moment = params.get("timestamp", now)
    if not now - _PAST <= moment <= now + _FUTURE:
        raise invalid("The timestamp must be within the past 35 days or up to 5 minutes in the future.", "timestamp")
    event = {
        "object": "billing.meter_event",
        "id": identifier,
        "created": now,
        "event_name": meter["event_name"],
        "identifier": identifier,
        "payload": params["payload"],
        "timestamp": moment,
        "_customer": customer,
    }
    sandbox.create(event)
    usage_alerts.usage_counted(sandbox, meter, customer)
    del event["id"]
    return complete(event)


@route("POST", "/v2/billing/meter_events", params="v2.billing.MeterEventCreateParams")
def record_v2(sandbox: Sandbox, request: Request) -> Obj:
    """Count usage through the v2 API, which writes times as text."""
    params = dict(request.params)
    if "timestamp" in params:
        params["timestamp"] = int(datetime.fromisoformat(params["timestamp"]).timestamp())
    event = record(sandbox, replace(request, params=params))
    times = {name: iso(event[name]) for name in ("created", "timestamp")}
    return {**event, **times, "object": "v2.billing.meter_event"}


@route("POST", "/v1/billing/meter_event_adjustments", params="billing.MeterEventAdjustmentCreateParams")
def adjust(sandbox: Sandbox, request: Request) -> Obj:
    """Cancel a meter event of the last 24 hours."""
    identifier = request.params.get("cancel", {}).get("identifier", "")
    event = sandbox.need("billing.meter_event", identifier, "cancel[identifier]")
    if sandbox.now(event["_customer"]) - event["created"] > _CANCELLABLE:
        raise invalid("Meter events can be canceled within 24 hours of being received.", "cancel[identifier]")
    sandbox.store.put({**event, "_canceled": True})
    adjustment = {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": request.params["event_name"],
        "status": "complete",
        "type": "cancel",
    }
    return complete(adjustment)


@route("GET", "/v1/billing/meters/{id}/event_summaries", params="billing.MeterEventSummaryListParams")
def summaries(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Sum a customer's usage over a time, as a whole or in windows of an hour or a day."""
    meter = sandbox.need("billing.meter", id)
    params = request.params
    start, end = params["start_time"], params["end_time"]
    window = _WINDOWS.get(params.get("value_grouping_window", ""), max(end - start, 1))
    for name in ("start_time", "end_time"):
        if params[name] % 60 or ("value_grouping_window" in params and params[name] % window):
            raise invalid(f"{name} must be aligned with minute boundaries, or those of the window.", name)
    found = [
        complete(
            {
                "id": f"mtrusg_test_{id[4:]}{moment}",
                "object": "billing.meter_event_summary",
                "aggregated_value": float(
                    usage.total(sandbox, meter, params["customer"], (moment, min(moment + window, end)))
                ),
                "end_time": min(moment + window, end),
                "meter": id,
                "start_time": moment,
            }
        )
        for moment in range(start, end, window)
    ]
    return page_of(request, found[::-1])


def _active(sandbox: Sandbox, event_name: str) -> Obj | None:
    return sandbox.store.first("billing.meter", event_name=event_name, status="active")


def _check_value(meter: Obj, payload: dict[str, str]) -> None:
    key = meter["value_settings"]["event_payload_key"]
    if meter["default_aggregation"]["formula"] == "count" and key not in payload:
        return
    if not re.fullmatch(r"-?\d+(\.\d{1,12})?", payload.get(key, "")):
        raise invalid(f"The payload's '{key}' must be a number.", "payload")
