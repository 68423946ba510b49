"""Customers. https://docs.stripe.com/api/customers."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from gateway.sandbox.errors import invalid
from gateway.sandbox.lists import page
from gateway.sandbox.merge import merge
from gateway.sandbox.routing import Request, kind, route

if TYPE_CHECKING:
    from gateway.sandbox.store import Obj
    from gateway.sandbox.world import Sandbox

kind("customer", "cus", deleted_stays=True)

_PLAIN = ["address", "business_name", "description", "email", "individual_name", "invoice_prefix", "invoice_settings", "metadata", "name", "next_invoice_sequence", "phone", "preferred_locales", "shipping", "tax", "tax_exempt"]


@route("POST", "/v1/customers", params="CustomerCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a customer."""
    params = request.params
    _check_email(params)
    if "test_clock" in params:
        sandbox.need("test_helpers.test_clock", params["test_clock"], "test_clock")
    customer = {
        "object": "customer",
        "balance": params.get("balance", 0),
        "currency": None,
        "delinquent": False,
        "invoice_prefix": sandbox.choices(string.ascii_uppercase + string.digits, 8),
        "invoice_settings": {},
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
        "test_clock": params.get("test_clock"),
    }
    return sandbox.create(merge(customer, params, *_PLAIN), "customer.created")


@route("GET", "/v1/customers", params="CustomerListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List customers; those of a test clock only when it is asked for."""
    clock = request.params.get("test_clock")
    return page(sandbox, request, "customer", lambda customer: customer["test_clock"] == clock)


@route("GET", "/v1/customers/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a customer; a deleted one answers `deleted: true`."""
    return sandbox.need("customer", id)


@route("POST", "/v1/customers/{id}", params="CustomerUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a customer."""
    _check_email(request.params)
    customer = merge(sandbox.need("customer", id), request.params, *_PLAIN)
    return sandbox.update(customer, "customer.updated")


@route("DELETE", "/v1/customers/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a customer for good."""
    return sandbox.remove(sandbox.need("customer", id), "customer.deleted")


def _check_email(params: Obj) -> None:
    email = params.get("email")
    if email and "@" not in email:
        raise invalid(f"Invalid email address: {email}", "email", "email_invalid")
