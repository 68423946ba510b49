"""Saved cards: the API before payment methods, kept as the payment method that each of them also is.

Source: https://docs.stripe.com/api/cards
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import payment_methods
from gateway.sandbox.core.errors import invalid, resource_missing
from gateway.sandbox.core.templates import complete

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


def card_as_source(raw: Obj) -> Obj:
    """Return parameters of an older client with the token that it calls `card` as `source`."""
    if not isinstance(raw.get("card"), str) or "source" in raw:
        return raw
    return {**{name: value for name, value in raw.items() if name != "card"}, "source": raw["card"]}


def save(sandbox: Sandbox, customer_id: str, source: str) -> Obj:
    """Save what a token stands for as a card of a customer, the default if it is the first."""
    if source.startswith("pm_"):
        raise invalid("A PaymentMethod cannot be used as a source.", "source")
    method = payment_methods.resolve(sandbox, source, "source")
    sandbox.store.delete("payment_method", method["id"])
    method["id"] = sandbox.new_id("card")
    sandbox.store.put(method)
    method = payment_methods.attach(sandbox, method, customer_id)
    sandbox.emit("customer.source.created", card_of(method))
    customer = sandbox.need("customer", customer_id)
    if customer["default_source"] is None:
        sandbox.update({**customer, "default_source": method["id"]}, "customer.updated")
    return method


def card_of(method: Obj) -> Obj:
    """Return the card object that shows the same thing as a payment method."""
    card = method["card"]
    same = ("country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "regulated_status")
    return complete(
        {
            "id": method["id"],
            "object": "card",
            **{name: card[name] for name in same},
            "allow_redisplay": method.get("allow_redisplay"),
            "brand": card["brand"].capitalize(),
            "customer": method["customer"],
            "cvc_check": (card["checks"] or {}).get("cvc_check"),
            "email": method["billing_details"].get("email"),
            "metadata": method.get("metadata", {}),
            "name": method["billing_details"].get("name"),
            "phone": method["billing_details"].get("phone"),
            "wallet": None,
        }
    )


def is_source(method: Obj) -> bool:
    """Return whether a payment method was saved as a card."""
    return bool(method["id"].startswith("card_"))


def saved(sandbox: Sandbox, customer: str, id: str) -> Obj:
    """Return the payment method behind a saved card of a customer.

    Raises:
        StripeError: `resource_missing`.
    """
    method = sandbox.store.get("payment_method", id)
    if method is None or method["customer"] != customer:
        raise resource_missing("source", id)
    return method
