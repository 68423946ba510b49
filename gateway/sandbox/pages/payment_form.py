"""What the buyer typed into the payment fields, checked as a browser's payment form would check it.

Checkout and customer portal share it. What a card then *does* is the business of the test card itself.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.sandbox.core import cards

DECLINED_CARD = "4000000000000002"

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{4,24}")
_EXPIRY = re.compile(r"(\d{1,2})\s*/?\s*(\d{2}|\d{4})")
_MINIMUM_CARD_DIGITS, _MAXIMUM_CARD_DIGITS = 12, 19


@dataclass(frozen=True, slots=True)
class Example:
    """A test card or bank account that the page offers to fill in; `tone` colours its dot."""

    label: str
    number: str
    tone: str = ""
    method: str = "card"

    @property
    def shown(self) -> str:
        """The number in groups of four."""
        return re.sub(r"(.{4})(?=.)", r"\1 ", self.number)

    @property
    def cvc(self) -> str:
        """The security code that goes with it: American Express has four digits."""
        return "1234" if self.number.startswith(("34", "37")) else "123"


EXAMPLES = (
    Example("Succeeds", "4242424242424242"),
    Example("Mastercard", "5555555555554444"),
    Example("3-D Secure", "4000002760003184", "info"),
    Example("Declined", DECLINED_CARD, "danger"),
    Example("Insufficient funds", "4000000000009995", "danger"),
    Example("Expired card", "4000000000000069", "danger"),
    Example("Wrong CVC", "4000000000000127", "danger"),
    Example("Fails when charged", "4000000000000341", "warn"),
    Example("Disputed later", "4000000000000259", "warn"),
    Example("Debit settles later", "DE89370400440532013000", "info", "bank"),
    Example("Debit fails later", "DE62370400440532013001", "warn", "bank"),
)


def examples(methods: list[str]) -> list[Example]:
    """Return the examples for the ways to pay that a page offers (``card``, ``bank``)."""
    return [example for example in EXAMPLES if example.method in methods]


def fill(form: dict[str, str]) -> None:
    """Put the example that was pressed into the form: what the page's script does, for browsers without it."""
    for example in EXAMPLES:
        if example.number == form.get("fill"):
            form["method"] = example.method
            if example.method == "bank":
                form["bank_account"] = example.shown
            else:
                form.update(card_number=example.shown, card_expiry="12 / 34", card_cvc=example.cvc)


def luhn(number: str) -> bool:
    """Return whether the digits of a card number add up (ISO/IEC 7812)."""
    if not number.isascii() or not number.isdigit():
        return False
    doubled = [int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(number))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0  # noqa: PLR2004  # two digits


def _digits(text: str) -> str:
    return re.sub(r"[\s-]", "", text)


def expiry(text: str) -> tuple[int, int] | None:
    """Return month and four-digit year of ``12 / 34``, None if it is no such thing."""
    match = _EXPIRY.fullmatch(text)
    if not match:
        return None
    month, year = int(match[1]), int(match[2])
    return (month, year if year >= 1000 else 2000 + year) if 1 <= month <= 12 else None  # noqa: PLR2004


def email_errors(form: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with the e-mail address, by field."""
    if _EMAIL.fullmatch(form.get("email", "")):
        return {}
    return {"email": "Enter an e-mail address such as you@example.com."}


def phone_errors(form: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with the phone number, by field."""
    if _PHONE.fullmatch(form.get("phone", "")):
        return {}
    return {"phone": "Enter a phone number such as +43 1 234567."}


def method_errors(form: dict[str, str], now: int) -> dict[str, str]:
    """Return what is wrong with the card or the account, by field.

    Args:
        form: the fields of the page.
        now: the sandbox's time, against which the expiry date is held.
    """
    if form.get("method") == "bank":
        known = cards.account_by_number(form.get("bank_account", "").upper())
        return {} if known else {"bank_account": "Use one of the test accounts: no other account exists here."}
    errors = {}
    number = _digits(form.get("card_number", ""))
    if not (_MINIMUM_CARD_DIGITS <= len(number) <= _MAXIMUM_CARD_DIGITS and luhn(number)):
        errors["card_number"] = "Your card number is invalid."
    elif not cards.by_number(number):
        errors["card_number"] = "Use one of Stripe's test cards: no other card exists here."
    date = expiry(form.get("card_expiry", ""))
    if date is None:
        errors["card_expiry"] = "Enter the expiry date as MM / YY."
    elif date[::-1] < _this_month(now):
        errors["card_expiry"] = "Your card's expiration date is in the past."
    if not re.fullmatch(r"[0-9]{3,4}", form.get("card_cvc", "")):
        errors["card_cvc"] = "Enter the 3 or 4 digits of the security code."
    return errors


def _this_month(now: int) -> tuple[int, int]:
    today = datetime.fromtimestamp(now, UTC)
    return today.year, today.month


def payment_method_params(form: dict[str, str]) -> dict[str, Any]:
    """Return the parameters of ``POST /v1/payment_methods`` for a form without errors."""
    billing = {name: form[name] for name in ("email", "name") if form.get(name)}
    details: dict[str, Any] = {"billing_details": billing} if billing else {}
    if form.get("method") == "bank":
        return {"type": "sepa_debit", "sepa_debit": {"iban": _digits(form["bank_account"]).upper()}, **details}
    month, year = expiry(form["card_expiry"]) or (0, 0)
    card = {
        "number": _digits(form["card_number"]),
        "exp_month": month,
        "exp_year": year,
        "cvc": form["card_cvc"],
    }
    return {"type": "card", "card": card, **details}
