"""Charges. https://docs.stripe.com/api/charges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import direct_charges, limits, payment_methods, payments, refunds, sources
from gateway.sandbox.core.errors import parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import expandable, kind
from gateway.sandbox.core.templates import envelope

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("charge", "ch", also=("py",))
_FIELDS = ("description", "metadata", "receipt_email", "shipping", "statement_descriptor")


@route("POST", "/v1/charges", params="ChargeCreateParams", older=sources.card_as_source)
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Charge a token or a customer's default at once (the call that payment intents replaced)."""
    params = request.params
    for name in ("amount", "currency"):
        if name not in params:
            raise parameter_missing(name)
    limits.check_charge(params["amount"], params["currency"].lower())
    customer = sandbox.need("customer", params["customer"], "customer") if "customer" in params else {}
    settings = customer.get("invoice_settings") or {}
    source = params.get("source") or settings.get("default_payment_method") or customer.get("default_source")
    if not source:
        raise parameter_missing("source")
    method = payment_methods.resolve(sandbox, source, "source")
    order: Obj = {
        "amount": params["amount"],
        "currency": params["currency"].lower(),
        "customer": customer.get("id"),
        "capture_method": "manual" if params.get("capture") is False else "automatic",
        **merge({"description": None, "metadata": {}}, params, *_FIELDS),
    }
    return direct_charges.charge(sandbox, order, method)


@route("GET", "/v1/charges", params="ChargeListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List charges."""
    return page(sandbox, request, "charge")


@route("GET", "/v1/charges/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a charge."""
    return sandbox.need("charge", id)


@route("POST", "/v1/charges/{id}", params="ChargeUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a charge's notes."""
    return sandbox.update(merge(sandbox.need("charge", id), request.params), "charge.updated")


@route("POST", "/v1/charges/{id}/capture", params="ChargeCaptureParams")
def capture(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Take the authorised money."""
    charge = sandbox.need("charge", id)
    if charge["payment_intent"] is None:
        return direct_charges.capture(sandbox, charge, request.params.get("amount"))
    intent = sandbox.need("payment_intent", charge["payment_intent"])
    payments.capture(sandbox, intent, request.params.get("amount"))
    return sandbox.need("charge", id)


@route("POST", "/v1/charges/{id}/refund", params="*")
def refund(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Refund a charge (the older form of `POST /v1/refunds`, which the Stripe CLI uses)."""
    amount = request.params.get("amount")
    refunds.make(sandbox, sandbox.need("charge", id), int(amount) if amount else None)
    return sandbox.need("charge", id)


@expandable("charge", "refunds")
def _refunds(sandbox: Sandbox, charge: Obj) -> Obj:
    found = sandbox.store.find("refund", charge=charge["id"])
    return envelope(f"/v1/charges/{charge['id']}/refunds", found)
