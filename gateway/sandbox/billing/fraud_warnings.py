"""Early fraud warnings: the bank of a test card says that a payment may have been fraudulent.

Sources: docs.stripe.com/api/radar/early_fraud_warnings, docs.stripe.com/testing#fraud-prevention
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core import cards

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_KIND = "radar.early_fraud_warning"


def warn_if_suspected(sandbox: Sandbox, charge: Obj) -> None:
    """Warn of a succeeded charge if its payment method is one that the bank warns of."""
    if cards.behaviour_of(sandbox.need("payment_method", charge["payment_method"])).fraud_warning:
        warning = {
            "object": _KIND,
            "actionable": True,
            "charge": charge["id"],
            "fraud_type": "misc",
            "payment_intent": charge["payment_intent"],
        }
        sandbox.create(warning, f"{_KIND}.created")


def refunded(sandbox: Sandbox, charge: Obj) -> None:
    """Say of a charge's warning that there is nothing left to do, once all was paid back."""
    warning = sandbox.store.first(_KIND, charge=charge["id"])
    if warning and charge["refunded"]:
        sandbox.update(warning | {"actionable": False}, f"{_KIND}.updated")
