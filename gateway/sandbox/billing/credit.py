"""Billing credits: what grants pay of an invoice's metered lines, before taxes, when it is finalized.

Source: docs.stripe.com/billing/subscriptions/usage-based/billing-credits
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import credit_grants, totals

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def apply(sandbox: Sandbox, invoice: Obj) -> Obj:
    """Use up the customer's grants on the metered lines of a reckoned draft, which must be reckoned again then."""
    grants = credit_grants.grants_of(sandbox, invoice["customer"])
    for line in invoice["lines"]["data"] if grants else ():
        price = _metered_price(sandbox, line)
        if price:
            line["_credits"] = _pay(sandbox, invoice, line, [each for each in grants if _covers(each, price)])
    return invoice


def _metered_price(sandbox: Sandbox, line: Obj) -> str | None:
    details: Obj = (line["pricing"] or {}).get("price_details") or {}
    price = sandbox.store.get("price", details.get("price") or "")
    metered = price and (price["recurring"] or {}).get("usage_type") == "metered"
    return str(details["price"]) if metered else None


def _covers(grant: Obj, price: str) -> bool:
    scope: Obj = grant["applicability_config"]["scope"]
    return bool(scope.get("price_type")) or price in {each["id"] for each in scope.get("prices") or ()}


def _pay(sandbox: Sandbox, invoice: Obj, line: Obj, grants: list[Obj]) -> list[Obj]:
    paid: list[Obj] = []
    due = totals.net(line)
    for grant in grants:
        amount = min(due, credit_grants.available(sandbox, grant))
        if amount > 0 and grant["amount"]["monetary"]["currency"] == invoice["currency"]:
            used = credit_grants.use(sandbox, grant, amount, invoice["id"], line["id"])
            paid.append({"amount": amount, "credit_balance_transaction": used["id"]})
            due -= amount
    return paid
