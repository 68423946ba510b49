"""Mandates: a customer's leave to debit a bank account, given with the first payment or setup.

Sources: docs.stripe.com/api/mandates; recorded: spree_stripe, processing_sepa_debit_payment_intent #1 (the charge of a
SEPA debit names its mandate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_DEBITS = frozenset({"acss_debit", "au_becs_debit", "bacs_debit", "sepa_debit", "us_bank_account"})


def of(sandbox: Sandbox, payment_method: Obj) -> str | None:
    """Return the id of a bank account's mandate, which is made when it is first needed; None where none is needed."""
    kind = payment_method["type"]
    if kind not in _DEBITS:
        return None
    known = sandbox.store.first("mandate", payment_method=payment_method["id"])
    return str((known or _accepted(sandbox, payment_method, kind))["id"])


def _accepted(sandbox: Sandbox, payment_method: Obj, kind: str) -> Obj:
    new_id = sandbox.new_id("mandate")
    terms = {"reference": new_id.removeprefix("mandate_")[:16].upper(), "url": f"{sandbox.base_url}/mandates/{new_id}"}
    online = {"ip_address": "127.0.0.1", "user_agent": "Mozilla/5.0"}
    return sandbox.create(
        {
            "id": new_id,
            "object": "mandate",
            "customer_acceptance": {
                "accepted_at": sandbox.now(payment_method),
                "online": online,
                "type": "online",
            },
            "multi_use": {},
            "payment_method": payment_method["id"],
            "payment_method_details": {"type": kind, kind: terms if kind == "sepa_debit" else {}},
            "status": "active",
            "type": "multi_use",
        }
    )
