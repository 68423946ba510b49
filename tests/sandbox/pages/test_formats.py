"""Money, dates and card numbers as the pages read and write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox.pages import formats, payment_form, site


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "shown"),
    [
        (1900, "usd", "en_US", "$19.00"),
        (-1900, "usd", "en_US", "-$19.00"),
        (1900, "eur", "de_DE", "19,00\N{NO-BREAK SPACE}€"),
        (1900, "jpy", "en_US", "¥1,900"),
        (1900, "bhd", "en_US", "BHD\N{NO-BREAK SPACE}1.900"),
        (0, "usd", "en_US", "$0.00"),
        (None, "usd", "en_US", formats.NOTHING),
    ],
)
def test_an_amount_is_shown_with_the_decimals_of_its_currency(amount, currency, locale, shown):
    assert formats.money(amount, currency, locale) == shown


def test_a_unit_amount_keeps_its_fractions_of_a_cent():
    price = {"currency": "usd", "unit_amount": None, "unit_amount_decimal": "0.05"}
    assert formats.unit_money(price) == "$0.0005"


@pytest.mark.parametrize(
    ("recurring", "said"),
    [
        (None, ""),
        ({"interval": "month", "interval_count": 1}, "per month"),
        ({"interval": "month", "interval_count": 3}, "every 3 months"),
        ({"interval": "year", "interval_count": 1}, "per year"),
    ],
)
def test_an_interval_is_said_in_words(recurring, said):
    assert formats.per(recurring) == said


@pytest.mark.parametrize(
    ("wanted", "browser", "chosen"),
    [
        ("de", "", "de"),
        ("pt-BR", "en-US", "pt_BR"),
        ("auto", "fr-CH, fr;q=0.9, en;q=0.8", "fr_CH"),
        (None, "de", "de"),
        ("no such locale", "", "en_US"),
        (None, "\x00;;;,,q=", "en_US"),
    ],
)
def test_the_session_chooses_the_locale_and_else_the_browser(wanted, browser, chosen):
    assert formats.choose_locale(wanted, browser) == chosen


@pytest.mark.parametrize("example", payment_form.EXAMPLES, ids=lambda example: example.label)
def test_every_example_that_the_page_offers_passes_the_page_s_own_checks(example):
    form = {"fill": example.number}
    payment_form.fill(form)
    assert payment_form.method_errors(form, now=1_700_000_000) == {}


@given(st.text(alphabet="0123456789", min_size=11, max_size=18))
def test_exactly_one_check_digit_makes_a_card_number_valid(digits):
    assert sum(payment_form.luhn(digits + last) for last in "0123456789") == 1


@given(st.text(max_size=30))
def test_no_text_breaks_the_checks_of_the_form(text):
    form = dict.fromkeys(("email", "card_number", "card_expiry", "card_cvc", "bank_account"), text)
    assert payment_form.method_errors(form, now=0)
    assert payment_form.method_errors({**form, "method": "bank"}, now=0)


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("12 / 34", (12, 2034)),
        ("1/30", (1, 2030)),
        ("0130", (1, 2030)),
        ("12/2034", (12, 2034)),
        ("13 / 30", None),
        ("00 / 30", None),
        ("", None),
        ("12", None),
    ],
)
def test_an_expiry_date_is_understood_as_people_type_it(typed, understood):
    assert payment_form.expiry(typed) == understood


def test_a_card_that_expires_this_month_is_still_good():
    form = {"card_number": "4242424242424242", "card_cvc": "123"}
    november = 1_795_000_000  # 2026-11-18
    assert payment_form.method_errors({**form, "card_expiry": "11 / 26"}, november) == {}
    assert "card_expiry" in payment_form.method_errors({**form, "card_expiry": "10 / 26"}, november)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://shop.example/done?a=1", True),
        ("http://127.0.0.1:3000", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//evil.example", False),
        ("/relative", False),
        ("", False),
        (None, False),
    ],
)
def test_a_browser_is_only_sent_to_web_addresses(url, safe):
    assert site.safe_return_url(url) == (url if safe else None)
