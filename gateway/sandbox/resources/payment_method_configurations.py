"""Configurations of payment methods; an account begins with one, which has cards.

They are kept and shown; which payment methods an intent or a checkout has is up to its own parameters.

Source: https://docs.stripe.com/api/payment_method_configurations
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page, page_of
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing.payment_methods import CONFIGURATION
from gateway.sandbox.core.registry import kind
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

_KIND = "payment_method_configuration"
kind(_KIND, "pmc", "payment method configuration", path="configuration")


@route("POST", "/v1/payment_method_configurations", params="PaymentMethodConfigurationCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Make another configuration."""
    blank: Obj = {"object": _KIND, "active": True, "card": _preferred("on"), "is_default": False, "name": "Custom"}
    return sandbox.create(_merged(blank, request.params))


@route("GET", "/v1/payment_method_configurations", params="PaymentMethodConfigurationListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List configurations, the default one last."""
    if sandbox.store.get(_KIND, CONFIGURATION["id"]):
        return page(sandbox, request, _KIND, application=None)
    return page_of(request, [*sandbox.store.find(_KIND), _default()])


@route("GET", "/v1/payment_method_configurations/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a configuration."""
    found = sandbox.store.get(_KIND, id)
    return _default() if found is None and id == CONFIGURATION["id"] else sandbox.need(_KIND, id)


@route("POST", "/v1/payment_method_configurations/{id}", params="PaymentMethodConfigurationUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Switch payment methods on or off."""
    return sandbox.store.put(complete(_merged(retrieve(sandbox, request, id), request.params)))


def _default() -> Obj:
    return complete(
        {
            "id": CONFIGURATION["id"],
            "object": _KIND,
            "active": True,
            "card": _preferred("on"),
            "is_default": True,
            "name": "Default",
        }
    )


def _merged(configuration: Obj, params: Obj) -> Obj:
    """Return a configuration with parameters applied: each payment method's is a hash with its preference."""
    merged = dict(configuration)
    for name, given in params.items():
        if isinstance(given, dict):
            preference = (given.get("display_preference") or {}).get("preference", "none")
            merged[name] = _preferred(preference)
        else:
            merged[name] = given
    return merged


def _preferred(preference: str) -> Obj:
    value = "on" if preference == "on" else "off"
    return {
        "available": value == "on",
        "display_preference": {"overridable": None, "preference": preference, "value": value},
    }
