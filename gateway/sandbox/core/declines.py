"""What a bank and Stripe say about a payment that was declined, for each decline code."""

from __future__ import annotations

from dataclasses import dataclass

# Stripe's code and words for each decline code that is not plainly `card_declined`.
CODES = {"expired_card", "incorrect_cvc", "processing_error"}
MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "card_velocity_exceeded": "Your card was declined for making repeated attempts too frequently or exceeding "
    "its amount limit.",
    "account_closed": "The customer's bank account has been closed.",
    "no_account": "The customer's bank account could not be located.",
    "debit_not_authorized": "The customer has notified their bank that this payment was unauthorized.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a bank says besides its decline code: what to do about it, the network's own code, the field it is about.

    Source: recorded declines of each test card, and https://docs.stripe.com/declines/codes.
    """

    network_code: str | None = "01"
    advice: str = "try_again_later"
    param: str | None = None


REFUSALS = {
    "card_velocity_exceeded": Refusal("61"),
    "expired_card": Refusal("54", "confirm_card_data", "exp_month"),
    "fraudulent": Refusal(None, "do_not_try_again"),
    "incorrect_cvc": Refusal("N7", "confirm_card_data", "cvc"),
    "insufficient_funds": Refusal("51"),
    "lost_card": Refusal("41", "do_not_try_again"),
    "processing_error": Refusal("06"),
    "stolen_card": Refusal("43", "do_not_try_again"),
}


def refusal(decline_code: str) -> Refusal:
    """Return what goes with a decline code; of those not recorded, what goes with a plain `generic_decline`."""
    return REFUSALS.get(decline_code, Refusal())


def declined(decline_code: str) -> tuple[str, str]:
    """Return Stripe's error `code` and message for a decline code."""
    code = decline_code if decline_code in CODES or decline_code == "authentication_required" else "card_declined"
    return code, MESSAGES.get(decline_code, "Your card was declined.")
