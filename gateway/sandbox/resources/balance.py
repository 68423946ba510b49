"""The account's balance. https://docs.stripe.com/api/balance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.sandbox.api.routing import route

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj


@route("GET", "/v1/balance")
def retrieve(sandbox: Sandbox, _: Request) -> Obj:
    """Show what was taken and not paid back, by currency, without fees: pending, because nothing is paid out."""
    taken: Counter[str] = Counter({"usd": 0})
    for charge in sandbox.store.scan("charge", status="succeeded"):
        if charge["captured"]:
            taken[charge["currency"]] += charge["amount_captured"]
    for refund in sandbox.store.scan("refund", status="succeeded"):
        taken[refund["currency"]] -= refund["amount"]
    nothing = dict.fromkeys(taken, 0)
    return {
        "object": "balance",
        "available": _by_currency(nothing),
        "livemode": False,
        "pending": _by_currency(taken),
    }


def _by_currency(amounts: dict[str, int]) -> list[Obj]:
    return [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sorted(amounts.items())
    ]
