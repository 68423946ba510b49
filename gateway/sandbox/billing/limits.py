"""The smallest and the largest amounts that Stripe charges. Source: docs.stripe.com/currencies."""

from __future__ import annotations

from decimal import Decimal

from gateway.sandbox.billing.lines import amount_text
from gateway.sandbox.core.errors import StripeError, invalid
from gateway.sandbox.core.money import THREE_DECIMAL

# Minor units, of a settlement in the same currency. Other currencies are converted at a rate that is not known here.
MINIMUM = {
    **dict.fromkeys(("usd", "aud", "brl", "cad", "chf", "eur", "inr", "nzd", "sgd"), 50),
    "aed": 200,
    "bgn": 100,
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "thb": 1000,
}
_MAXIMUM = 99_999_999  # eight digits
# More digits are for currencies with small units.
_MORE_DIGITS = {"cop": 10, "huf": 10, "idr": 12, "inr": 9, "jpy": 10, "lbp": 12}


def too_small(amount: int, currency: str) -> bool:
    """Return whether an amount is something, but less than can be charged."""
    return 0 < amount < MINIMUM.get(currency, 0)


def check_charge(amount: int, currency: str, param: str = "amount") -> None:
    """Refuse an amount that cannot be charged.

    Raises:
        StripeError: `amount_too_small`, `amount_too_large`, or a fraction of a three-decimal currency that cards lack.
    """
    if too_small(amount, currency):
        least = amount_text(Decimal(MINIMUM[currency]), currency)
        raise StripeError(f"Amount must be at least {least} {currency}", code="amount_too_small", param=param)
    most = 10 ** _MORE_DIGITS[currency] - 1 if currency in _MORE_DIGITS else _MAXIMUM
    if amount > most:
        text = amount_text(Decimal(most), currency)
        raise StripeError(f"Amount must be no more than {text}", code="amount_too_large", param=param)
    if currency in THREE_DECIMAL and amount % 10:
        raise invalid(f"Invalid amount: amounts in {currency} must end in 0.", param)


def check_checkout(amount: int, currency: str) -> None:
    """Refuse a checkout session over an amount that cannot be charged; one over nothing is fine."""
    if too_small(amount, currency):
        least = amount_text(Decimal(MINIMUM[currency]), currency)
        raise StripeError(
            f"The Checkout Session's total amount due must add up to at least {least} {currency}",
            code="amount_too_small",
        )
    check_charge(amount, currency, "line_items")
