"""What a new session has when nothing is said.

Recorded in API 2026-03-25.dahlia (pay): test_checkout_payment_session, _subscription_session, _setup_session, #1. The
recorded account has its own name and its own configuration of payment methods.
"""

import pytest

URLS = {"success_url": "https://shop.test/done", "cancel_url": "https://shop.test/"}
BUYER = {"address": None, "business_name": None, "individual_name": None, "name": None, "phone": None, "tax_ids": None}
SAVED = {"allow_redisplay_filters": ["always"], "payment_method_remove": "disabled", "payment_method_save": None}
EVERY = {
    "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
    "customer_creation": None,
    "phone_number_collection": {"enabled": False},
}
ONE_OFF, MONTHLY = {}, {"recurring": {"interval": "month"}}


@pytest.fixture
def customer(stripe_client):
    return stripe_client.v1.customers.create({"email": "ada@example.com", "name": "Ada"}).id


@pytest.mark.parametrize(
    ("mode", "price", "expected"),
    [
        (
            "payment",
            ONE_OFF,
            {
                "adaptive_pricing": {"enabled": True},
                "discounts": [],
                "payment_method_collection": "if_required",
                "saved_payment_method_options": SAVED,
                "customer_details": {"email": "ada@example.com", "tax_exempt": "none", **BUYER},
            },
        ),
        (
            "subscription",
            MONTHLY,
            {
                "adaptive_pricing": {"enabled": True},
                "discounts": [],
                "invoice_creation": None,
                "payment_method_collection": "always",
                "saved_payment_method_options": SAVED,
                "customer_details": {"email": "ada@example.com", "tax_exempt": "none", **BUYER},
            },
        ),
        (
            "setup",
            None,
            {
                "adaptive_pricing": {"enabled": False},
                "discounts": None,
                "invoice_creation": None,
                "payment_method_collection": "always",
                "saved_payment_method_options": None,
                "customer_details": {"email": "ada@example.com", "tax_exempt": None, **BUYER},
            },
        ),
    ],
)
def test_a_new_session_says_what_its_mode_takes_for_granted(stripe_client, customer, mode, price, expected):
    data = {"currency": "usd", "unit_amount": 1500, "product_data": {"name": "Tea"}, **(price or {})}
    bought = {"currency": "usd"} if price is None else {"line_items": [{"price_data": data, "quantity": 1}]}
    made = stripe_client.v1.checkout.sessions.create({"mode": mode, "customer": customer, **bought, **URLS})
    session = made.to_dict()
    assert {name: session[name] for name in (*EVERY, *expected)} == {**EVERY, **expected}
    assert session["payment_method_configuration_details"]["parent"] is None
    assert session["branding_settings"] == {
        "background_color": "#ffffff",
        "border_style": "rounded",
        "button_color": "#0074d4",
        "display_name": "Northwind Apps",
        "font_family": "default",
        "icon": None,
        "logo": None,
    }


def test_a_setup_session_has_its_intent_from_the_start(stripe_client, customer):
    made = stripe_client.v1.checkout.sessions.create({"mode": "setup", "customer": customer, "currency": "usd", **URLS})
    intent = stripe_client.v1.setup_intents.retrieve(made.setup_intent)
    assert (intent.status, intent.customer) == ("requires_payment_method", customer)


def test_types_that_were_chosen_come_from_no_configuration(stripe_client):
    made = stripe_client.v1.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "allowed_payment_method_types": ["card"], **URLS}
    )
    assert made.payment_method_configuration_details is None
    assert made.customer_details is None
