"""The account's balance and the transactions that it is made of. https://docs.stripe.com/api/balance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import ledger
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("balance_transaction", "txn", "balance transaction")


@route("GET", "/v1/balance")
def retrieve(sandbox: Sandbox, _: Request) -> Obj:
    """Show what is left of all transactions, by currency: nothing is paid out."""
    sums = {status: Counter({"usd": 0}) for status in ("available", "pending")}
    for each in sandbox.store.scan("balance_transaction"):
        transaction = ledger.shown(sandbox, each)
        for status, amounts in sums.items():
            amounts[transaction["currency"]] += transaction["net"] if transaction["status"] == status else 0
    return {"object": "balance", "livemode": False, **{name: _by_currency(each) for name, each in sums.items()}}


def _by_currency(amounts: Counter[str]) -> list[Obj]:
    return [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sorted(amounts.items())
    ]


@route("GET", "/v1/balance_transactions", params="BalanceTransactionListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List balance transactions."""
    found = page(sandbox, request, "balance_transaction")
    return {**found, "data": [ledger.shown(sandbox, each) for each in found["data"]]}


@route("GET", "/v1/balance_transactions/{id}")
@route("GET", "/v1/balance/history/{id}")
def transaction(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a balance transaction."""
    return ledger.shown(sandbox, sandbox.need("balance_transaction", id))


route("GET", "/v1/balance/history", params="BalanceTransactionListParams")(index)  # what older libraries call it
