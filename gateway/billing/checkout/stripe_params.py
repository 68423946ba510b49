"""A checkout in Stripe's words. Source: Stripe API, "Create a Checkout Session"."""

from typing import Any

from gateway.billing.checkout.cart import Cart
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.languages import CHECKOUT_LANGUAGES, stripe_language
from gateway.models.mirrored import Price
from gateway.settings import Settings

_DATA = {"subscription": "subscription_data", "payment": "payment_intent_data", "setup": "setup_intent_data"}
"""Where Stripe takes what the checkout makes, by its mode."""


def stripe_parameters(request: CheckoutRequest, cart: Cart, settings: Settings) -> dict[str, Any]:
    """Return what Stripe is asked for, whoever asks.

    Tax and addresses are the merchant's to decide, so they come from the settings and not from the client.

    Args:
        request: what the client asks for.
        cart: its lines.
        settings: how taxes are dealt with.
    """
    metadata = dict(request.metadata)
    made: dict[str, Any] = {"metadata": metadata} if metadata else {}
    parameters: dict[str, Any] = {
        "mode": cart.mode,
        "ui_mode": "embedded_page" if request.embedded else "hosted_page",
        "line_items": [item_of(price, line) for price, line in cart.lines],
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "return_url": request.return_url,
        "currency": cart.currency,
        "locale": stripe_language(request.locale, CHECKOUT_LANGUAGES),
        "metadata": metadata,
        _DATA[cart.mode]: made,
        "expand": ["line_items"],
    }
    if request.coupon:
        parameters["discounts"] = [{"coupon": request.coupon}]
    if request.allow_promotion_codes:
        parameters["allow_promotion_codes"] = True
    if cart.mode == "subscription" and settings.free_without_card:
        parameters["payment_method_collection"] = "if_required"
    if settings.billing_address == "required":
        parameters["billing_address_collection"] = "required"
    if cart.mode == "payment" and settings.invoice_purchases:
        parameters["invoice_creation"] = {"enabled": True, **({"invoice_data": made} if made else {})}
    if cart.lines and settings.automatic_tax:
        parameters["automatic_tax"] = {"enabled": True}
    if cart.lines and settings.tax_id_collection:
        parameters["tax_id_collection"] = {"enabled": True}
    return {name: value for name, value in parameters.items() if value not in (None, {}, [])}


def with_card(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the same with a card asked for, also where nothing is to be paid at first."""
    return {name: value for name, value in parameters.items() if name != "payment_method_collection"}


def for_guest(parameters: dict[str, Any], email: str | None) -> dict[str, Any]:
    """Return the same for nobody in particular, who gets a customer at Stripe all the same.

    Args:
        parameters: what Stripe is asked for.
        email: fills the e-mail field of the page.
    """
    theirs: dict[str, Any] = {"customer_email": email} if email else {}
    if parameters["mode"] == "payment":
        theirs["customer_creation"] = "always"  # otherwise a guest's payment belongs to nobody
    return parameters | theirs


def for_user(parameters: dict[str, Any], subject: str, customer_id: str) -> dict[str, Any]:
    """Return the same for a signed-in user.

    Args:
        parameters: what Stripe is asked for.
        subject: the user, kept at Stripe as `client_reference_id`.
        customer_id: the user's own customer.
    """
    theirs: dict[str, Any] = {"customer": customer_id, "client_reference_id": subject}
    # Stripe computes taxes from the customer's own address, which it takes over only when told to.
    if update := {
        **({"address": "auto"} if "automatic_tax" in parameters else {}),
        **({"name": "auto"} if "tax_id_collection" in parameters else {}),
    }:
        theirs["customer_update"] = update
    return parameters | theirs


def with_trial(parameters: dict[str, Any], days: int | None) -> dict[str, Any]:
    """Return the same with a trial, if there is one."""
    if not days:
        return parameters
    trial = without_card(days) if "payment_method_collection" in parameters else {"trial_period_days": days}
    return parameters | {"subscription_data": {**parameters.get("subscription_data", {}), **trial}}


def without_card(days: int | None) -> dict[str, Any]:
    """Return a subscription's trial that ends in a pause where no card came; nothing where there is none.

    Source: Stripe, "Use free trials with subscriptions", without collecting a payment method.
    """
    if not days:
        return {}
    return {"trial_period_days": days, "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}}


def item_of(price: Price, line: Line) -> dict[str, Any]:
    """Return a line; a metered price takes no quantity."""
    if price.usage_type == "metered":
        return {"price": price.id}
    item: dict[str, Any] = {"price": price.id, "quantity": line.quantity}
    if line.adjustable:
        low, high = line.adjustable
        item["adjustable_quantity"] = {"enabled": True, "minimum": low, "maximum": high}
    return item
