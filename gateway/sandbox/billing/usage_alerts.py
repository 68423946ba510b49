"""Alerts about usage: looked at whenever a meter event arrives.

Source: docs.stripe.com/billing/subscriptions/usage-based/alerts
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import usage

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def usage_counted(sandbox: Sandbox, meter: Obj, customer: str) -> None:
    """Tell of the alerts of a meter that a customer's usage reaches for the first time."""
    for alert in sandbox.store.find("billing.alert", status="active"):
        threshold = alert["usage_threshold"]
        meant = [each["customer"] for each in threshold["filters"]]
        if threshold["meter"] != meter["id"] or customer in alert["_told"] or (meant and customer not in meant):
            continue
        value = usage.total(sandbox, meter, customer, (0, sandbox.now(customer) + 1))
        if value >= threshold["gte"]:
            sandbox.update(alert | {"_told": [*alert["_told"], customer]})
            _emit(sandbox, alert, customer, float(value))


def _emit(sandbox: Sandbox, alert: Obj, customer: str, value: float) -> None:
    shown = {name: each for name, each in alert.items() if name[:1] != "_"}
    triggered: Obj = {"object": "billing.alert_triggered", "alert": shown, "customer": customer, "value": value}
    sandbox.emit("billing.alert.triggered", triggered | {"created": sandbox.now(customer), "livemode": False})
