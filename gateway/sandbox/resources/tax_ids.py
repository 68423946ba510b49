"""Customers' tax ids. https://docs.stripe.com/api/tax_ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import envelope, page
from gateway.sandbox.api.routing import Request, expandable, kind, route
from gateway.sandbox.core.errors import resource_missing

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj
    from gateway.sandbox.instance import Sandbox

kind("tax_id", "txi", "tax id")

# Types that Stripe checks with an authority; the outcome comes later, which a sandbox has no authority for.
_CHECKED = ("eu_vat", "gb_vat", "au_abn")


@route("POST", "/v1/customers/{customer}/tax_ids", params="CustomerTaxIdCreateParams")
def create(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """Add a tax id to a customer."""
    sandbox.need("customer", customer)
    return make(sandbox, customer, request.params["type"], request.params["value"])


@route("GET", "/v1/customers/{customer}/tax_ids", params="CustomerTaxIdListParams")
def index(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """List a customer's tax ids."""
    sandbox.need("customer", customer)
    return page(sandbox, request, "tax_id", customer=customer)


@route("GET", "/v1/customers/{customer}/tax_ids/{id}")
def retrieve(sandbox: Sandbox, _: Request, customer: str, id: str) -> Obj:
    """Retrieve a tax id."""
    found = sandbox.need("tax_id", id)
    if found["customer"] != customer:
        raise resource_missing("tax id", id)
    return found


@route("DELETE", "/v1/customers/{customer}/tax_ids/{id}")
def delete(sandbox: Sandbox, request: Request, customer: str, id: str) -> Obj:
    """Delete a tax id."""
    return sandbox.remove(retrieve(sandbox, request, customer, id), "customer.tax_id.deleted")


@expandable("customer", "tax_ids")
def of_customer(sandbox: Sandbox, customer: Obj) -> Obj:
    """The list that `expand[]=tax_ids` shows."""
    return envelope(f"/v1/customers/{customer['id']}/tax_ids", sandbox.store.find("tax_id", customer=customer["id"]))


def make(sandbox: Sandbox, customer_id: str, type: str, value: str) -> Obj:
    """Create a tax id of a customer."""
    country = type.split("_", maxsplit=1)[0].upper()
    tax_id = {
        "object": "tax_id",
        "country": value[:2].upper() if type == "eu_vat" else country,
        "customer": customer_id,
        "owner": {"customer": customer_id, "type": "customer"},
        "type": type,
        "value": value,
        "verification": {"status": "pending" if type in _CHECKED else "unavailable"},
    }
    return sandbox.create(tax_id, "customer.tax_id.created")
