"""Money, dates and intervals as people read them, in the locale of a session or of a browser.

Only the figures follow the locale; the words of the pages are English.
"""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from babel import Locale, UnknownLocaleError, negotiate_locale
from babel.dates import format_date, format_datetime, format_skeleton, format_time
from babel.localedata import locale_identifiers
from babel.numbers import format_currency, format_decimal

from gateway.sandbox.core.money import exponent

DEFAULT_LOCALE = "en_US"
NOTHING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"

_LETTER_BESIDE_DIGIT = re.compile(r"(?<=[A-Z])(?=\d)|(?<=\d)(?=[A-Z])")


def money(amount: int | None, currency: str | None, locale: str = DEFAULT_LOCALE) -> str:
    """Return an amount in minor units with its symbol: ``1900, "usd"`` is ``$19.00``. No amount is a dash."""
    if amount is None or currency is None:
        return NOTHING
    return _spaced(format_currency(Decimal(amount).scaleb(-exponent(currency)), currency.upper(), locale=locale))


def unit_money(price: dict[str, Any], locale: str = DEFAULT_LOCALE) -> str:
    """Return the unit amount of a price, also of fractions of a cent (``unit_amount_decimal``)."""
    if price.get("unit_amount") is not None or price.get("unit_amount_decimal") is None:
        return money(price.get("unit_amount"), price["currency"], locale)
    value = Decimal(price["unit_amount_decimal"]).scaleb(-exponent(price["currency"]))
    return _spaced(format_currency(value, price["currency"].upper(), locale=locale, decimal_quantization=False))


def _spaced(text: str) -> str:
    """Put a space between a currency's letters and its digits, as CLDR (`currencySpacing`) does and Babel does not."""
    return _LETTER_BESIDE_DIGIT.sub("\N{NO-BREAK SPACE}", text)


def price(price: dict[str, Any], locale: str = DEFAULT_LOCALE) -> str:
    """Return a price in a few words: ``$19.00 per month``, ``in tiers per month``."""
    amount = "in tiers" if price.get("billing_scheme") == "tiered" else unit_money(price, locale)
    return f"{amount} {per(price['recurring'])}".strip()


def pretty(value: Any) -> str:
    """Format JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def number(value: float | Decimal, locale: str = DEFAULT_LOCALE) -> str:
    """Return a number with the locale's grouping."""
    return format_decimal(value, locale=locale)


def date(timestamp: int | None, locale: str = DEFAULT_LOCALE) -> str:
    """Return a day in UTC: ``Nov 23, 2026``. No moment is a dash."""
    if timestamp is None:
        return NOTHING
    return format_date(datetime.fromtimestamp(timestamp, UTC), "medium", locale=locale)


def moment(timestamp: int | None, locale: str = DEFAULT_LOCALE) -> str:
    """Return a moment in UTC, to the second."""
    if timestamp is None:
        return NOTHING
    return format_datetime(datetime.fromtimestamp(timestamp, UTC), "medium", locale=locale) + " UTC"


def brief(timestamp: int, locale: str = DEFAULT_LOCALE) -> str:
    """Return a moment in UTC without its year, for narrow columns: ``Nov 23, 10:52:40 AM``."""
    day = format_skeleton("MMMd", datetime.fromtimestamp(timestamp, UTC), locale=locale)
    return f"{day}, {clock(timestamp, locale)}"


def clock(timestamp: int, locale: str = DEFAULT_LOCALE) -> str:
    """Return the time of the day in UTC."""
    return format_time(datetime.fromtimestamp(timestamp, UTC), "medium", locale=locale)


def per(recurring: dict[str, Any] | None) -> str:
    """Return how often a price is charged: ``per month``, ``every 3 months``; empty for a one-off price."""
    if not recurring:
        return ""
    count, interval = recurring.get("interval_count") or 1, recurring["interval"]
    return f"per {interval}" if count == 1 else f"every {count} {interval}s"


def words(value: str | None) -> str:
    """Return an enum value as words: ``past_due`` is ``Past due``."""
    return (value or "").replace("_", " ").replace(".", " ").capitalize()


def choose_locale(wanted: str | None, accept_language: str = "") -> str:
    """Return the locale of a page.

    Args:
        wanted: a session's ``locale``; ``auto`` or None leave it to the browser.
        accept_language: the browser's header, whose order stands for its preference.
    """
    if wanted and wanted != "auto":
        try:
            return str(Locale.parse(wanted, sep="-"))
        except (UnknownLocaleError, ValueError):
            pass
    preferred = [part.split(";")[0].strip().replace("-", "_") for part in accept_language.split(",")]
    return negotiate_locale(preferred, locale_identifiers()) or DEFAULT_LOCALE
