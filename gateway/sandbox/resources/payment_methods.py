"""Payment methods, made from test numbers and test tokens. https://docs.stripe.com/api/payment_methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import payment_methods
from gateway.sandbox.core.errors import parameter_missing, resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("payment_method", "pm", "PaymentMethod", path="payment_method")


@route("POST", "/v1/payment_methods", params="PaymentMethodCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Create a payment method from a card number, a token or an account number."""
    return payment_methods.create(sandbox, request.params)


@route("GET", "/v1/payment_methods", params="PaymentMethodListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List payment methods, usually those of a customer."""
    return page(sandbox, request, "payment_method", lambda method: method["customer"] is not None)


@route("GET", "/v1/customers/{customer}/payment_methods", params="CustomerPaymentMethodListParams")
def of_customer(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """List a customer's payment methods."""
    sandbox.need("customer", customer)
    return page(sandbox, request, "payment_method", customer=customer)


@route("GET", "/v1/customers/{customer}/payment_methods/{id}")
def one_of_customer(sandbox: Sandbox, _: Request, customer: str, id: str) -> Obj:
    """Retrieve a payment method of a customer."""
    method = sandbox.need("payment_method", id)
    if method["customer"] != customer:
        raise resource_missing("PaymentMethod", id)
    return method


@route("GET", "/v1/payment_methods/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a payment method; a test token answers a new one, as at Stripe."""
    return payment_methods.resolve(sandbox, id, "id")


@route("POST", "/v1/payment_methods/{id}", params="PaymentMethodUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change billing details, expiry or metadata."""
    return sandbox.update(merge(sandbox.need("payment_method", id), request.params), "payment_method.updated")


@route("POST", "/v1/payment_methods/{id}/attach", params="PaymentMethodAttachParams")
def attach_to(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Attach a payment method (or what a test token stands for) to a customer."""
    if "customer" not in request.params:
        raise parameter_missing("customer")
    return payment_methods.attach(sandbox, payment_methods.resolve(sandbox, id, "id"), request.params["customer"])


@route("POST", "/v1/payment_methods/{id}/detach")
def detach_from(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Detach a payment method; it can never be used again."""
    return payment_methods.detach(sandbox, sandbox.need("payment_method", id))
