"""The one configuration of payment methods that an account begins with: cards.

Source: https://docs.stripe.com/api/payment_method_configurations
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing.payment_methods import CONFIGURATION
from gateway.sandbox.core.errors import resource_missing
from gateway.sandbox.core.registry import kind
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("payment_method_configuration", "pmc", "payment method configuration", path="configuration")


def _default() -> Obj:
    preference = {"overridable": None, "preference": "on", "value": "on"}
    return complete(
        {
            "id": CONFIGURATION["id"],
            "object": "payment_method_configuration",
            "active": True,
            "card": {"available": True, "display_preference": preference},
            "is_default": True,
            "name": "Default",
        }
    )


@route("GET", "/v1/payment_method_configurations", params="PaymentMethodConfigurationListParams")
def index(_: Sandbox, request: Request) -> Obj:
    """List the default configuration."""
    return page_of(request, [_default()])


@route("GET", "/v1/payment_method_configurations/{id}")
def retrieve(_: Sandbox, __: Request, id: str) -> Obj:
    """Retrieve the default configuration."""
    if id != CONFIGURATION["id"]:
        raise resource_missing("payment method configuration", id, "configuration", 404)
    return _default()
