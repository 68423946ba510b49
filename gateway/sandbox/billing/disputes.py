"""Disputes: the bank of a test card claims a payment back, and decides.

Sources: docs.stripe.com/disputes, docs.stripe.com/testing#disputes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import ledger
from gateway.sandbox.core import cards, money
from gateway.sandbox.core.objects import clock_of
from gateway.sandbox.core.periods import DAY

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

EVIDENCE_DAYS = 9


def open_if_disputed(sandbox: Sandbox, charge: Obj) -> None:
    """Have a succeeded charge disputed at once if its payment method is one that does so, once or for parts of it."""
    behaviour = cards.behaviour_of(sandbox.need("payment_method", charge["payment_method"]))
    if behaviour.dispute:
        for amount in money.distributed(charge["amount"], [1] * behaviour.disputes):
            _open(sandbox, charge, behaviour, amount)


def _open(sandbox: Sandbox, charge: Obj, behaviour: cards.Behaviour, amount: int) -> None:
    now = sandbox.now(charge)
    dispute: Obj = {
        "id": sandbox.new_id("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": now + EVIDENCE_DAYS * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": behaviour.inquiry,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": behaviour.dispute,
        "status": "warning_needs_response" if behaviour.inquiry else "needs_response",
    }
    if not behaviour.inquiry:
        ledger.disputed(sandbox, dispute)
    dispute = sandbox.create(dispute, "charge.dispute.created")
    sandbox.update(charge | {"disputed": True}, "charge.updated")
    if not behaviour.inquiry:
        sandbox.emit("charge.dispute.funds_withdrawn", dispute)
    sandbox.clock.schedule(now + EVIDENCE_DAYS * DAY, "dispute.lapse", dispute, clock=clock_of(sandbox.store, charge))


def lapse(sandbox: Sandbox, id: str) -> None:
    """Lose a dispute that nobody answered in time."""
    dispute = sandbox.need("dispute", id)
    if dispute["status"].endswith("needs_response"):
        dispute["evidence_details"]["past_due"] = True
        close(sandbox, dispute, won=False)


def close(sandbox: Sandbox, dispute: Obj, *, won: bool) -> Obj:
    """Close a dispute as the bank decides; an inquiry just ends."""
    inquiry = dispute["status"].startswith("warning")
    dispute["status"] = "warning_closed" if inquiry else "won" if won else "lost"
    sandbox.clock.cancel("dispute.lapse", dispute)
    if won and not inquiry:
        ledger.reinstated(sandbox, dispute)
    sandbox.update(dispute, "charge.dispute.closed")
    if won and not inquiry:
        sandbox.emit("charge.dispute.funds_reinstated", dispute)
    return dispute
