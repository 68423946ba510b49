"""The customer portal's configurations and sessions. https://docs.stripe.com/api/customer_portal/sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("billing_portal.configuration", "bpc", "configuration")
kind("billing_portal.session", "bps", "session")

_REASONS = [
    *("too_expensive", "missing_features", "switched_service", "unused"),
    *("customer_service", "too_complex", "low_quality", "other"),
]
_FEATURES: dict[str, dict[str, object]] = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": _REASONS},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {"duration": {"interval_options": [], "type": "indefinite"}, "enabled": False},
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


@route("POST", "/v1/billing_portal/configurations", params="billing_portal.ConfigurationCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a configuration: what customers may do in the portal."""
    return _make(sandbox, request.params, default=False)


@route("GET", "/v1/billing_portal/configurations", params="billing_portal.ConfigurationListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List configurations."""
    return page(sandbox, request, "billing_portal.configuration")


@route("GET", "/v1/billing_portal/configurations/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a configuration."""
    return sandbox.need("billing_portal.configuration", id)


@route("POST", "/v1/billing_portal/configurations/{id}", params="billing_portal.ConfigurationUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a configuration."""
    changed = merge(sandbox.need("billing_portal.configuration", id), request.params)
    return sandbox.update({**changed, "updated": sandbox.now()}, "billing_portal.configuration.updated")


@route("POST", "/v1/billing_portal/sessions", params="billing_portal.SessionCreateParams")
def open_session(sandbox: Sandbox, request: Request) -> Obj:
    """Open the portal for a customer."""
    params = request.params
    if not params.get("customer"):
        raise parameter_missing("customer")
    sandbox.need("customer", params["customer"], "customer")
    if "configuration" in params:
        configuration = sandbox.need("billing_portal.configuration", params["configuration"], "configuration")
    else:
        configuration = default_configuration(sandbox)
    session_id = sandbox.new_id("bps")
    session = {
        "id": session_id,
        "object": "billing_portal.session",
        "configuration": configuration["id"],
        "flow": _flow(params.get("flow_data")),
        "return_url": params.get("return_url") or configuration["default_return_url"],
        "url": f"{request.base_url}/p/session/{session_id}",
    }
    return sandbox.create(
        merge(session, params, "customer", "locale", "on_behalf_of"), "billing_portal.session.created"
    )


def default_configuration(sandbox: Sandbox) -> Obj:
    """Return the configuration that sessions have unless they name one: everything allowed, made on first use.

    At Stripe one saves it once in the dashboard.
    """
    found = sandbox.store.first("billing_portal.configuration", is_default=True)
    if found:
        return found
    prices: dict[str, list[str]] = {}
    for price in reversed(sandbox.store.find("price", type="recurring", active=True)):
        prices.setdefault(price["product"], []).append(price["id"])
    features = {
        "customer_update": {
            "allowed_updates": ["email", "name", "address", "phone", "tax_id"],
            "enabled": True,
        },
        "invoice_history": {"enabled": True},
        "payment_method_update": {"enabled": True},
        "subscription_cancel": {"enabled": True, "cancellation_reason": {"enabled": True}},
        "subscription_update": {
            "enabled": True,
            "default_allowed_updates": ["price", "quantity", "promotion_code"],
            "products": [{"product": product, "prices": ids} for product, ids in prices.items()],
            "proration_behavior": "create_prorations",
        },
    }
    return _make(sandbox, {"features": features}, default=True)


def _make(sandbox: Sandbox, params: Obj, *, default: bool) -> Obj:
    configuration = {
        "object": "billing_portal.configuration",
        "active": True,
        "business_profile": {},
        "features": _FEATURES,
        "is_default": default,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "updated": sandbox.now(),
    }
    made = merge(configuration, params)
    for product in made["features"]["subscription_update"].get("products") or []:
        product.setdefault("adjustable_quantity", {"enabled": False, "maximum": None, "minimum": 1})
    return sandbox.create(made, "billing_portal.configuration.created")


def _flow(given: Obj | None) -> Obj | None:
    if not given:
        return None
    flow = {**given}
    flow["after_completion"] = {"type": "portal_homepage", **given.get("after_completion", {})}
    return flow
