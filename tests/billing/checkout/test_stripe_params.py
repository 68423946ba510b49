"""A checkout in Stripe's words, as tables without HTTP and without a database."""

import pytest

from gateway.billing.checkout.cart import Cart
from gateway.billing.checkout.request import CheckoutRequest, Line
from gateway.billing.checkout.stripe_params import for_guest, for_user, stripe_parameters, with_trial, without_card
from gateway.settings import Settings
from harness.rows import price

MONTH, CALLS = price("month", "pro"), price("calls", "pro", None, usage_type="metered")
PACK = price("pack", "pro", 500, interval=None)
PLAN = ((MONTH, Line("month")),)


def asked(*lines, currency: str | None = None, settings: dict | None = None, **request) -> dict:
    given = CheckoutRequest(tuple(line for _, line in lines), **request)
    return stripe_parameters(given, Cart(lines, currency), Settings.load(**(settings or {})))


HOSTED = {"mode": "subscription", "ui_mode": "hosted_page", "expand": ["line_items"]}
HOSTED |= {"line_items": [{"price": "month", "quantity": 1}]}
ADDRESSES = {"success_url": "https://a.example", "cancel_url": "https://b.example", "return_url": "https://c.example"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, HOSTED),
        ({"embedded": True}, HOSTED | {"ui_mode": "embedded_page"}),
        (ADDRESSES, HOSTED | ADDRESSES),
        ({"currency": "eur"}, HOSTED | {"currency": "eur"}),
        ({"locale": "de"}, HOSTED | {"locale": "de"}),
        ({"coupon": "half"}, HOSTED | {"discounts": [{"coupon": "half"}]}),
        ({"allow_promotion_codes": True}, HOSTED | {"allow_promotion_codes": True}),
        (
            {"metadata": (("a", "b"),)},
            HOSTED | {"metadata": {"a": "b"}, "subscription_data": {"metadata": {"a": "b"}}},
        ),
        ({"settings": {"billing_address": "required"}}, HOSTED | {"billing_address_collection": "required"}),
        ({"settings": {"billing_address": "auto"}}, HOSTED),
        ({"settings": {"automatic_tax": True}}, HOSTED | {"automatic_tax": {"enabled": True}}),
        ({"settings": {"tax_id_collection": True}}, HOSTED | {"tax_id_collection": {"enabled": True}}),
    ],
)
def test_what_stripe_is_asked_for(more, expected):
    assert asked(*PLAN, **more) == expected


@pytest.mark.parametrize(
    ("lines", "mode", "where"),
    [
        (PLAN, "subscription", "subscription_data"),
        (((PACK, Line("pack")),), "payment", "payment_intent_data"),
        ((), "setup", "setup_intent_data"),
    ],
)
def test_what_is_made_has_the_metadata_too(lines, mode, where):
    found = asked(*lines, metadata=(("a", "b"),))
    assert (found["mode"], found[where]) == (mode, {"metadata": {"a": "b"}})


@pytest.mark.parametrize(
    ("price_", "line", "item"),
    [
        (MONTH, Line("month", quantity=3), {"price": "month", "quantity": 3}),
        (CALLS, Line("calls"), {"price": "calls"}),
        (
            MONTH,
            Line("month", quantity=3, adjustable=(1, 9)),
            {"price": "month", "quantity": 3, "adjustable_quantity": {"enabled": True, "minimum": 1, "maximum": 9}},
        ),
    ],
)
def test_a_line_in_stripes_words(price_, line, item):
    assert asked((price_, line))["line_items"] == [item]


def test_a_set_up_has_no_taxes_and_no_lines():
    found = asked(currency="usd", settings={"automatic_tax": True, "tax_id_collection": True})
    assert found == {"mode": "setup", "ui_mode": "hosted_page", "currency": "usd", "expand": ["line_items"]}


@pytest.mark.parametrize(
    ("mode", "email", "expected"),
    [
        ("payment", None, {"customer_creation": "always"}),
        ("payment", "a@example.com", {"customer_creation": "always", "customer_email": "a@example.com"}),
        ("subscription", None, {}),
        ("subscription", "a@example.com", {"customer_email": "a@example.com"}),
    ],
)
def test_a_guest_gets_a_customer_all_the_same(mode, email, expected):
    assert for_guest({"mode": mode, "x": 1}, email) == {"mode": mode, "x": 1, **expected}


@pytest.mark.parametrize(
    ("taxes", "update"),
    [
        ({}, {}),
        ({"automatic_tax": {}}, {"customer_update": {"address": "auto"}}),
        ({"tax_id_collection": {}}, {"customer_update": {"name": "auto"}}),
        ({"automatic_tax": {}, "tax_id_collection": {}}, {"customer_update": {"address": "auto", "name": "auto"}}),
    ],
)
def test_a_user_has_a_customer(taxes, update):
    expected = {**taxes, "customer": "cus_1", "client_reference_id": "ada", **update}
    assert for_user(taxes, "ada", "cus_1") == expected


@pytest.mark.parametrize(
    ("parameters", "days", "expected"),
    [
        ({"a": 1}, None, {"a": 1}),
        ({"a": 1}, 14, {"a": 1, "subscription_data": {"trial_period_days": 14}}),
        ({"subscription_data": {"b": 2}}, 1, {"subscription_data": {"b": 2, "trial_period_days": 1}}),
    ],
)
def test_a_trial_stands_with_what_is_made(parameters, days, expected):
    assert with_trial(parameters, days) == expected


@pytest.mark.parametrize(("lines", "collection"), [(PLAN, "if_required"), (((PACK, Line("pack")),), None), ((), None)])
def test_what_is_free_at_first_needs_no_card_where_a_setting_says_so(lines, collection):
    free = {"settings": {"free_without_card": True}}
    assert asked(*lines, **free).get("payment_method_collection") == collection
    assert "payment_method_collection" not in asked(*lines)
    pause = {"trial_settings": {"end_behavior": {"missing_payment_method": "pause"}}} if collection else {}
    assert with_trial(asked(*lines, **free), 7)["subscription_data"] == {"trial_period_days": 7, **pause}
    assert without_card(7) == {
        "trial_period_days": 7,
        "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
    }
    assert without_card(None) == without_card(0) == {}


@pytest.mark.parametrize(
    ("lines", "metadata", "made"),
    [
        (((PACK, Line("pack")),), (), {"enabled": True}),
        (((PACK, Line("pack")),), (("a", "b"),), {"enabled": True, "invoice_data": {"metadata": {"a": "b"}}}),
        (PLAN, (), None),
        ((), (), None),
    ],
)
def test_what_is_bought_once_has_an_invoice_where_a_setting_says_so(lines, metadata, made):
    assert asked(*lines, settings={"invoice_purchases": True}, metadata=metadata).get("invoice_creation") == made
    assert "invoice_creation" not in asked(*lines)
