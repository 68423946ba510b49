"""Test cards: their numbers are valid, their faces as documented, and each does what it is for."""

import pytest
import stripe

from gateway.sandbox.core import cards


@pytest.mark.parametrize("card", cards.CARDS, ids=lambda card: card.number)
def test_a_number_passes_the_check_of_its_last_digit(card):
    digits = [int(each) for each in reversed(card.number)]
    assert sum(digits[::2] + [sum(divmod(2 * each, 10)) for each in digits[1::2]]) % 10 == 0


@pytest.mark.parametrize(
    ("token", "country", "brand"),
    [
        ("pm_card_br", "BR", "visa"),
        ("pm_card_jp", "JP", "visa"),
        ("tok_gb", "GB", "visa"),
        ("pm_card_gb_mastercard", "GB", "mastercard"),
        ("pm_card_authenticationRequired", "DE", "visa"),
        ("pm_card_diners", "US", "diners"),
        ("pm_card_us", "US", "visa"),
        ("pm_card_mastercard_debit_eftposAuCoBranded", "AU", "mastercard"),
    ],
)
def test_a_token_stands_for_the_card_of_its_country(token, country, brand):
    card = cards.by_token(token)
    assert (card.country, card.brand) == (country, brand)


@pytest.mark.parametrize(
    ("number", "cvc", "line1", "postal_code"),
    [
        ("4242424242424242", "pass", "pass", "pass"),
        ("4000000000000101", "fail", "pass", "pass"),
        ("4000000000000010", "pass", "fail", "fail"),
        ("4000000000000036", "pass", "pass", "fail"),
        ("4000000000000044", "pass", "unavailable", "unavailable"),
        ("4000058400307872", "fail", "pass", "pass"),
    ],
)
def test_the_bank_checks_what_it_is_told(stripe_client, number, cvc, line1, postal_code):
    card = {"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    address = {"line1": "1 Main Street", "postal_code": "12345", "country": "US"}
    details = {"type": "card", "card": card, "billing_details": {"address": address}}
    method = stripe_client.v1.payment_methods.create(details)
    checks = stripe_client.v1.payment_methods.attach(
        method.id, {"customer": stripe_client.v1.customers.create().id}
    ).card.checks
    assert (checks.cvc_check, checks.address_line1_check) == (cvc, line1)
    assert checks.address_postal_code_check == postal_code


@pytest.mark.parametrize(("asked", "status"), [("any", "requires_action"), ("automatic", "succeeded")])
def test_three_d_secure_is_asked_for_where_the_card_has_it(stripe_client, asked, status):
    intent = stripe_client.v1.payment_intents.create(
        {
            "amount": 900,
            "currency": "eur",
            "confirm": True,
            "payment_method": "pm_card_threeDSecureOptional",
            "payment_method_options": {"card": {"request_three_d_secure": asked}},
            "return_url": "https://shop.test/back",
        }
    )
    assert (intent.status, intent.payment_method_options.card.request_three_d_secure) == (status, asked)


def test_3d_secure_is_asked_for_in_setups_subscriptions_and_checkouts(stripe_client):
    v1, asks = stripe_client.v1, {"card": {"request_three_d_secure": "any"}}
    customer = v1.customers.create({"payment_method": "pm_card_threeDSecureOptional"}).id
    method = v1.payment_methods.list({"customer": customer}).data[0].id
    setup = v1.setup_intents.create(
        {"payment_method": method, "customer": customer, "payment_method_options": asks, "confirm": True}
        | {"return_url": "https://shop.test/back"}
    )
    assert (setup.status, setup.payment_method_options.card.request_three_d_secure) == ("requires_action", "any")
    price = {"currency": "eur", "unit_amount": 900, "product_data": {"name": "Tea"}, "recurring": {"interval": "month"}}
    items = [{"price": v1.prices.create(price).id}]
    paying = {"default_payment_method": method, "payment_settings": {"payment_method_options": asks}}
    assert v1.subscriptions.create({"customer": customer, "items": items, **paying}).status == "incomplete"
    invoice = v1.invoices.create({"customer": customer, "payment_settings": {"payment_method_options": asks}})
    assert invoice.payment_settings.payment_method_options.card.request_three_d_secure == "any"
    session = {"mode": "subscription", "line_items": [{**items[0], "quantity": 1}], "success_url": "https://shop.test"}
    made = v1.checkout.sessions.create({**session, "payment_method_options": asks})
    assert made.payment_method_options.card.request_three_d_secure == "any"
    assert v1.checkout.sessions.create(session).payment_method_options.card.request_three_d_secure == "automatic"


def test_a_real_number_is_refused(stripe_client):
    card = {"number": "4111111111111111", "exp_month": 12, "exp_year": 2040}
    with pytest.raises(stripe.CardError) as error:
        stripe_client.v1.payment_methods.create({"type": "card", "card": card})
    assert error.value.error.decline_code == "test_mode_live_card"
