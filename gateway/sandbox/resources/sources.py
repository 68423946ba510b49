"""Card tokens and saved cards: the API before payment methods, which the Stripe CLI still uses.

Source: https://docs.stripe.com/api/tokens and https://docs.stripe.com/api/cards. A saved card is kept as the payment
method that it also is, under its `card_…` id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import payment_methods, sources
from gateway.sandbox.core.errors import parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("token", "tok", "token")


@route("POST", "/v1/tokens", params="TokenCreateParams")
def tokenize(sandbox: Sandbox, request: Request) -> Obj:
    """Make a single-use token of a card number."""
    given: Any = request.params.get("card")
    if not isinstance(given, dict):
        raise parameter_missing("card")
    details = payment_methods.card_details(given, sandbox.now())
    card = sources.card_of({"id": sandbox.new_id("card"), "customer": None, "billing_details": {}, **details})
    card["networks"] = {"preferred": None}
    token = {"object": "token", "card": card, "type": "card", "used": False, "_details": details}
    return sandbox.create(token)


@route("GET", "/v1/tokens/{id}")
def token(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a token."""
    return sandbox.need("token", id)


@route(
    "POST",
    "/v1/customers/{customer}/sources",
    params="CustomerPaymentSourceCreateParams",
    older=sources.card_as_source,
)
def create(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """Save a card token to a customer."""
    sandbox.need("customer", customer)
    return sources.card_of(sources.save(sandbox, customer, request.params["source"]))


@route("GET", "/v1/customers/{customer}/sources", params="CustomerPaymentSourceListParams")
def index(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """List a customer's saved cards."""
    sandbox.need("customer", customer)
    found = page(sandbox, request, "payment_method", sources.is_source, customer=customer, object=None)
    return {**found, "data": [sources.card_of(each) for each in found["data"]]}


@route("GET", "/v1/customers/{customer}/sources/{id}")
def retrieve(sandbox: Sandbox, _: Request, customer: str, id: str) -> Obj:
    """Retrieve a saved card."""
    return sources.card_of(sources.saved(sandbox, customer, id))


@route("POST", "/v1/customers/{customer}/sources/{id}", params="CustomerPaymentSourceUpdateParams")
def update(sandbox: Sandbox, request: Request, customer: str, id: str) -> Obj:
    """Change a saved card's holder, expiry or metadata."""
    before = sources.saved(sandbox, customer, id)
    method = merge(before, request.params, "metadata")
    expiry: Obj = {name: int(request.params[name]) for name in ("exp_month", "exp_year") if name in request.params}
    method["card"] = merge(method["card"], expiry)
    address = {
        name.removeprefix("address_"): value for name, value in request.params.items() if name.startswith("address_")
    }
    method["billing_details"] = merge(
        method["billing_details"], {"address": address, **request.params}, "address", "name"
    )
    sandbox.store.put(method)
    sandbox.emit("customer.source.updated", sources.card_of(method), sources.card_of(before))
    return sources.card_of(method)


@route("DELETE", "/v1/customers/{customer}/sources/{id}")
def delete(sandbox: Sandbox, _: Request, customer: str, id: str) -> Obj:
    """Forget a saved card."""
    card = sources.card_of(sources.saved(sandbox, customer, id))
    sandbox.store.delete("payment_method", id)
    sandbox.emit("customer.source.deleted", card)
    owner = sandbox.need("customer", customer)
    if owner["default_source"] == id:
        sandbox.update({**owner, "default_source": None}, "customer.updated")
    return {"id": id, "object": "card", "deleted": True}


@expandable("customer", "sources")
def of_customer(sandbox: Sandbox, customer: Obj) -> Obj:
    """Return the list that `expand[]=sources` shows."""
    methods = sandbox.store.find("payment_method", customer=customer["id"])
    cards = [sources.card_of(each) for each in methods if sources.is_source(each)]
    return envelope(f"/v1/customers/{customer['id']}/sources", cards)


@expandable("customer", "default_source")
def default_of_customer(sandbox: Sandbox, customer: Obj) -> Obj | None:
    """Return the card that `expand[]=default_source` shows."""
    method = sandbox.store.get("payment_method", customer["default_source"] or "")
    return method and sources.card_of(method)
