"""A customer's balance: credit from or debt to later invoices.

Source: https://docs.stripe.com/api/customer_balance_transactions. A negative balance is the customer's credit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import customer_balance
from gateway.sandbox.core.errors import resource_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("customer_balance_transaction", "cbtx", "customer balance transaction")


@route("POST", "/v1/customers/{customer}/balance_transactions", params="CustomerBalanceTransactionCreateParams")
def create(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """Adjust a balance by hand."""
    params = request.params
    more = merge({}, params, "description", "metadata")
    return customer_balance.adjust(
        sandbox, sandbox.need("customer", customer), params["amount"], params["currency"], "adjustment", **more
    )


@route("GET", "/v1/customers/{customer}/balance_transactions", params="CustomerBalanceTransactionListParams")
def index(sandbox: Sandbox, request: Request, customer: str) -> Obj:
    """List a customer's balance transactions."""
    sandbox.need("customer", customer)
    return page(sandbox, request, "customer_balance_transaction", customer=customer)


@route("GET", "/v1/customers/{customer}/balance_transactions/{id}")
def retrieve(sandbox: Sandbox, _: Request, customer: str, id: str) -> Obj:
    """Retrieve a balance transaction."""
    entry = sandbox.need("customer_balance_transaction", id)
    if entry["customer"] != customer:
        raise resource_missing("customer balance transaction", id)
    return entry


@route("POST", "/v1/customers/{customer}/balance_transactions/{id}", params="CustomerBalanceTransactionUpdateParams")
def update(sandbox: Sandbox, request: Request, customer: str, id: str) -> Obj:
    """Change description or metadata."""
    return sandbox.update(merge(retrieve(sandbox, request, customer, id), request.params))
