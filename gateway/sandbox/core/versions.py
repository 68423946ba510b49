"""Objects and events in the shape of older API versions.

As at Stripe, everything is made in the current shape; for an older version the changes since then are undone one after
the other, the newest first (https://docs.stripe.com/upgrades). Only what a billing integration reads is undone:
the changelog of https://docs.stripe.com/changelog is longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gateway.sandbox.core.expand import public
from gateway.sandbox.core.plans import plan_of
from gateway.sandbox.options import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sandbox.core.store import Obj


class Reader(Protocol):
    """Where to look up what older shapes showed inline and the current one does not."""

    def get(self, kind: str, id: str) -> Obj | None:
        """Return the object of a kind with an id."""

    def find(self, kind: str, **equals: Any) -> list[Obj]:
        """Return the objects of a kind with these values, newest first."""

    def first(self, kind: str, **equals: Any) -> Obj | None:
        """Return the newest object of a kind with these values."""


def render(obj: Obj, version: str | None, reader: Reader) -> Obj:
    """Return a public object in the shape of an API version; None or an unknown newer one is the current shape."""
    undo = [table for since, table in CHANGES if version and version[:10] < since]
    return _undone(obj, undo, reader) if undo else obj


def render_event(event: Obj, version: str | None, reader: Reader) -> Obj:
    """Return a public event in the shape of an API version; `previous_attributes` is worked out anew in that shape."""
    if not version or version == API_VERSION:
        return event
    now = event["data"]["object"]
    data = {**event["data"], "object": render(now, version, reader)}
    if "previous_attributes" in data:
        before = render(_patched(now, data["previous_attributes"]), version, reader)
        data["previous_attributes"] = changes(before, data["object"])
    return {**event, "api_version": version, "data": data}


def changes(before: Obj, after: Obj) -> Obj:
    """Return the former values of what changed; hashes are compared field by field, lists as a whole."""
    changed: Obj = {}
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        nested = isinstance(old, dict) and isinstance(new, dict) and old.get("object") != "list"
        changed[key] = changes(old, new) if nested else old  # type: ignore[arg-type] # `nested` says they are hashes
    return changed


def _patched(obj: Obj, previous: Obj) -> Obj:
    """Return the object as it was, from what it is and `previous_attributes`."""
    patched = dict(obj)
    for key, value in previous.items():
        inner = obj.get(key)
        both = isinstance(value, dict) and isinstance(inner, dict) and inner.get("object") != "list"
        patched[key] = _patched(inner, value) if both else value  # type: ignore[arg-type] # `both`
    return patched


def _undone(node: Any, undo: list[dict[str, Callable[[Obj, Reader], Obj]]], reader: Reader) -> Any:
    """Undo changes: in the inner objects first, then in the object itself, each change in turn."""
    if isinstance(node, list):
        return [_undone(each, undo, reader) for each in node]
    if not isinstance(node, dict):
        return node
    old = {key: value if key == "metadata" else _undone(value, undo, reader) for key, value in node.items()}
    kind = old.get("object")
    for table in undo:
        if isinstance(kind, str) and kind in table:
            old = table[kind](old, reader)
    return old


def _session_before_dahlia(session: Obj, _: Reader) -> Obj:
    names = {"hosted_page": "hosted", "embedded_page": "embedded", "elements": "custom"}
    return {**session, "ui_mode": names.get(session["ui_mode"], session["ui_mode"])}


def _discount_before_clover(discount: Obj, reader: Reader) -> Obj:
    """Put the coupon into the discount itself, in full."""
    source = discount.pop("source")
    return {**discount, "coupon": _coupon(source["coupon"], reader)}


def _promotion_code_before_clover(code: Obj, reader: Reader) -> Obj:
    promotion = code.pop("promotion")
    return {**code, "coupon": _coupon(promotion["coupon"], reader)}


def _coupon(coupon: Any, reader: Reader) -> Any:
    return _shown(reader.get("coupon", coupon)) if isinstance(coupon, str) else coupon


def _first_discount(obj: Obj, reader: Reader) -> Obj | None:
    """Return the first discount in full: `discount` was never only an id."""
    first = (obj["discounts"] or [None])[0]
    found = reader.get("discount", first) if isinstance(first, str) else first
    return _discount_before_clover(public(found), reader) if found and "source" in found else found


def _subscription_before_basil(subscription: Obj, reader: Reader) -> Obj:
    """Put the period and the discount into the subscription."""
    items = subscription["items"]["data"]
    subscription.pop("billing_mode", None)
    return {
        **subscription,
        "current_period_start": max((item["current_period_start"] for item in items), default=None),
        "current_period_end": min((item["current_period_end"] for item in items), default=None),
        "items": {**subscription["items"], "data": [_without_period(item) for item in items]},
        "discount": _first_discount(subscription, reader),
    }


def _without_period(item: Obj) -> Obj:
    return {key: value for key, value in item.items() if key not in ("current_period_start", "current_period_end")}


def _invoice_before_basil(invoice: Obj, reader: Reader) -> Obj:
    """Put the subscription, the payment and the tax into the invoice."""
    details = (invoice.pop("parent", None) or {}).get("subscription_details") or {}
    taxes = invoice.pop("total_taxes", None) or []
    payment = reader.first("invoice_payment", invoice=invoice.get("id", ""))
    intent_id = (payment or {}).get("payment", {}).get("payment_intent")
    intent = reader.get("payment_intent", intent_id) if intent_id else None
    for name in ("payments", "confirmation_secret"):
        invoice.pop(name, None)
    return {
        **invoice,
        "application_fee_amount": None,
        "charge": intent["latest_charge"] if intent else None,
        "discount": _first_discount(invoice, reader),
        "paid": invoice["status"] == "paid",
        "paid_out_of_band": invoice["status"] == "paid" and intent is None and invoice["amount_paid"] > 0,
        "payment_intent": intent_id,
        "quote": None,
        "subscription": details.get("subscription"),
        "subscription_details": {"metadata": details.get("metadata")},
        "tax": sum(tax["amount"] for tax in taxes) if taxes else None,
        "total_tax_amounts": [_tax_before_basil(tax) for tax in taxes],
        "transfer_data": None,
    }


def _charge_before_2022(charge: Obj, reader: Reader) -> Obj:
    """Put the refunds into the charge."""
    refunds = [public(each) for each in reader.find("refund", charge=charge["id"])]
    url = f"/v1/charges/{charge['id']}/refunds"
    shown = {"object": "list", "data": refunds, "has_more": False, "total_count": len(refunds), "url": url}
    return {**charge, "refunds": shown}


def _intent_before_2022(intent: Obj, reader: Reader) -> Obj:
    """Put the charges into the payment intent."""
    found = reader.first("charge", payment_intent=intent["id"])
    url = f"/v1/charges?payment_intent={intent['id']}"
    charges = [_charge_before_2022(_payment_before_basil(public(found), reader), reader)] if found else []
    shown = {"object": "list", "data": charges, "has_more": False, "total_count": len(charges), "url": url}
    return {**intent, "charges": shown}


def _line_before_basil(line: Obj, reader: Reader) -> Obj:
    parent = line.pop("parent", None) or {}
    item = parent.get("subscription_item_details") or {}
    by_hand = parent.get("invoice_item_details") or {}
    pricing = line.pop("pricing", None) or {}
    price_id = (pricing.get("price_details") or {}).get("price")
    price = _shown(reader.get("price", price_id)) if price_id else None
    from_item = parent.get("type") == "invoice_item_details"
    taxes = [_tax_before_basil(tax) for tax in line.pop("taxes", None) or []]
    return {
        **line,
        "invoice_item": by_hand.get("invoice_item") or item.get("invoice_item"),
        "plan": plan_of(price) if price and price["recurring"] else None,
        "price": price,
        "proration": bool(item.get("proration") or by_hand.get("proration")),
        "proration_details": item.get("proration_details") or by_hand.get("proration_details"),
        "subscription": item.get("subscription") or by_hand.get("subscription"),
        "subscription_item": item.get("subscription_item"),
        "tax_amounts": taxes,
        "tax_rates": [_shown(reader.get("tax_rate", tax["tax_rate"])) for tax in taxes if tax["tax_rate"]],
        "type": "invoiceitem" if from_item else "subscription",
    }


def _invoice_item_before_basil(item: Obj, reader: Reader) -> Obj:
    details = (item.pop("parent", None) or {}).get("subscription_details") or {}
    price_id = ((item.pop("pricing", None) or {}).get("price_details") or {}).get("price")
    price = _shown(reader.get("price", price_id)) if price_id else None
    return {
        **item,
        "plan": plan_of(price) if price and price["recurring"] else None,
        "price": price,
        "subscription": details.get("subscription"),
        "subscription_item": details.get("subscription_item"),
        "unit_amount": price["unit_amount"] if price else None,
    }


def _tax_before_basil(tax: Obj) -> Obj:
    rate = tax.get("tax_rate_details") or {}
    return {
        "amount": tax["amount"],
        "inclusive": tax.get("tax_behavior") == "inclusive",
        "tax_rate": rate.get("tax_rate"),
        "taxability_reason": tax.get("taxability_reason"),
        "taxable_amount": tax.get("taxable_amount"),
    }


def _payment_before_basil(payment: Obj, reader: Reader) -> Obj:
    """Name the invoice that a charge or a payment intent pays, as before basil."""
    intent = payment["id"] if payment["object"] == "payment_intent" else payment.get("payment_intent")
    found = reader.first("invoice_payment", _payment_intent=intent) if isinstance(intent, str) else None
    return {**payment, "invoice": found["invoice"] if found else None}


def _shown(obj: Obj | None) -> Obj | None:
    return None if obj is None else public(obj)


# Newest first: the day of the version that brought the change, and how to undo it in objects of each kind.
CHANGES: list[tuple[str, dict[str, Callable[[Obj, Reader], Obj]]]] = [
    ("2026-03-25", {"checkout.session": _session_before_dahlia}),
    ("2025-09-30", {"discount": _discount_before_clover, "promotion_code": _promotion_code_before_clover}),
    (
        "2025-03-31",
        {
            "subscription": _subscription_before_basil,
            "invoice": _invoice_before_basil,
            "line_item": _line_before_basil,
            "invoiceitem": _invoice_item_before_basil,
            "charge": _payment_before_basil,
            "payment_intent": _payment_before_basil,
        },
    ),
    ("2022-11-15", {"charge": _charge_before_2022, "payment_intent": _intent_before_2022}),
]
