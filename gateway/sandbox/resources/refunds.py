"""Refunds. https://docs.stripe.com/api/refunds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import refunds as engine
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("refund", "re")


@route("POST", "/v1/refunds", params="RefundCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Refund a charge, or the charge of a payment intent."""
    params = request.params
    if "charge" in params:
        charge = sandbox.need("charge", params["charge"], "charge")
    elif "payment_intent" in params:
        intent = sandbox.need("payment_intent", params["payment_intent"], "payment_intent")
        if not intent["latest_charge"]:
            raise invalid(
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", "payment_intent"
            )
        charge = sandbox.need("charge", intent["latest_charge"])
    else:
        raise parameter_missing("payment_intent")
    return engine.make(
        sandbox, charge, params.get("amount"), reason=params.get("reason"), metadata=params.get("metadata")
    )


@route("GET", "/v1/refunds", params="RefundListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List refunds."""
    return page(sandbox, request, "refund")


@route("GET", "/v1/refunds/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a refund."""
    return sandbox.need("refund", id)


@route("POST", "/v1/refunds/{id}", params="RefundUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change a refund's metadata."""
    return engine.save(sandbox, merge(sandbox.need("refund", id), request.params, "metadata"), "refund.updated")


@route("POST", "/v1/refunds/{id}/cancel")
def cancel(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Cancel a refund that is still pending."""
    refund = sandbox.need("refund", id)
    if refund["status"] not in ("pending", "requires_action"):
        raise invalid(f"A refund with status {refund['status']} cannot be canceled.")
    refund.pop("pending_reason", None)
    sandbox.clock.cancel("refund.pending", refund)
    engine.give_back(sandbox, refund)
    return engine.save(sandbox, refund | {"status": "canceled"}, "refund.updated")


@route("POST", "/v1/test_helpers/refunds/{id}/expire")
def expire(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Let a refund expire that waits for the customer, as those of bank transfers do."""
    refund = sandbox.need("refund", id)
    if refund["status"] != "requires_action":
        raise invalid(f"A refund with status {refund['status']} cannot be expired: it must be requires_action.")
    engine.give_back(sandbox, refund)
    failed = refund | {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    return engine.save(sandbox, failed, "refund.failed")
