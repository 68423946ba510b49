"""Payment links: made once, and opened as a new checkout session each time.

Source: docs.stripe.com/api/payment-link, docs.stripe.com/payment-links/customize (what an address may say)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing.checkout import cart, sessions
from gateway.sandbox.core.errors import invalid
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_INVOICE_CREATION: Obj = {"enabled": False, "invoice_data": {"account_tax_ids": None, "metadata": {}}}
_BLANK: Obj = {
    "active": True,
    "after_completion": {"hosted_confirmation": {"custom_message": None}, "type": "hosted_confirmation"},
    "allow_promotion_codes": False,
    "automatic_tax": {"enabled": False, "liability": None},
    "billing_address_collection": "auto",
    "custom_fields": [],
    "custom_text": {},
    "metadata": {},
    "payment_method_collection": "always",
    "phone_number_collection": {"enabled": False},
    "shipping_options": [],
    "submit_type": "auto",
    "tax_id_collection": {"enabled": False, "required": "never"},
}
# What a session takes from its link as it is.
_PASSED = (
    "allow_promotion_codes",
    "billing_address_collection",
    "invoice_creation",
    "metadata",
    "payment_intent_data",
    "phone_number_collection",
    "subscription_data",
)


def create(sandbox: Sandbox, params: Obj, base_url: str) -> Obj:
    """Create a link from the parameters of `POST /v1/payment_links`."""
    sold = [sessions.price_of(sandbox, entry, f"line_items[{n}]") for n, entry in enumerate(params["line_items"])]
    mode = "subscription" if any(price["type"] == "recurring" for price in sold) else "payment"
    sessions.check_mode(mode, sold)
    currency = (params.get("currency") or sold[0]["currency"]).lower()
    entries = [
        {"price": price["id"], **{name: entry[name] for name in _OF_ENTRIES if name in entry}}
        for price, entry in zip(sold, params["line_items"], strict=True)
    ]
    by_mode = _OF_MODE[mode] | {"customer_creation": "always" if mode == "subscription" else "if_required"}
    given = {name: value for name, value in params.items() if name not in ("line_items", "currency")}
    new_id = sandbox.new_id("plink")
    link = merge(
        {"id": new_id, "object": "payment_link", "currency": currency, "url": f"{base_url}/pl/{new_id}"}
        | _BLANK
        | by_mode,
        given,
    )
    link |= {"_mode": mode, "_entries": entries, "_items": _items(sandbox, mode, sold, entries, currency)}
    return sandbox.create(counted(sandbox, link), "payment_link.created")


_OF_ENTRIES = ("adjustable_quantity", "quantity", "tax_rates")
_OF_MODE: dict[str, Obj] = {
    "payment": {"invoice_creation": _INVOICE_CREATION},
    "subscription": {"subscription_data": {"invoice_settings": {"issuer": {"type": "self"}}, "metadata": {}}},
}


def update(sandbox: Sandbox, link: Obj, params: Obj) -> Obj:
    """Change a link; of what it sells, the quantities."""
    changed = merge(link, {name: value for name, value in params.items() if name != "line_items"})
    by_id = {item["id"]: number for number, item in enumerate(link["_items"])}
    for number, entry in enumerate(params.get("line_items") or []):
        if entry["id"] not in by_id:
            raise invalid(f"No such line item: '{entry['id']}'", f"line_items[{number}][id]", "resource_missing")
        changed["_entries"][by_id[entry["id"]]] |= {name: entry[name] for name in _OF_ENTRIES if name in entry}
    prices = [sandbox.need("price", entry["price"]) for entry in changed["_entries"]]
    items = _items(sandbox, link["_mode"], prices, changed["_entries"], link["currency"])
    changed["_items"] = [new | {"id": old["id"]} for new, old in zip(items, link["_items"], strict=True)]
    return sandbox.update(counted(sandbox, changed), "payment_link.updated")


def open_session(sandbox: Sandbox, link: Obj, address: Mapping[str, str], base_url: str) -> Obj | None:
    """Make the checkout session of somebody who opened a link, or None if the link is not active (any more).

    Args:
        sandbox: The account.
        link: What was opened.
        address: What the address says: `client_reference_id`, `prefilled_email`, `prefilled_promo_code`, `locale`.
        base_url: Where the session's page will be.
    """
    limits = (counted(sandbox, link).get("restrictions") or {}).get("completed_sessions")
    if not link["active"] or (limits and limits["count"] >= limits["limit"]):
        return None
    params: Obj = {name: link[name] for name in _PASSED if link.get(name) is not None}
    if link["_mode"] == "payment":
        params["customer_creation"] = link["customer_creation"]
    else:
        params["payment_method_collection"] = link["payment_method_collection"]
    if link["submit_type"] != "auto":
        params["submit_type"] = link["submit_type"]
    named = {"client_reference_id": "client_reference_id", "prefilled_email": "customer_email", "locale": "locale"}
    params |= {name: address[key] for key, name in named.items() if address.get(key)}
    then: Obj = link["after_completion"].get("redirect") or {}
    session = sessions.create(
        sandbox,
        {
            **params,
            "line_items": link["_entries"],
            "mode": link["_mode"],
            "currency": link["currency"],
            "success_url": then.get("url", base_url),
        },
        base_url,
    )
    session |= {"payment_link": link["id"], "success_url": then.get("url")}
    sandbox.update(session)
    code = address.get("prefilled_promo_code")
    return cart.apply_promotion_code(sandbox, session["id"], code) if code else session


def counted(sandbox: Sandbox, link: Obj) -> Obj:
    """Return a link whose restriction says how many sessions were completed."""
    limits = (link.get("restrictions") or {}).get("completed_sessions")
    if not limits:
        return link
    done = len(sandbox.store.find("checkout.session", payment_link=link["id"], status="complete"))
    return {**link, "restrictions": {"completed_sessions": {**limits, "count": done}}}


def _items(sandbox: Sandbox, mode: str, prices: list[Obj], entries: list[Obj], currency: str) -> list[Obj]:
    """Return the line items as a session would have them."""
    pairs = enumerate(zip(entries, prices, strict=True))
    items = [cart.item(sandbox, entry, price, currency, f"line_items[{n}]") for n, (entry, price) in pairs]
    order: Obj = {"mode": mode, "customer": None, "currency": currency, "discounts": [], "created": sandbox.now()}
    return list(cart.reckon(sandbox, {**order, "_items": items, "_params": {}})["_items"])
