"""Alerts: told when a customer's usage of a meter reaches a threshold, once each.

Source: https://docs.stripe.com/api/billing/alert and docs.stripe.com/billing/subscriptions/usage-based/alerts
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("billing.alert", "alrt", "alert", path="alert")


@route("POST", "/v1/billing/alerts", params="billing.AlertCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create an alert; it is active at once."""
    params = request.params
    threshold = params.get("usage_threshold")
    if not threshold:
        raise parameter_missing("usage_threshold")
    if "meter" not in threshold:
        raise parameter_missing("usage_threshold[meter]")
    sandbox.need("billing.meter", threshold["meter"], "usage_threshold[meter]")
    filters = [{"type": "customer", **each} for each in threshold.get("filters", [])]
    shown: Obj = {"object": "billing.alert", "alert_type": params["alert_type"], "title": params["title"]}
    usage: Obj = {"recurrence": "one_time", **threshold, "filters": filters}
    return sandbox.create(shown | {"status": "active", "usage_threshold": usage, "_told": []})


@route("GET", "/v1/billing/alerts", params="billing.AlertListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List alerts, by meter if asked for."""
    meter = request.params.get("meter")
    return page(
        sandbox, request, "billing.alert", lambda alert: meter in (None, alert["usage_threshold"]["meter"]), meter=None
    )


@route("GET", "/v1/billing/alerts/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an alert."""
    return sandbox.need("billing.alert", id)


@route("POST", "/v1/billing/alerts/{id}/activate")
def activate(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Let an inactive alert tell again."""
    return _change(sandbox, id, "active", ("inactive",))


@route("POST", "/v1/billing/alerts/{id}/deactivate")
def deactivate(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Let an alert tell nothing for a while."""
    return _change(sandbox, id, "inactive", ("active",))


@route("POST", "/v1/billing/alerts/{id}/archive")
def archive(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Let an alert tell nothing any more."""
    return _change(sandbox, id, "archived", ("active", "inactive"))


def _change(sandbox: Sandbox, id: str, status: str, allowed: tuple[str, ...]) -> Obj:
    alert = sandbox.need("billing.alert", id)
    if alert["status"] not in allowed:
        raise invalid(f"This alert cannot become {status} because it is {alert['status']}.")
    return sandbox.update(alert | {"status": status})
