"""Early fraud warnings. https://docs.stripe.com/api/radar/early_fraud_warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("radar.early_fraud_warning", "issfr", "early fraud warning", path="early_fraud_warning")


@route("GET", "/v1/radar/early_fraud_warnings", params="radar.EarlyFraudWarningListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List warnings."""
    return page(sandbox, request, "radar.early_fraud_warning")


@route("GET", "/v1/radar/early_fraud_warnings/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a warning."""
    return sandbox.need("radar.early_fraud_warning", id)
