"""The completion of a checkout session: at once, when an invoice is paid, or days later.

Source: docs.stripe.com/checkout/fulfillment
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def intent_of(sandbox: Sandbox, session: Obj) -> Obj | None:
    """Return the payment or setup intent that an open session last tried."""
    intent_id = session.get("_intent") or ""
    return sandbox.store.get("payment_intent", intent_id) or sandbox.store.get("setup_intent", intent_id)


def promise(sandbox: Sandbox, session: Obj, intent_id: str) -> None:
    """Complete a session, unpaid, when a bank debit is on its way (or an authorisation waits for its capture)."""
    session = sandbox.need("checkout.session", session["id"])
    intent = sandbox.need("payment_intent", intent_id)
    if session["status"] == "open" and intent["status"] in ("processing", "requires_capture"):
        finish(sandbox, session, "unpaid")


def payment_settled(sandbox: Sandbox, intent: Obj) -> None:
    """Complete a session whose payment intent succeeded, or note that it failed."""
    _paid_or_not(sandbox, sandbox.need("checkout.session", intent["_owner"]), paid=intent["status"] == "succeeded")


def invoice_paid(sandbox: Sandbox, invoice: Obj) -> None:
    """Complete the sessions whose invoice is paid."""
    for session in _sessions_of(sandbox, invoice):
        _paid_or_not(sandbox, session, paid=True)


def invoice_failed(sandbox: Sandbox, invoice: Obj) -> None:
    """Note on its sessions that an invoice could not be collected."""
    for session in _sessions_of(sandbox, invoice):
        _paid_or_not(sandbox, session, paid=False)


def _sessions_of(sandbox: Sandbox, invoice: Obj) -> list[Obj]:
    found = sandbox.store.find("checkout.session", invoice=invoice["id"])
    return [session for session in found if session["payment_status"] == "unpaid"]


def _paid_or_not(sandbox: Sandbox, session: Obj, *, paid: bool) -> None:
    """Complete an open session that is paid, or tell a completed one the late outcome of its payment."""
    if session["status"] == "open" and paid:
        finish(sandbox, session, "paid")
    elif session["status"] == "complete" and session["payment_status"] == "unpaid":
        outcome = "succeeded" if paid else "failed"
        session["payment_status"] = "paid" if paid else "unpaid"
        sandbox.update(session)
        sandbox.emit(f"checkout.session.async_payment_{outcome}", session)


def finish(sandbox: Sandbox, session: Obj, payment_status: str) -> None:
    """Complete a session and tell of it."""
    buyer = session["_buyer"]
    customer = sandbox.store.get("customer", session["customer"] or "") or {}
    session |= {
        "customer_details": {
            "address": buyer["address"] or {"country": "US"},
            "business_name": None,
            "email": buyer["email"] or customer.get("email"),
            "individual_name": None,
            "name": buyer["name"] or customer.get("name"),
            "phone": buyer["phone"] or customer.get("phone"),
            "tax_exempt": customer.get("tax_exempt", "none"),
            "tax_ids": [],
        },
        "payment_status": payment_status,
        "status": "complete",
        "url": None,
    }
    sandbox.clock.cancel("checkout.session.expire", session)
    session = sandbox.create(session)  # fills in the empty fields of what is new in it
    sandbox.emit("checkout.session.completed", session)


def expire_planned(sandbox: Sandbox, id: str) -> None:
    """Expire a session whose time is over, if it is still open."""
    session = sandbox.need("checkout.session", id)
    if session["status"] == "open":
        expire(sandbox, session)


def expire(sandbox: Sandbox, session: Obj) -> Obj:
    """Expire an open session and tell of it."""
    sandbox.clock.cancel("checkout.session.expire", session)
    session |= {"status": "expired", "url": None}
    sandbox.update(session)
    sandbox.emit("checkout.session.expired", session)
    return session
