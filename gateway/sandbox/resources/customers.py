"""Customers. https://docs.stripe.com/api/customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import customers, sources, subscriptions
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.registry import expandable, kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("customer", "cus", deleted_stays=True)


_LEGACY = ("coupon", "promotion_code")


@route("POST", "/v1/customers", params="CustomerCreateParams", legacy=_LEGACY, older=sources.card_as_source)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a customer."""
    return customers.create(sandbox, request.params)


@route("GET", "/v1/customers", params="CustomerListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List customers; those of a test clock only when it is asked for."""
    clock = request.params.get("test_clock")
    return page(sandbox, request, "customer", lambda customer: customer["test_clock"] == clock)


@route("GET", "/v1/customers/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a customer; a deleted one answers `deleted: true`."""
    return sandbox.need("customer", id)


@route("POST", "/v1/customers/{id}", params="CustomerUpdateParams", legacy=_LEGACY, older=sources.card_as_source)
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a customer."""
    return customers.update(sandbox, id, request.params)


@route("DELETE", "/v1/customers/{id}")
def delete(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a customer for good; the subscriptions end at once."""
    for subscription in sandbox.store.find("subscription", customer=id):
        if subscription["status"] not in subscriptions.FINAL:
            subscriptions.end(sandbox, subscription)
    return sandbox.remove(sandbox.need("customer", id), "customer.deleted")


@route("DELETE", "/v1/customers/{id}/discount")
def delete_discount(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Take the discount off a customer."""
    discount = customers.take_discount(sandbox, sandbox.need("customer", id))
    if not discount:
        raise invalid("This customer does not have a discount.", "id", "resource_missing")
    return {**discount, "deleted": True}


@expandable("customer", "tax")
def tax(_: Sandbox, customer: Obj) -> Obj:
    """Return what Stripe Tax knows of a customer's place; the account has no tax registrations.

    Recorded for a customer without an address: `unrecognized_location`, and all else null.
    """
    address = customer["address"] or {}
    country = address.get("country")
    place = {"country": country, "source": "billing_address", "state": address.get("state")} if country else None
    return {
        "automatic_tax": "not_collecting" if country else "unrecognized_location",
        "ip_address": (customer.get("tax") or {}).get("ip_address") or None,
        "location": place,
        "provider": "stripe",
    }


@expandable("customer", "invoice_credit_balance")
def invoice_credit_balance(_: Sandbox, customer: Obj) -> Obj:
    """Return what a customer has to his credit by currency; empty (recorded) without a balance."""
    return {customer["currency"]: customer["balance"]} if customer["balance"] else {}
