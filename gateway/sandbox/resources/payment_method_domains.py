"""Domains that may show wallets. https://docs.stripe.com/api/payment_method_domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("payment_method_domain", "pmd", "payment method domain", path="payment_method_domain")

_WALLETS = ("amazon_pay", "apple_pay", "google_pay", "link", "paypal")


@route("POST", "/v1/payment_method_domains", params="PaymentMethodDomainCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Register a domain, active at once in test mode; one that is registered already is answered again (recorded)."""
    name = request.params["domain_name"]
    known = sandbox.store.first("payment_method_domain", domain_name=name)
    if known:
        return known
    return sandbox.create(
        {
            "object": "payment_method_domain",
            "domain_name": name,
            "enabled": request.params.get("enabled", True),
            **{wallet: {"status": "active"} for wallet in _WALLETS},
        }
    )


@route("GET", "/v1/payment_method_domains", params="PaymentMethodDomainListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List domains."""
    return page(sandbox, request, "payment_method_domain")


@route("GET", "/v1/payment_method_domains/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a domain."""
    return sandbox.need("payment_method_domain", id)


@route("POST", "/v1/payment_method_domains/{id}", params="PaymentMethodDomainUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Switch a domain on or off."""
    return sandbox.update(merge(sandbox.need("payment_method_domain", id), request.params))


@route("POST", "/v1/payment_method_domains/{id}/validate", params="PaymentMethodDomainValidateParams")
def validate(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Check a domain again; in test mode it is active as it is."""
    return sandbox.need("payment_method_domain", id)
