"""Invoice payments: which payment intent pays which invoice. https://docs.stripe.com/api/invoice-payment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.core.registry import hidden, kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("invoice_payment", "inpay", "invoice payment")
hidden("invoice_payment", "customer")  # whose clock it lives on


@route("GET", "/v1/invoice_payments", params="InvoicePaymentListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List invoice payments, of an invoice or of a payment intent."""
    return page(sandbox, request, "invoice_payment")


@route("GET", "/v1/invoice_payments/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve an invoice payment."""
    return sandbox.need("invoice_payment", id)
