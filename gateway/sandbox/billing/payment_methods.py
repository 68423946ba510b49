"""Payment methods: made from test numbers and test tokens, attached to customers.

Source: https://docs.stripe.com/api/payment_methods and https://docs.stripe.com/testing
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gateway.sandbox.billing import bank_accounts
from gateway.sandbox.core import cards, declines
from gateway.sandbox.core.errors import StripeError, invalid, parameter_missing, resource_missing
from gateway.sandbox.core.merge import merge

if TYPE_CHECKING:
    from gateway.sandbox.core.ports import Sandbox
    from gateway.sandbox.core.store import Obj


CONFIGURATION: Obj = {"id": "pmc_1SandboxSandboxSandbox00", "parent": None}
"""The account's one configuration: where automatic payment methods say that their types come from (recorded)."""
_CENTURY = 2000

_NOT_TEST = "Your card was declined. Your request was in test mode, but used a non test card."


def create(sandbox: Sandbox, params: Obj) -> Obj:
    """Create a payment method from the parameters of `POST /v1/payment_methods`: a number, a token, an account."""
    method_type = params.get("type") or ("card" if "card" in params else None)
    if method_type is None:
        raise parameter_missing("type")
    given = params.get(method_type, {})
    if method_type == "card" and "token" in given:
        details = _of_token(sandbox, given["token"], "card[token]")
    elif method_type == "card":
        details = card_details(given, sandbox.now())
    else:
        details = bank_accounts.details(method_type, given)
    return _make(sandbox, {**details, "type": method_type}, params)


def resolve(sandbox: Sandbox, id: str, param: str = "payment_method") -> Obj:
    """Return the stored payment method, or a new one for a test token (`pm_card_visa`, `tok_visa`, a `tok_…`).

    Raises:
        StripeError: `resource_missing` when it is neither.
    """
    found = sandbox.store.get("payment_method", id)
    if found:
        return found
    details = _of_token(sandbox, id, param)
    return _make(sandbox, details, {})


def given(sandbox: Sandbox, params: Obj) -> Obj | None:
    """Return the payment method of a call: an id, a token, or one described by `payment_method_data`; None for none."""
    if params.get("payment_method"):
        return resolve(sandbox, params["payment_method"])
    if params.get("payment_method_data"):
        return create(sandbox, params["payment_method_data"])
    return None


def attach(sandbox: Sandbox, method: Obj, customer_id: str) -> Obj:
    """Save a payment method to a customer.

    Raises:
        StripeError: 402 for a card that refuses to be saved, 400 when it belongs to another customer.
    """
    sandbox.need("customer", customer_id, "customer")
    if method["customer"] == customer_id:
        return method
    if method["customer"] or method.get("_detached"):
        state = "has already been attached to a customer" if method["customer"] else "was detached before"
        raise invalid(f"The payment method you provided {state}.")  # recorded: neither code nor param
    behaviour = cards.behaviour_of(method)
    if behaviour.refused and behaviour.decline:
        code, message = declines.declined(behaviour.decline)
        refusal = declines.refusal(behaviour.decline)
        network: Obj = {"network_decline_code": refusal.network_code} if refusal.network_code else {}
        raise StripeError(
            message,
            status=402,
            type="card_error",
            code=code,
            param=refusal.param or "",  # recorded: an empty one where the bank names no field
            advice_code=refusal.advice,
            decline_code=behaviour.decline,
            **network,
        )
    method = sandbox.store.put({**verified(method), "customer": customer_id})
    sandbox.emit("payment_method.attached", method)
    return method


def verified(method: Obj) -> Obj:
    """Return a payment method whose card the bank has seen: what was `unchecked` of it is checked, as recorded."""
    if method["type"] != "card":
        return method
    behaviour, address = cards.behaviour_of(method), method["billing_details"]["address"] or {}
    checks = {
        "address_line1_check": behaviour.line1 if address.get("line1") else None,
        "address_postal_code_check": behaviour.postal_code if address.get("postal_code") else None,
        "cvc_check": behaviour.cvc if method["card"]["checks"]["cvc_check"] == "unchecked" else None,
    }
    checks = {name: found or method["card"]["checks"].get(name) for name, found in checks.items()}
    return {**method, "card": {**method["card"], "checks": checks}}


def detach(sandbox: Sandbox, method: Obj) -> Obj:
    """Take a payment method off its customer, and out of the customer's defaults."""
    customer_id = method["customer"]
    if customer_id is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            code="payment_method_unexpected_state",
        )
    detached = sandbox.store.put({**method, "customer": None, "_detached": True})
    sandbox.emit("payment_method.detached", detached, method)
    customer = sandbox.store.get("customer", customer_id)
    if customer and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        customer["invoice_settings"]["default_payment_method"] = None
        sandbox.update(customer, "customer.updated")
    return detached


def card_details(given: Obj, now: int) -> Obj:
    """Return the `card` hash and behaviour for a card number.

    Args:
        given: `number`, `exp_month`, `exp_year`, optionally `cvc`.
        now: Unix seconds, to see whether the card has expired.

    Raises:
        StripeError: 402, as for a mistyped, an expired or a real card.
    """
    for name in ("number", "exp_month", "exp_year"):
        if name not in given:
            raise parameter_missing(f"card[{name}]")
    number = str(given["number"]).replace(" ", "").replace("-", "")
    if not _luhn(number):
        raise _card_error("Your card number is incorrect.", "incorrect_number", "number")
    card = cards.by_number(number)
    if card is None:
        raise _card_error(_NOT_TEST, "card_declined", "number", decline_code="test_mode_live_card")
    month, year = int(given["exp_month"]), int(given["exp_year"])
    year += _CENTURY if year < 100 else 0  # noqa: PLR2004 -- two-digit years
    today = datetime.fromtimestamp(now, UTC)
    if not 1 <= month <= 12:  # noqa: PLR2004 -- months
        raise _card_error("Your card's expiration month is invalid.", "invalid_expiry_month", "exp_month")
    if (year, month) < (today.year, today.month):
        raise _card_error("Your card's expiration year is invalid.", "invalid_expiry_year", "exp_year")
    return _card(card, month, year, checked="cvc" in given)


def _of_token(sandbox: Sandbox, token: str, param: str) -> Obj:
    """Return the type-specific part of the payment method that a token stands for."""
    stored = sandbox.store.get("token", token)
    if stored:
        if stored["used"]:
            raise invalid(f"You cannot use a Stripe token more than once: {token}.", param, "token_already_used")
        sandbox.store.put({**stored, "used": True})
        return dict(stored["_details"])
    known = cards.by_token(token)
    if known is None:
        noun = "token" if token.startswith(("tok_", "btok_")) else "PaymentMethod"
        raise resource_missing(noun, token, "payment_method" if param == "id" else param, 404 if param == "id" else 400)
    if isinstance(known, cards.TestAccount):
        key = "iban" if known.type == "sepa_debit" else "account_number"
        return {**bank_accounts.details(known.type, {key: known.number}), "type": known.type}
    # Stripe's ready-made test cards expire in the month in which they were made, in the year after the next.
    today = datetime.fromtimestamp(sandbox.now(), UTC)
    return _card(known, today.month, today.year + 1, checked=True)


def _make(sandbox: Sandbox, details: Obj, params: Obj) -> Obj:
    method = {
        "object": "payment_method",
        "billing_details": {"address": {}},
        "customer": None,
        "metadata": {},
        "allow_redisplay": "unspecified",
        **details,
    }
    return sandbox.create(merge(method, params, "billing_details", "metadata", "allow_redisplay"))


def _card(card: cards.TestCard, month: int, year: int, *, checked: bool) -> Obj:
    return {
        "type": "card",
        "card": {
            "brand": card.brand,
            "checks": {"cvc_check": "unchecked" if checked else None},
            "country": card.country,
            "display_brand": "american_express" if card.brand == "amex" else card.brand,
            "exp_month": month,
            "exp_year": year,
            "fingerprint": bank_accounts.fingerprint(card.number),
            "funding": card.funding,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
        },
        "_behaviour": asdict(card.behaviour),
    }


def _luhn(number: str) -> bool:
    if not number.isdecimal():
        return False
    digits = [int(each) for each in reversed(number)]
    return sum(digits[::2] + [sum(divmod(2 * each, 10)) for each in digits[1::2]]) % 10 == 0


def _card_error(message: str, code: str, param: str, **extra: Any) -> StripeError:
    return StripeError(message, status=402, type="card_error", code=code, param=param, **extra)
