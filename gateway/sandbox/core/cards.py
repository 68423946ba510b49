"""Stripe's test cards and test bank accounts: how each one behaves when it is saved and when it is charged.

Source: docs.stripe.com/testing. The tables are the registry: a new test card is one line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.sandbox.core.country_cards import COUNTRY_CARDS


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a payment method does.

    Attributes:
        decline: the decline code of every charge; None lets charges succeed.
        refused: the card cannot be saved to a customer either (`decline` says why).
        authentication: when 3-D Secure is asked for: "never", "always", "once", which is until the buyer has
            authenticated it (off-session charges then pass), or "requested", which is when the client asks for it.
        passes_unauthenticated: `decline` comes only when the buyer has authenticated the card.
        delay: seconds that the payment stays `processing` before its outcome, None for at once.
        dispute: the reason of the dispute that follows a successful charge.
        inquiry: that dispute is only an inquiry.
        refund: "succeeded", "pending" (succeeds later) or "failed" (succeeds first, fails later).
        disputes: how many disputes follow.
        fraud_warning: the bank warns of fraud after a successful charge.
        bypasses_pending: its money is available at once.
        risk: the risk level that Radar reports.
        cvc, line1, postal_code: what the bank finds when it checks the security code and the address.
    """

    decline: str | None = None
    refused: bool = False
    authentication: str = "never"
    passes_unauthenticated: bool = False
    delay: int | None = None
    dispute: str | None = None
    inquiry: bool = False
    disputes: int = 1
    fraud_warning: bool = False
    bypasses_pending: bool = False
    refund: str = "succeeded"
    risk: str = "normal"
    cvc: str = "pass"
    line1: str = "pass"
    postal_code: str = "pass"


@dataclass(frozen=True, slots=True)
class TestCard:
    """A card number with its face, the test tokens that stand for it, and its behaviour."""

    number: str
    brand: str = "visa"
    tokens: tuple[str, ...] = ()
    funding: str = "credit"
    country: str = "US"
    behaviour: Behaviour = field(default_factory=Behaviour)

    @property
    def last4(self) -> str:
        """The last four digits of the number."""
        return self.number[-4:]


@dataclass(frozen=True, slots=True)
class TestAccount:
    """A bank account for a debit (`us_bank_account`, `sepa_debit`), with its test tokens and its behaviour."""

    type: str
    number: str
    tokens: tuple[str, ...] = ()
    behaviour: Behaviour = field(default_factory=Behaviour)


# Bank debits tell their outcome later; Stripe's slow SEPA test accounts take three minutes.
SOON, LATER = 60, 180


def _declines(code: str, *, refused: bool = True, authentication: str = "never") -> Behaviour:
    return Behaviour(decline=code, refused=refused, authentication=authentication)


CARDS = (
    TestCard("4242424242424242", tokens=("visa", "us")),
    TestCard("4000056655665556", tokens=("visa_debit",), funding="debit"),
    TestCard("5555555555554444", "mastercard", ("mastercard",)),
    TestCard("2223003122003222", "mastercard"),
    TestCard("5200828282828210", "mastercard", ("mastercard_debit",), funding="debit"),
    TestCard("5105105105105100", "mastercard", ("mastercard_prepaid",), funding="prepaid"),
    TestCard("378282246310005", "amex", ("amex", "amex_threeDSecureNotSupported")),
    TestCard("371449635398431", "amex"),
    TestCard("6011111111111117", "discover", ("discover",)),
    TestCard("3056930009020004", "diners", ("diners",)),
    TestCard("3566002020360505", "jcb", ("jcb",)),
    TestCard("6200000000000005", "unionpay", ("unionpay",)),
    *(
        TestCard(number, tokens=("gb", "uk") if code == "GB" else (code.lower(),), country=code)
        for code, number in COUNTRY_CARDS.items()
    ),
    TestCard("4000002500001001", tokens=("visa_cartesBancaires",), country="FR"),
    TestCard("5555552500001001", "mastercard", ("mastercard_cartesBancaires",), country="FR"),
    TestCard("4000050360000001", tokens=("visa_debit_eftposAuCoBranded",), funding="debit", country="AU"),
    TestCard("5555050360000080", "mastercard", ("mastercard_debit_eftposAuCoBranded",), funding="debit", country="AU"),
    TestCard("4000058260000005", tokens=("gb_debit",), funding="debit", country="GB"),
    TestCard("5555558265554449", "mastercard", ("gb_mastercard",), country="GB"),
    TestCard("5200007840000022", "mastercard", ("ae_mastercard",), country="AE"),
    TestCard("3530111333300000", "jcb", ("jp_jcb",), country="JP"),
    TestCard("4000007640000003", tokens=("th_credit",), country="TH"),
    TestCard("4000057640000008", tokens=("th_debit",), funding="debit", country="TH"),
    TestCard("6011981111111113", "discover", ("discover_debit",), funding="debit"),
    TestCard("6011000990139424", "discover"),
    TestCard("36227206271667", "diners"),
    TestCard("6555900000604105", "discover", ("bccard",)),
    TestCard("6200000000000047", "unionpay", ("unionpay_debit",), funding="debit"),
    TestCard("6205500000000000004", "unionpay"),
    # What the bank finds when it checks the address and the security code.
    TestCard("4000000000000010", tokens=("avsFail",), behaviour=Behaviour(line1="fail", postal_code="fail")),
    TestCard("4000000000000028", tokens=("avsLine1Fail",), behaviour=Behaviour(line1="fail")),
    TestCard("4000000000000036", tokens=("avsZipFail",), behaviour=Behaviour(postal_code="fail")),
    TestCard(
        "4000000000000044",
        tokens=("avsUnchecked",),
        behaviour=Behaviour(line1="unavailable", postal_code="unavailable"),
    ),
    TestCard("4000000000000101", tokens=("cvcCheckFail",), behaviour=Behaviour(cvc="fail")),
    TestCard(
        "4000058400307872", tokens=("cvcCheckFailElevatedRisk",), behaviour=Behaviour(cvc="fail", risk="elevated")
    ),
    TestCard(
        "4000058400306072", tokens=("avsZipFailElevatedRisk",), behaviour=Behaviour(postal_code="fail", risk="elevated")
    ),
    # What Radar blocks, or has authenticated, only by settings of the account; the last two show a captcha.
    TestCard("4000008400000407", tokens=("highFraudDisputeScore",)),
    TestCard("4000008400000159", tokens=("highEfwScore",)),
    TestCard("4000008400001017", tokens=("radarDynamicRiskThreshold",)),
    TestCard("4001858821843804", tokens=("freeTrialAbuseBlock",)),
    TestCard("4000008405600003", tokens=("adaptive3dsChallenge",)),
    TestCard("4000000000001208"),
    TestCard("4000000000003725"),
    # Declines. A card that says no to everything cannot be saved either.
    TestCard("4000000000000002", tokens=("visa_chargeDeclined",), behaviour=_declines("generic_decline")),
    TestCard(
        "4000000000009995",
        tokens=("visa_chargeDeclinedInsufficientFunds",),
        behaviour=_declines("insufficient_funds"),
    ),
    TestCard("4000000000009987", tokens=("visa_chargeDeclinedLostCard",), behaviour=_declines("lost_card")),
    TestCard("4000000000009979", tokens=("visa_chargeDeclinedStolenCard",), behaviour=_declines("stolen_card")),
    TestCard("4000000000000069", tokens=("chargeDeclinedExpiredCard",), behaviour=_declines("expired_card")),
    TestCard("4000000000000127", tokens=("chargeDeclinedIncorrectCvc",), behaviour=_declines("incorrect_cvc")),
    TestCard("4000000000000119", tokens=("chargeDeclinedProcessingError",), behaviour=_declines("processing_error")),
    TestCard(
        "4000000000006975",
        tokens=("visa_chargeDeclinedVelocityLimitExceeded",),
        behaviour=_declines("card_velocity_exceeded"),
    ),
    TestCard("4100000000000019", tokens=("radarBlock",), behaviour=Behaviour("fraudulent", risk="highest")),
    # Saves without trouble and fails when it is charged: a renewal that does not go through.
    TestCard("4000000000000341", tokens=("chargeCustomerFail",), behaviour=_declines("generic_decline", refused=False)),
    TestCard(
        "4000000000000341",
        tokens=("visa_chargeCustomerFailLostCard",),
        behaviour=_declines("lost_card", refused=False),
    ),
    TestCard(
        "4000000000000341",
        tokens=("visa_chargeCustomerFailStolenCard",),
        behaviour=_declines("stolen_card", refused=False),
    ),
    # 3-D Secure
    TestCard(
        "4000002500003155",
        country="FR",
        tokens=("authenticationRequiredOnSetup",),
        behaviour=Behaviour(authentication="once"),
    ),
    TestCard(
        "4000002760003184",
        tokens=("authenticationRequired",),
        country="DE",
        behaviour=Behaviour(authentication="always"),
    ),
    TestCard("4000003800000446", country="IT", tokens=("authenticationRequiredSetupForOffSession",)),
    TestCard(
        "4000008260003178",
        country="GB",
        tokens=("authenticationRequiredChargeDeclinedInsufficientFunds",),
        behaviour=_declines("insufficient_funds", refused=False, authentication="always"),
    ),
    TestCard("4000000000003220", tokens=("threeDSecure2Required",), behaviour=Behaviour(authentication="always")),
    TestCard("4000000000003063", tokens=("threeDSecureRequired",), behaviour=Behaviour(authentication="always")),
    *(TestCard(f"400000000000{last}", behaviour=Behaviour(authentication="always")) for last in (3238, 3246, 3253)),
    TestCard(
        "4000008400001629",
        tokens=("threeDSecureRequiredChargeDeclined",),
        behaviour=_declines("generic_decline", refused=False, authentication="always"),
    ),
    TestCard(
        "4000008400001280",
        tokens=("threeDSecureRequiredProcessingError",),
        behaviour=_declines("processing_error", refused=False, authentication="always"),
    ),
    TestCard("4000000000003055", tokens=("threeDSecureOptional",), behaviour=Behaviour(authentication="requested")),
    TestCard(
        "4000000000003097",
        tokens=("threeDSecureOptionalProcessingError",),
        behaviour=Behaviour("processing_error", authentication="requested", passes_unauthenticated=True),
    ),
    # Disputes, fraud and refunds
    TestCard("4000000000000259", tokens=("createDispute",), behaviour=Behaviour(dispute="fraudulent")),
    TestCard(
        "4000000000002685",
        tokens=("createDisputeProductNotReceived",),
        behaviour=Behaviour(dispute="product_not_received"),
    ),
    TestCard(
        "4000000000001976",
        tokens=("createDisputeInquiry",),
        behaviour=Behaviour(dispute="fraudulent", inquiry=True),
    ),
    TestCard(
        "4000000404000079", tokens=("createMultipleDisputes",), behaviour=Behaviour(dispute="fraudulent", disputes=2)
    ),
    TestCard("4000000404000038", tokens=("createCe3EligibleDispute",), behaviour=Behaviour(dispute="fraudulent")),
    TestCard("4000008400000779", tokens=("createComplianceDispute",), behaviour=Behaviour(dispute="noncompliant")),
    TestCard("5105008400000002", "mastercard", behaviour=Behaviour(dispute="noncompliant")),
    TestCard("4000000001000043", behaviour=Behaviour(dispute="fraudulent")),
    TestCard("4000000000005423", tokens=("createIssuerFraudRecord",), behaviour=Behaviour(fraud_warning=True)),
    TestCard("4000000000009235", tokens=("riskLevelElevated",), behaviour=Behaviour(risk="elevated")),
    TestCard("4000000000004954", tokens=("riskLevelHighest",), behaviour=Behaviour("fraudulent", risk="highest")),
    TestCard("4000000000000077", tokens=("bypassPending",), behaviour=Behaviour(bypasses_pending=True)),
    TestCard(
        "4000003720000278",
        tokens=("bypassPendingInternational",),
        country="IE",
        behaviour=Behaviour(bypasses_pending=True),
    ),
    TestCard("4000000000007726", tokens=("pendingRefund",), behaviour=Behaviour(refund="pending")),
    TestCard("4000000000005126", tokens=("refundFail",), behaviour=Behaviour(refund="failed")),
)

ACCOUNTS = (
    TestAccount("us_bank_account", "000123456789", ("usBankAccount_success",), Behaviour(delay=SOON)),
    TestAccount(
        "us_bank_account",
        "000111111116",
        ("usBankAccount_accountClosed",),
        Behaviour("account_closed", delay=SOON),
    ),
    TestAccount("us_bank_account", "000111111113", ("usBankAccount_noAccount",), Behaviour("no_account", delay=SOON)),
    TestAccount(
        "us_bank_account",
        "000222222227",
        ("usBankAccount_insufficientFunds",),
        Behaviour("insufficient_funds", delay=SOON),
    ),
    TestAccount(
        "us_bank_account",
        "000333333335",
        ("usBankAccount_debitNotAuthorized",),
        Behaviour("debit_not_authorized", delay=SOON),
    ),
    TestAccount("us_bank_account", "000000000009", ("usBankAccount_processing",), Behaviour(delay=14 * 86_400)),
    TestAccount(
        "us_bank_account", "000666666661", ("usBankAccount_dispute",), Behaviour(delay=SOON, dispute="fraudulent")
    ),
    TestAccount("sepa_debit", "AT611904300234573201", ("sepaDebit_success",), Behaviour(delay=SOON)),
    TestAccount("sepa_debit", "IT60X0542811101000000123456", behaviour=Behaviour("generic_decline", delay=SOON)),
    TestAccount("sepa_debit", "AT861904300235473202", behaviour=Behaviour("generic_decline", delay=SOON)),
    TestAccount("sepa_debit", "AT321904300235473204", behaviour=Behaviour(delay=LATER)),
    TestAccount("sepa_debit", "AT981904300235473205", behaviour=Behaviour("generic_decline", delay=LATER)),
    TestAccount("sepa_debit", "DE89370400440532013000", behaviour=Behaviour(delay=SOON)),
    TestAccount(
        "sepa_debit",
        "DE62370400440532013001",
        ("sepaDebit_fail",),
        Behaviour("generic_decline", delay=SOON),
    ),
    TestAccount("sepa_debit", "DE08370400440532013003", behaviour=Behaviour(delay=LATER)),
    TestAccount("sepa_debit", "DE78370400440532013004", behaviour=Behaviour("generic_decline", delay=LATER)),
    TestAccount(
        "sepa_debit", "DE65370400440532013002", behaviour=Behaviour(delay=SOON, dispute="debit_not_authorized")
    ),
)

# What an account number that is in no table does: bank debits are never settled at once.
ANY_DEBIT = Behaviour(delay=SOON)

_CARDS_BY_NUMBER = {card.number: card for card in reversed(CARDS)}
_KNOWN: tuple[TestCard | TestAccount, ...] = (*CARDS, *ACCOUNTS)
_BY_TOKEN = {token: known for known in _KNOWN for token in known.tokens}
_ACCOUNTS_BY_NUMBER = {account.number: account for account in ACCOUNTS}
# Older names of the same tokens, which the Stripe CLI's fixtures use.
_PREFIXES = ("pm_card_", "pm_", "tok_", "btok_")


def by_number(number: str) -> TestCard | None:
    """Return the test card with this number (blanks and dashes are ignored), or None."""
    return _CARDS_BY_NUMBER.get(number.replace(" ", "").replace("-", ""))


def account_by_number(number: str) -> TestAccount | None:
    """Return the test bank account with this account number or IBAN, or None."""
    return _ACCOUNTS_BY_NUMBER.get(number.replace(" ", ""))


def by_token(token: str) -> TestCard | TestAccount | None:
    """Return what `pm_card_visa`, `tok_visa`, `pm_usBankAccount_success` and the like stand for, or None."""
    for prefix in _PREFIXES:
        if token.startswith(prefix):
            name = token.removeprefix(prefix)
            return _BY_TOKEN.get(name) or _BY_TOKEN.get(f"visa_{name}")
    return None


def behaviour_of(payment_method: dict[str, Any]) -> Behaviour:
    """Return the behaviour that a stored payment method carries in its private `_behaviour`."""
    return Behaviour(**payment_method.get("_behaviour", {}))
