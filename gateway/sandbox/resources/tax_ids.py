"""Customers' tax ids. https://docs.stripe.com/api/tax_ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import tax_ids
from gateway.sandbox.core.errors import resource_missing
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("tax_id", "txi", "tax id")


@route("POST", "/v1/customers/{customer}/tax_ids", params="CustomerTaxIdCreateParams")
def create(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """Add a tax id to a customer."""
    sandbox.need("customer", customer)
    return tax_ids.make(sandbox, customer, request.params["type"], request.params["value"])


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


@route("POST", "/v1/tax_ids", params="TaxIdCreateParams")
def create_for(sandbox: Sandbox, request: Request) -> Obj:
    """Add a tax id to its owner, a customer or (unless one is named) the account itself."""
    owner = request.params.get("owner") or {}
    customer = owner.get("customer")
    if customer:
        sandbox.need("customer", customer, "owner[customer]")
    return tax_ids.make(sandbox, customer, request.params["type"], request.params["value"])


@route("GET", "/v1/tax_ids", params="TaxIdListParams")
def index_of(sandbox: Sandbox, request: Request) -> Obj:
    """List the tax ids of an owner, of the account itself unless a customer is named."""
    customer = (request.params.get("owner") or {}).get("customer")
    return page(sandbox, request, "tax_id", lambda each: each["customer"] == customer, owner=None)


@route("GET", "/v1/tax_ids/{id}")
def retrieve_any(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a tax id, whoever has it."""
    return sandbox.need("tax_id", id)


@route("DELETE", "/v1/tax_ids/{id}")
def delete_any(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Delete a tax id, whoever has it."""
    found = sandbox.need("tax_id", id)
    return sandbox.remove(found, "customer.tax_id.deleted" if found["customer"] else None)


@expandable("customer", "tax_ids")
def of_customer(sandbox: Sandbox, customer: Obj) -> Obj:
    """Return the list that `expand[]=tax_ids` shows."""
    return envelope(f"/v1/customers/{customer['id']}/tax_ids", sandbox.store.find("tax_id", customer=customer["id"]))
