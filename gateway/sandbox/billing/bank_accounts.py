"""Bank accounts and wallets as payment methods: what Stripe shows of each type.

Source: https://docs.stripe.com/api/payment_methods/object
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from gateway.sandbox.core import cards

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.sandbox.core.store import Obj

# Which bank has which code: the SDK's enums of `ideal[bank]` and `ideal.bic`.
_BICS = {
    "abn_amro": "ABNANL2A",
    "asn_bank": "ASNBNL21",
    "bunq": "BUNQNL2A",
    "handelsbanken": "HANDNL2A",
    "ing": "INGBNL2A",
    "knab": "KNABNL2H",
    "moneyou": "MOYONL21",
    "n26": "NTSBDEB1",
    "nn": "NNBANL2G",
    "rabobank": "RABONL2U",
    "regiobank": "RBRBNL21",
    "revolut": "REVOLT21",
    "sns_bank": "SNSBNL2A",
    "triodos_bank": "TRIONL2U",
    "van_lanschot": "FVLBNL22",
    "yoursafe": "BITSNL2A",
}


def details(type: str, given: Obj) -> Obj:
    """Return what is known of an account, and how it behaves; recorded: pay, stripe_saves_* #0."""
    number = given.get("iban") or given.get("account_number") or ""
    known = cards.account_by_number(number)
    behaviour = asdict(known.behaviour if known else cards.ANY_DEBIT)
    public = {name: value for name, value in given.items() if name not in ("iban", "account_number")}
    if number:
        public |= {"fingerprint": fingerprint(number), "last4": number[-4:]}
    more = _OF_ACCOUNTS.get(type)
    shown = {**public, **(more(given) if more else {})}
    return {type: shown, "_behaviour": behaviour}


def _of_sepa_account(given: Obj) -> Obj:
    """Return the bank that an IBAN names: eight digits in Germany, four elsewhere."""
    iban = given.get("iban", "")
    bank = iban[4:12] if iban[:2] == "DE" else iban[4:8]
    generated = {"charge": None, "setup_attempt": None}
    return {"bank_code": bank, "branch_code": "", "country": iban[:2], "generated_from": generated}


def _of_us_account(given: Obj) -> Obj:
    return {
        "account_holder_type": given.get("account_holder_type", "individual"),
        "account_type": given.get("account_type", "checking"),
        "bank_name": "STRIPE TEST BANK",
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": given.get("routing_number", "110000000"),
    }


_OF_ACCOUNTS: dict[str, Callable[[Obj], Obj]] = {
    "acss_debit": lambda _: {"bank_name": "STRIPE TEST BANK"},
    "boleto": lambda given: {"fingerprint": fingerprint(given.get("tax_id", ""))},
    "fpx": lambda given: {"account_holder_type": given.get("account_holder_type", "individual")},
    "ideal": lambda given: {"bic": _BICS.get(given.get("bank", ""))},
    "sepa_debit": _of_sepa_account,
    "us_bank_account": _of_us_account,
}


def fingerprint(number: str) -> str:
    """Return the same for the same number, as Stripe's."""
    return hashlib.sha256(number.encode()).hexdigest()[:16]
