"""Customer sessions: a short-lived right for a page to act for a customer. https://docs.stripe.com/api/customer_sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route
from gateway.sandbox.core.errors import parameter_missing
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_LIFETIME = 30 * 60
_WITH_FEATURES = (
    "customer_sheet",
    "mobile_payment_element",
    "payment_element",
)


@route("POST", "/v1/customer_sessions", params="CustomerSessionCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a customer session."""
    if not request.params.get("customer"):
        raise parameter_missing("customer")
    customer = sandbox.need("customer", request.params["customer"], "customer")
    given = request.params["components"]
    components = {
        name: {
            "enabled": False,
            **({"features": None} if name in _WITH_FEATURES else {}),
            **given.get(name, {}),
        }
        for name in (*_WITH_FEATURES, "active_entitlements", "buy_button", "customer_portal", "pricing_table")
    }
    return complete(
        {
            "object": "customer_session",
            "client_secret": sandbox.new_id("cuss_secret"),
            "components": components,
            "created": sandbox.now(),
            "customer": customer["id"],
            "expires_at": sandbox.now() + _LIFETIME,
        }
    )
