"""How pages name things: the colour of a status, a payment method, a postal address."""

from typing import Any

from gateway.sandbox.pages import formats

Json = dict[str, Any]

TONES = {
    **dict.fromkeys(("active", "paid", "succeeded", "complete", "enabled", "delivered"), "ok"),
    **dict.fromkeys(("trialing", "open", "processing", "pending", "draft"), "info"),
    **dict.fromkeys(("past_due", "incomplete", "paused", "requires_action", "expired", "retrying"), "warn"),
    **dict.fromkeys(("unpaid", "uncollectible", "failed", "disabled", "lost"), "danger"),
}
"""The colour of a status; any other is grey."""


BRANDS = {
    "american_express": "American Express",
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "diners_club": "Diners Club",
    "eftpos_au": "eftpos Australia",
    "eftpos_australia": "eftpos Australia",
    "jcb": "JCB",
    "unionpay": "UnionPay",
    "union_pay": "UnionPay",
}
"""How brands of cards write themselves, by Stripe's `brand` and `display_brand`."""


def method_name(method: Json) -> str:
    """Return a payment method as people know it: ``Visa •••• 4242``."""
    details = method.get(method["type"]) or {}
    name = details.get("display_brand") or details.get("brand") or method["type"]
    written = BRANDS.get(name) or formats.words(name)
    return f"{written} •••• {details['last4']}" if details.get("last4") else written


def address_lines(address: Json | None) -> list[str]:
    """Return a postal address in the lines of an envelope."""
    if not address:
        return []
    town = " ".join(part for part in (address.get("postal_code"), address.get("city")) if part)
    lines = (address.get("line1"), address.get("line2"), town, address.get("state"), address.get("country"))
    return [line for line in lines if line]
