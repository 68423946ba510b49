"""What a new checkout session has when its parameters say nothing, by mode.

Recorded in API 2026-03-25.dahlia (pay): test_checkout_payment_session, _subscription_session and _setup_session, #1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.sandbox.billing import payment_methods, payments, setups
from gateway.sandbox.core.merge import merge
from gateway.sandbox.options import ACCOUNT_NAME

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj

_BRANDING: Obj = {
    "background_color": "#ffffff",
    "border_style": "rounded",
    "button_color": "#0074d4",
    "display_name": ACCOUNT_NAME,
    "font_family": "default",
    "icon": None,
    "logo": None,
}
_OPTIONS: Obj = {"card": {"request_three_d_secure": "automatic"}}
_INVOICE_CREATION: Obj = {"enabled": False, "invoice_data": {"account_tax_ids": None, "metadata": {}}}
_SAVED: Obj = {"allow_redisplay_filters": ["always"], "payment_method_remove": "disabled", "payment_method_save": None}


def fill(sandbox: Sandbox, session: Obj, params: Obj, customer: Obj | None) -> None:
    """Choose in place what the parameters of `POST /v1/checkout/sessions` do not say."""
    session |= {
        "branding_settings": merge(_BRANDING, params.get("branding_settings") or {}),
        "collected_information": {"shipping_details": None},
        "customer_details": _known_buyer(session, customer),
        "payment_method_configuration_details": None if _chosen_types(params) else payment_methods.CONFIGURATION,
        "payment_method_options": merge(_OPTIONS, params.get("payment_method_options") or {}),
        "phone_number_collection": merge({"enabled": False}, params.get("phone_number_collection") or {}),
    }
    if session["mode"] == "setup":
        _fill_setup(sandbox, session, params)
    else:
        _fill_purchase(session, params)
    if session["customer"]:
        session["customer_creation"] = None


def _known_buyer(session: Obj, customer: Obj | None) -> Obj | None:
    """Return what is known of the buyer before he types anything: an e-mail address, or nothing."""
    email = (customer or {}).get("email") or session.get("customer_email")
    if not email:
        return None
    return {"email": email, "tax_exempt": None if session["mode"] == "setup" else "none"}


def _chosen_types(params: Obj) -> bool:
    return bool(params.get("payment_method_types") or params.get("allowed_payment_method_types"))


def _fill_purchase(session: Obj, params: Obj) -> None:
    subscribes = session["mode"] == "subscription"
    creates = "always" if subscribes else "if_required"
    session |= {
        "adaptive_pricing": {"enabled": True, **params.get("adaptive_pricing", {})},
        "customer_creation": params.get("customer_creation", creates),
        "payment_method_collection": params.get("payment_method_collection", creates),
    }
    if session["customer"]:
        session["saved_payment_method_options"] = merge(_SAVED, params.get("saved_payment_method_options") or {})
    if not subscribes:
        enabled = params.get("invoice_creation", {}).get("enabled", False)
        session["invoice_creation"] = {**_INVOICE_CREATION, "enabled": enabled}


def _fill_setup(sandbox: Sandbox, session: Obj, params: Obj) -> None:
    data: Obj = params.get("setup_intent_data", {})
    intent = setups.intend(
        sandbox,
        session["customer"],
        metadata=data.get("metadata", {}),
        description=data.get("description"),
        three_d_secure=payments.asked_for(session),
    )
    session |= {
        "customer_creation": params.get("customer_creation"),
        "payment_method_collection": "always",
        "payment_status": "no_payment_required",
        "setup_intent": intent["id"],
        "_intent": intent["id"],
    }
