"""Billing credits: grants, their balance and its transactions. https://docs.stripe.com/api/billing/credit-grant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.api.lists import page
from gateway.sandbox.api.routing import route
from gateway.sandbox.billing import credit_grants
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge
from gateway.sandbox.core.registry import kind
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.sandbox.core.ports import Request, Sandbox
    from gateway.sandbox.core.store import Obj

kind("billing.credit_grant", "credgr", "credit grant")
kind("billing.credit_balance_transaction", "cbtxn", "credit balance transaction")

_PRIORITY = 50


@route("POST", "/v1/billing/credit_grants", params="billing.CreditGrantCreateParams")
def create(sandbox: Sandbox, request: Request) -> Obj:
    """Grant a customer credits for metered usage."""
    params = request.params
    if not params.get("customer"):
        raise parameter_missing("customer")
    customer = sandbox.need("customer", params["customer"], "customer")
    if params["amount"].get("monetary", {}).get("value", 0) <= 0:
        raise invalid("The value of a credit grant must be positive.", "amount[monetary][value]")
    now = sandbox.now(customer)
    defaults = {
        "object": "billing.credit_grant",
        "created": now,
        "category": "paid",
        "effective_at": now,
        "metadata": {},
        "priority": _PRIORITY,
        "test_clock": customer["test_clock"],
        "updated": now,
    }
    grant = sandbox.create(merge(defaults, params), "billing.credit_grant.created")
    credit_grants.book(
        sandbox, grant, {"type": "credit", "credit": {"amount": grant["amount"], "type": "credits_granted"}}
    )
    return grant


@route("GET", "/v1/billing/credit_grants", params="billing.CreditGrantListParams")
def index(sandbox: Sandbox, request: Request) -> Obj:
    """List credit grants."""
    return page(sandbox, request, "billing.credit_grant")


@route("GET", "/v1/billing/credit_grants/{id}")
def retrieve(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a credit grant."""
    return sandbox.need("billing.credit_grant", id)


@route("POST", "/v1/billing/credit_grants/{id}", params="billing.CreditGrantUpdateParams")
def update(sandbox: Sandbox, request: Request, id: str) -> Obj:
    """Change expiry or metadata."""
    return _changed(sandbox, merge(sandbox.need("billing.credit_grant", id), request.params))


@route("POST", "/v1/billing/credit_grants/{id}/expire")
def expire(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Let a credit grant expire now."""
    grant = sandbox.need("billing.credit_grant", id)
    return _changed(sandbox, {**grant, "expires_at": sandbox.now(grant)})


@route("POST", "/v1/billing/credit_grants/{id}/void")
def void(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Void a credit grant that was not used."""
    grant = sandbox.need("billing.credit_grant", id)
    if credit_grants.available(sandbox, grant) != grant["amount"]["monetary"]["value"]:
        raise invalid("A credit grant that has been applied to an invoice cannot be voided.", "id")
    return _changed(sandbox, {**grant, "voided_at": sandbox.now(grant)})


@route("GET", "/v1/billing/credit_balance_transactions", params="billing.CreditBalanceTransactionListParams")
def transactions(sandbox: Sandbox, request: Request) -> Obj:
    """List what was granted and what was used."""
    return page(sandbox, request, "billing.credit_balance_transaction", customer=None, _customer=_owner(request))


@route("GET", "/v1/billing/credit_balance_transactions/{id}")
def transaction(sandbox: Sandbox, _: Request, id: str) -> Obj:
    """Retrieve a credit balance transaction."""
    return sandbox.need("billing.credit_balance_transaction", id)


@route("GET", "/v1/billing/credit_balance_summary", params="billing.CreditBalanceSummaryRetrieveParams")
def summary(sandbox: Sandbox, request: Request) -> Obj:
    """Return a customer's credits by currency: granted and not expired, and still available."""
    customer = sandbox.need("customer", _owner(request), "customer")
    grants = _selected(credit_grants.grants_of(sandbox, customer["id"]), request.params["filter"])
    totals: dict[str, int] = {}
    for grant in grants:
        currency = grant["amount"]["monetary"]["currency"]
        totals[currency] = totals.get(currency, 0) + credit_grants.available(sandbox, grant)
    balance = [
        {"monetary": {"currency": currency, "value": value}, "type": "monetary"} for currency, value in totals.items()
    ]
    return complete(
        {
            "object": "billing.credit_balance_summary",
            "balances": [{"available_balance": each, "ledger_balance": each} for each in balance],
            "customer": customer["id"],
        }
    )


def _changed(sandbox: Sandbox, grant: Obj) -> Obj:
    return sandbox.update({**grant, "updated": sandbox.now(grant)}, "billing.credit_grant.updated")


def _owner(request: Request) -> str:
    customer = request.params.get("customer")
    if not customer:
        raise parameter_missing("customer")
    return str(customer)


def _selected(grants: Iterable[Obj], wanted: Obj) -> list[Obj]:
    if wanted["type"] == "credit_grant":
        return [grant for grant in grants if grant["id"] == wanted.get("credit_grant")]
    scope = wanted.get("applicability_scope", {})
    return [grant for grant in grants if _covers(grant["applicability_config"]["scope"], scope)]


def _covers(scope: Obj, wanted: Obj) -> bool:
    if scope.get("price_type"):
        return True  # for all metered prices, thus for each of them
    prices = {each["id"] for each in scope.get("prices", ())}
    return prices >= {each["id"] for each in wanted.get("prices", ())} and "price_type" not in wanted
