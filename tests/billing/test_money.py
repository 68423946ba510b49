"""Amounts: Stripe's exponents and the locale's ways of writing, without a lost digit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.billing import money


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "decimal", "formatted"),
    [
        (123456, "usd", "en", "1234.56", "$1,234.56"),
        (123456, "EUR", "de-DE", "1234.56", "1.234,56\N{NO-BREAK SPACE}€"),
        (123456, "eur", "pt_BR", "1234.56", "€\N{NO-BREAK SPACE}1.234,56"),
        (123456, "eur", "fr", "1234.56", "1\N{NARROW NO-BREAK SPACE}234,56\N{NO-BREAK SPACE}€"),
        (-1250, "usd", "en", "-12.50", "-$12.50"),
        (5, "usd", "en", "0.05", "$0.05"),
        (0, "usd", "en", "0.00", "$0.00"),
        (500, "jpy", "en", "500", "¥500"),
        (500, "krw", "en", "500", "₩500"),
        (500, "clp", "es-CL", "500", "$500"),
        (1234, "kwd", "en", "1.234", "KWD\N{NO-BREAK SPACE}1.234"),
        (2**53 - 1, "usd", "hi", "90071992547409.91", "$9,00,71,99,25,47,409.91"),
        (100, "zzz", "en", "1.00", "ZZZ\N{NO-BREAK SPACE}1.00"),
        (500, "eur", "lg", "5.00", "5.00€"),
        (500, "chf", "lg", "5.00", "5.00\N{NO-BREAK SPACE}CHF"),
    ],
)
def test_an_amount_is_written_as_people_of_the_locale_write_it(amount, currency, locale, decimal, formatted):
    assert money.decimal(amount, currency) == decimal
    assert money.formatted(amount, currency, locale) == formatted


@pytest.mark.parametrize("currency", ["isk", "ugx"])
def test_currencies_without_a_minor_unit_that_stripe_counts_in_hundredths_show_none(currency):
    assert money.decimal(500, currency) == "5.00"
    assert money.formatted(500, currency) == f"{currency.upper()}\N{NO-BREAK SPACE}5"


@pytest.mark.parametrize(("currency", "shown"), [("isk", "5.50"), ("rsd", "5.50"), ("ugx", "5.50")])
def test_decimals_that_the_locale_would_drop_are_kept_when_they_are_not_zero(currency, shown):
    assert money.formatted(550, currency).endswith(shown)


@pytest.mark.parametrize("currency", ["huf", "twd"])
def test_currencies_that_are_only_paid_out_in_whole_units_are_charged_in_hundredths(currency):
    assert money.decimal(12345, currency) == "123.45"


def test_fractions_of_a_minor_unit_are_written_out():
    assert str(money.major(Decimal("1E+3"), "usd")) == "10.00"
    assert str(money.major(Decimal("0.5"), "usd")) == "0.005"


@given(
    st.integers(-(2**53), 2**53),
    st.sampled_from(["usd", "jpy", "kwd", "isk", "rsd", "ugx", "huf", "mga", "clf", "xyz"]),
)
def test_what_is_written_is_the_amount_to_the_last_digit(amount, currency):
    written = money.formatted(amount, currency, "en")
    number = Decimal("".join(character for character in written if character in "-.0123456789"))
    assert number == money.major(amount, currency) == Decimal(money.decimal(amount, currency))
    assert money.major(amount, currency) * 10 ** money.exponent(currency) == amount


@pytest.mark.parametrize("locale", ["", "-", "xx-XX", "../../etc/passwd", "en\0", "i-klingon", "e" * 5000, "ä"])
def test_where_nobody_knows_the_language_it_is_english(locale):
    assert money.formatted(100, "usd", locale) == "$1.00"
