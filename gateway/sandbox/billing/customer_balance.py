"""A customer's balance: credit from or debt to later invoices. A negative balance is the customer's credit.

Source: https://docs.stripe.com/api/customer_balance_transactions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def adjust(sandbox: Sandbox, customer: Obj, amount: int, currency: str, type: str, **more: Any) -> Obj:
    """Book an amount on a customer's balance; return the transaction.

    Args:
        sandbox: The account.
        customer: The customer, whose stored `balance` changes (with `customer.updated`).
        amount: Minor units; negative is credit for the customer.
        currency: ISO code in lower case.
        type: `adjustment`, `applied_to_invoice`, `unapplied_from_invoice` and so on.
        more: Further fields, such as `invoice`.
    """
    customer = sandbox.need("customer", customer["id"])
    customer["balance"] += amount
    customer["currency"] = customer["currency"] or currency
    sandbox.update(customer, "customer.updated")
    entry = {
        "object": "customer_balance_transaction",
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "ending_balance": customer["balance"],
        "metadata": {},
        "type": type,
        **more,
    }
    return sandbox.create(entry)
