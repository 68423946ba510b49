"""Credit grants: which a customer may use, what is left of them, and their transactions.

Source: https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def grants_of(sandbox: Sandbox, customer_id: str) -> list[Obj]:
    """Return a customer's usable grants in the order in which they are used up.

    By priority, expiry, category (promotional first), effective date, creation
    (https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits).
    """
    now = sandbox.now(customer_id)
    usable = [
        grant
        for grant in sandbox.store.find("billing.credit_grant", customer=customer_id)
        if not grant["voided_at"]
        and (not grant["expires_at"] or grant["expires_at"] > now)
        and grant["effective_at"] <= now
    ]
    never = 2**62
    return sorted(
        usable,
        key=lambda grant: (
            grant["priority"],
            grant["expires_at"] or never,
            grant["category"] != "promotional",
            grant["effective_at"],
            grant["created"],
        ),
    )


def available(sandbox: Sandbox, grant: Obj) -> int:
    """Return what is left of a grant, in minor units."""
    left = 0
    for entry in sandbox.store.scan("billing.credit_balance_transaction", credit_grant=grant["id"]):
        side = entry["credit"] or entry["debit"]
        value = side["amount"]["monetary"]["value"]
        left += value if entry["credit"] else -value
    return left


def use(sandbox: Sandbox, grant: Obj, amount: int, invoice_id: str, line_id: str) -> Obj:
    """Apply part of a grant to an invoice line; return the transaction.

    Args:
        sandbox: The account.
        grant: The grant.
        amount: Minor units, at most what is available.
        invoice_id: The invoice that it pays for.
        line_id: The line of the invoice.
    """
    monetary = {"currency": grant["amount"]["monetary"]["currency"], "value": amount}
    applied = {"invoice": invoice_id, "invoice_line_item": line_id}
    debit = {
        "amount": {"monetary": monetary, "type": "monetary"},
        "credits_applied": applied,
        "type": "credits_applied",
    }
    return book(sandbox, grant, {"type": "debit", "debit": debit})


def book(sandbox: Sandbox, grant: Obj, sides: Obj) -> Obj:
    """Record a transaction of a grant: its `credit` or its `debit`."""
    entry = {
        "object": "billing.credit_balance_transaction",
        "created": sandbox.now(grant),
        "credit_grant": grant["id"],
        "effective_at": max(sandbox.now(grant), grant["effective_at"]),
        "test_clock": grant["test_clock"],
        "_customer": grant["customer"],
        **sides,
    }
    return sandbox.create(entry, "billing.credit_balance_transaction.created")
