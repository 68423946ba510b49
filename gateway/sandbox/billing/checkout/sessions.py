"""A new checkout session: what Stripe refuses about its parameters, and what it has when nothing is said.

Source: https://docs.stripe.com/api/checkout/sessions/create
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import items, limits, prices
from gateway.sandbox.billing.checkout import cart, defaults
from gateway.sandbox.core import money, periods
from gateway.sandbox.core.errors import invalid, parameter_missing
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


SHORTEST, LONGEST = 30 * periods.MINUTE, 24 * periods.HOUR

_PLAIN = (
    "allow_promotion_codes",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "customer_email",
    "integration_identifier",
    "locale",
    "metadata",
    "mode",
    "origin_context",
    "redirect_on_completion",
    "return_url",
    "submit_type",
    "success_url",
)

# What is needed again when the buyer submits.
_STORED = ("subscription_data", "payment_intent_data", "setup_intent_data", "invoice_creation")

# Names of the same before dahlia (2026).
_UI_MODES = {"hosted": "hosted_page", "embedded": "embedded_page", "custom": "elements"}


def create(sandbox: Sandbox, params: Obj, base_url: str) -> Obj:
    """Create a session from the parameters of `POST /v1/checkout/sessions`; `base_url` is where its page will be."""
    params = _checked(sandbox, params)
    customer = sandbox.need("customer", params["customer"], "customer") if "customer" in params else None
    now = sandbox.now(customer)
    new_id = sandbox.new_id("cs_test_")
    given = params.get("line_items") or []
    prices_given = [price_of(sandbox, entry, f"line_items[{number}]") for number, entry in enumerate(given)]
    check_mode(params["mode"], prices_given)
    currency = _currency(params, customer, prices_given)
    session = merge(_blank(new_id, now), params, *_PLAIN)
    session |= {
        "currency": currency,
        "customer": params.get("customer"),
        "ui_mode": params["ui_mode"],
        "expires_at": params.get("expires_at", now + LONGEST),
        "payment_method_types": params.get("payment_method_types")
        or params.get("allowed_payment_method_types")
        or ["card"],
        "_params": {name: params[name] for name in _STORED if name in params},
        "_items": [
            cart.item(sandbox, entry, price, currency, f"line_items[{number}]")
            for number, (entry, price) in enumerate(zip(given, prices_given, strict=True))
        ],
    }
    session["allowed_payment_method_types"] = session["payment_method_types"]
    for name in ("automatic_tax", "tax_id_collection"):
        if name in params:
            session[name] = merge(session.get(name) or {}, params[name])
    defaults.fill(sandbox, session, params, customer)
    if session["mode"] != "setup":
        found = [cart.discount(sandbox, session, entry, customer) for entry in params.get("discounts") or []]
        session["discounts"] = found
    if session["ui_mode"] == "hosted_page":
        session["url"] = f"{base_url}/c/pay/{new_id}"
    else:
        session["client_secret"] = f"{new_id}_secret_{sandbox.new_id('x').removeprefix('x_')}"
    session = cart.reckon(sandbox, session)
    if session["mode"] == "payment":
        limits.check_checkout(session["amount_total"], currency or "usd")
    made = sandbox.create(session)
    sandbox.clock.schedule(made["expires_at"], "checkout.session.expire", made)
    return made


def _blank(id: str, now: int) -> Obj:
    return {
        "id": id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "created": now,
        "custom_fields": [],
        "custom_text": {},
        "metadata": {},
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
    }


def _checked(sandbox: Sandbox, params: Obj) -> Obj:
    """Return the parameters, after what Stripe refuses about their combination."""
    params = {**params, "ui_mode": _UI_MODES.get(params.get("ui_mode", ""), params.get("ui_mode", "hosted_page"))}
    if "mode" not in params:
        raise parameter_missing("mode")
    if params["mode"] != "setup" and not params.get("line_items"):
        raise parameter_missing("line_items")
    if params["ui_mode"] == "hosted_page" and "success_url" not in params:
        raise parameter_missing("success_url")
    if "customer" in params and "customer_email" in params:
        raise invalid("You may only specify one of these parameters: customer, customer_email.", "customer_email")
    if params.get("discounts") and params.get("allow_promotion_codes"):
        raise invalid(
            "You may only specify one of these parameters: allow_promotion_codes, discounts.", "allow_promotion_codes"
        )
    for name in ("success_url", "cancel_url", "return_url"):
        if name in params and "://" not in params[name]:
            raise invalid("Not a valid URL", name, "url_invalid")
    _check_data(params)
    _check_expiry(sandbox, params)
    return params


_DATA_OF = {
    "subscription_data": "subscription",
    "payment_intent_data": "payment",
    "setup_intent_data": "setup",
}


def _check_data(params: Obj) -> None:
    for name, mode in _DATA_OF.items():
        if name in params and params["mode"] != mode:
            raise invalid(f"You can not pass `{name}` in `{params['mode']}` mode.", name)


def _check_expiry(sandbox: Sandbox, params: Obj) -> None:
    wait = params.get("expires_at", sandbox.now() + LONGEST) - sandbox.now()
    if not SHORTEST - periods.MINUTE <= wait <= LONGEST + periods.MINUTE:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from Checkout Session "
            "creation.",
            "expires_at",
        )


def price_of(sandbox: Sandbox, entry: Obj, param: str) -> Obj:
    """Return the price that an entry of `line_items` names or describes."""
    if "price_data" in entry:
        return prices.make(sandbox, {**entry["price_data"], "active": False})
    price = items.price_of(sandbox, entry, param, recurring=False)
    if price is None:
        raise parameter_missing(f"{param}[price]")
    return price


def check_mode(mode: str, found: Sequence[Obj]) -> None:
    """Refuse prices that cannot be sold together in a mode."""
    recurring = [price["recurring"] for price in found if price["type"] == "recurring"]
    if mode == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use "
            "only one-time prices.",
            "line_items",
        )
    if mode == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using prices.", "line_items"
        )
    if len({(each["interval"], each["interval_count"]) for each in recurring}) > 1:
        raise invalid("Checkout does not support multiple prices with different billing intervals.", "line_items")


def _currency(params: Obj, customer: Obj | None, found: Sequence[Obj]) -> str | None:
    if params.get("currency"):
        return str(params["currency"]).lower()
    if not found:
        return None
    own = (customer or {}).get("currency")
    return own if own and all(money.in_currency(price, own) for price in found) else str(found[0]["currency"])
