"""Customers' tax ids. https://docs.stripe.com/api/tax_ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


# Types that Stripe checks with an authority; the outcome comes later, which a sandbox has no authority for.
_CHECKED = ("eu_vat", "gb_vat", "au_abn")


def make(sandbox: Sandbox, customer_id: str | None, type: str, value: str) -> Obj:
    """Create a tax id of a customer, or (None) of the account itself."""
    country = type.split("_", maxsplit=1)[0].upper()
    tax_id = {
        "object": "tax_id",
        "country": value[:2].upper() if type == "eu_vat" else country,
        "customer": customer_id,
        "owner": {"customer": customer_id, "type": "customer"} if customer_id else {"type": "self"},
        "type": type,
        "value": value,
        "verification": {"status": "pending" if type in _CHECKED else "unavailable"},
    }
    return sandbox.create(tax_id, "customer.tax_id.created" if customer_id else None)
