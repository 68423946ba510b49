"""The hosted page as the Stripe CLI submits it: a private API without documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.sandbox.api.routing import route
from gateway.sandbox.billing.checkout import submit as checkout
from gateway.sandbox.core.errors import StripeError, invalid

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj


@route("GET", "/v1/payment_pages/{id}", params="*")
def payment_page(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Return what the CLI reads of the hosted page (private API, no documentation): the total it expects to pay."""
    session = sandbox.need("checkout.session", id)
    return {
        "id": session["id"],
        "object": "checkout.session",
        "session_id": session["id"],
        "mode": session["mode"],
        "status": session["status"],
        "line_item_group": {"currency": session["currency"], "total": session["amount_total"]},
        "total_summary": {"due": session["amount_total"], "total": session["amount_total"]},
    }


@route("POST", "/v1/payment_pages/{id}/confirm", params="*")
def confirm_page(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Submit the page, as the CLI does: `payment_method`, `expected_amount`."""
    session = sandbox.need("checkout.session", id)
    expected: Any = request.params.get("expected_amount")
    if expected not in (None, "") and int(expected) != (session["amount_total"] or 0):
        raise invalid(f"The amount is {session['amount_total']}, not {expected}.", "expected_amount")
    id_or_token = request.params.get("payment_method")
    details = (sandbox.store.get("payment_method", id_or_token or "") or {}).get("billing_details") or {}
    outcome = checkout.complete(
        sandbox, id, id_or_token, email=details.get("email"), name=details.get("name"), address=details.get("address")
    )
    if outcome.status == checkout.DECLINED:
        raise StripeError(outcome.message or "", status=402, type="card_error", code="card_declined", keep=True)
    return outcome.session
