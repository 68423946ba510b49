"""When a failed payment is tried again, and what becomes of the subscription after the last try.

Source: docs.stripe.com/billing/revenue-recovery/smart-retries (the dashboard's settings are options here).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.core.periods import DAY

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

# The subscription's first invoice is never retried: the buyer has 23 hours to pay it.
_ONCE = "subscription_create"


def next_attempt(sandbox: Sandbox, invoice: Obj) -> int | None:
    """Return when an invoice whose payment just failed is charged again; None after the last retry."""
    waits = sandbox.options.retry_days
    tried = invoice["attempt_count"]
    automatic = invoice["auto_advance"] and invoice["collection_method"] == "charge_automatically"
    if invoice["billing_reason"] == _ONCE or not automatic or tried > len(waits):
        return None
    return sandbox.now(invoice) + waits[tried - 1] * DAY if tried else None
