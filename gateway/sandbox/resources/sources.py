"""Card tokens and saved cards: the API before payment methods, which the Stripe CLI still uses.

Source: https://docs.stripe.com/api/tokens and https://docs.stripe.com/api/cards. A saved card is kept as the payment
method that it also is, under its `card_…` id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.api.lists import envelope, page
from gateway.sandbox.api.routing import Request, expandable, kind, route
from gateway.sandbox.core.errors import invalid, parameter_missing, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.templates import complete
from gateway.sandbox.resources import payment_methods

if TYPE_CHECKING:
    from gateway.sandbox.core.store import Obj
    from gateway.sandbox.instance import Sandbox

kind("token", "tok", "token")


@route("POST", "/v1/tokens", params="TokenCreateParams")
def tokenize(sandbox: Sandbox, request: Request) -> Obj:
    """Make a single-use token of a card number."""
    given: Any = request.params.get("card")
    if not isinstance(given, dict):
        raise parameter_missing("card")
    details = payment_methods.card_details(given, sandbox.now())
    card = card_of({"id": sandbox.new_id("card"), "customer": None, "billing_details": {}, **details})
    token = {"object": "token", "card": card, "type": "card", "used": False, "_details": details}
    return sandbox.create(token)


@route("GET", "/v1/tokens/{id}")
def token(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a token."""
    return sandbox.need("token", id)


@route("POST", "/v1/customers/{customer}/sources", params="CustomerPaymentSourceCreateParams")
def create(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """Save a card token to a customer."""
    sandbox.need("customer", customer)
    return card_of(save(sandbox, customer, request.params["source"]))


@route("GET", "/v1/customers/{customer}/sources", params="CustomerPaymentSourceListParams")
def index(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """List a customer's saved cards."""
    sandbox.need("customer", customer)
    found = page(sandbox, request, "payment_method", _is_source, customer=customer, object=None)
    return {**found, "data": [card_of(each) for each in found["data"]]}


@route("GET", "/v1/customers/{customer}/sources/{id}")
def retrieve(sandbox: Sandbox, _: Request, customer: str, id: str) -> Obj:
    """Retrieve a saved card."""
    return card_of(_saved(sandbox, customer, id))


@route("POST", "/v1/customers/{customer}/sources/{id}", params="CustomerPaymentSourceUpdateParams")
def update(sandbox: Sandbox, request: Request, customer: str, id: str) -> Obj:
    """Change a saved card's holder, expiry or metadata."""
    before = _saved(sandbox, customer, id)
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
    sandbox.emit("customer.source.updated", card_of(method), card_of(before))
    return card_of(method)


@route("DELETE", "/v1/customers/{customer}/sources/{id}")
def delete(sandbox: Sandbox, _: Request, customer: str, id: str) -> Obj:
    """Forget a saved card."""
    card = card_of(_saved(sandbox, customer, id))
    sandbox.store.delete("payment_method", id)
    sandbox.emit("customer.source.deleted", card)
    owner = sandbox.need("customer", customer)
    if owner["default_source"] == id:
        sandbox.update({**owner, "default_source": None}, "customer.updated")
    return {"id": id, "object": "card", "deleted": True}


@expandable("customer", "sources")
def of_customer(sandbox: Sandbox, customer: Obj) -> Obj:
    """The list that `expand[]=sources` shows."""
    methods = sandbox.store.find("payment_method", customer=customer["id"])
    cards = [card_of(each) for each in methods if _is_source(each)]
    return envelope(f"/v1/customers/{customer['id']}/sources", cards)


@expandable("customer", "default_source")
def default_of_customer(sandbox: Sandbox, customer: Obj) -> Obj | None:
    """The card that `expand[]=default_source` shows."""
    method = sandbox.store.get("payment_method", customer["default_source"] or "")
    return method and card_of(method)


def save(sandbox: Sandbox, customer_id: str, source: str) -> Obj:
    """Save what a token stands for as a card of a customer, the default if it is the first."""
    if source.startswith("pm_"):
        raise invalid("A PaymentMethod cannot be used as a source.", "source")
    method = payment_methods.resolve(sandbox, source, "source")
    sandbox.store.delete("payment_method", method["id"])
    method["id"] = sandbox.new_id("card")
    sandbox.store.put(method)
    method = payment_methods.attach(sandbox, method, customer_id)
    sandbox.emit("customer.source.created", card_of(method))
    customer = sandbox.need("customer", customer_id)
    if customer["default_source"] is None:
        sandbox.update({**customer, "default_source": method["id"]}, "customer.updated")
    return method


def card_of(method: Obj) -> Obj:
    """The card object that shows the same thing as a payment method."""
    card = method["card"]
    same = ("country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "regulated_status")
    return complete(
        {
            "id": method["id"],
            "object": "card",
            **{name: card[name] for name in same},
            "brand": card["brand"].capitalize(),
            "customer": method["customer"],
            "cvc_check": (card["checks"] or {}).get("cvc_check"),
            "metadata": method.get("metadata", {}),
            "name": method["billing_details"].get("name"),
        }
    )


def _is_source(method: Obj) -> bool:
    return bool(method["id"].startswith("card_"))


def _saved(sandbox: Sandbox, customer: str, id: str) -> Obj:
    method = sandbox.store.get("payment_method", id)
    if method is None or method["customer"] != customer:
        raise resource_missing("source", id)
    return method
