"""Amounts in minor units as people write them: Stripe's exponents, Babel's locale data, never a lost digit."""

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.numbers import NumberPattern, format_currency, get_currency_precision, get_currency_symbol, parse_pattern

from gateway.billing.languages import locale_of

# How many decimals Stripe's integer amounts carry; two where nothing is said. ISK and UGX have no minor unit, but
# Stripe keeps them as two-decimal amounts (5 ISK is 500), and HUF and TWD are two-decimal for charges, so none of the
# four stands here. Source: Stripe, "Supported currencies" (zero-decimal, three-decimal, special cases).
_ZERO = ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
_THREE = ("bhd", "jod", "kwd", "omr", "tnd")
_EXPONENTS = dict.fromkeys(_ZERO, 0) | dict.fromkeys(_THREE, 3)


def exponent(currency: str) -> int:
    """Return how many decimals the minor unit of a currency has at Stripe.

    Args:
        currency: ISO 4217, in any case.
    """
    return _EXPONENTS.get(currency.lower(), 2)


def major(amount: int | Decimal, currency: str) -> Decimal:
    """Return an amount in the currency's major unit (`Decimal("12.50")` of 1250 US cents), exactly.

    Args:
        amount: in minor units; a Decimal for Stripe's `*_decimal` fields.
        currency: ISO 4217, in any case.
    """
    return Decimal(f"{amount:f}" if isinstance(amount, Decimal) else amount).scaleb(-exponent(currency))


@lru_cache(maxsize=8192)  # the same prices stand in every answer
def decimal(amount: int, currency: str) -> str:
    """Return an amount as a plain decimal number of the major unit with all of Stripe's decimals, such as `12.50`."""
    return f"{major(amount, currency):f}"


def formatted(amount: int, currency: str, locale: str = "en") -> str:
    """Return an amount as people of a locale write it, such as `$12.50` or `12,50 €`.

    The decimals are those that the currency has in the locale data (CLDR), unless a digit would be lost: then they are
    Stripe's.

    Args:
        amount: in minor units.
        currency: ISO 4217, in any case.
        locale: a language tag, such as `de`, `de-DE` or `pt_BR`; the nearest locale is taken, at last English.
    """
    return _formatted(amount, currency.upper(), locale_of(locale))


@lru_cache(maxsize=8192)  # Babel takes 15 µs
def _formatted(amount: int, code: str, locale: Locale) -> str:
    ours, usual = exponent(code), get_currency_precision(code)
    digits = ours if usual < ours and amount % 10 ** (ours - usual) else usual
    return format_currency(
        major(amount, code),
        code,
        _pattern(locale, code, digits),
        locale=locale,
        currency_digits=False,
    )


@lru_cache(maxsize=2048)
def _pattern(locale: Locale, code: str, digits: int) -> NumberPattern:
    """Return the locale's currency pattern with a fixed number of decimals.

    It has CLDR's currency spacing, which Babel leaves out: a symbol that ends in a letter keeps its distance (`ISK 5`).
    """
    text = locale.currency_formats["standard"].pattern
    symbol = get_currency_symbol(code, locale)
    if _is_wordlike(symbol[-1]):
        text = re.sub(r"¤(?=[#0])", "¤\N{NO-BREAK SPACE}", text)
    if _is_wordlike(symbol[0]):
        text = re.sub(r"(?<=[#0])¤", "\N{NO-BREAK SPACE}¤", text)
    pattern = parse_pattern(text)
    pattern.frac_prec = (digits, digits)
    return pattern


def _is_wordlike(character: str) -> bool:
    """CLDR's `currencyMatch`: anything but symbols and separators."""
    return unicodedata.category(character)[0] not in "SZ"
