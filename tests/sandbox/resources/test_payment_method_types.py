"""What a payment method shows of an account.

Recorded (pay, API 2025-10-29.clover): test_stripe_saves_acss_debit, _boleto, _fpx, _ideal, _sepa_debit, _p24, each #0;
openfoodnetwork (2026-06-24.dahlia): saves_the_card_locally #0 and #2.
"""

import pytest


@pytest.mark.parametrize(
    ("kind", "given", "shown"),
    [
        (
            "acss_debit",
            {"account_number": "000123456789", "institution_number": "000", "transit_number": "11000"},
            {
                "bank_name": "STRIPE TEST BANK",
                "institution_number": "000",
                "last4": "6789",
                "transit_number": "11000",
            },
        ),
        ("boleto", {"tax_id": "000.000.000-00"}, {"tax_id": "000.000.000-00"}),
        ("fpx", {"bank": "affin_bank"}, {"account_holder_type": "individual", "bank": "affin_bank"}),
        ("ideal", {"bank": "abn_amro"}, {"bank": "abn_amro", "bic": "ABNANL2A"}),
        ("p24", {"bank": "ing"}, {"bank": "ing"}),
        (
            "sepa_debit",
            {"iban": "DK5000400440116243"},
            {
                "bank_code": "0040",
                "branch_code": "",
                "country": "DK",
                "generated_from": {"charge": None, "setup_attempt": None},
                "last4": "6243",
            },
        ),
    ],
)
def test_an_account_shows_its_bank(stripe_client, kind, given, shown):
    method = stripe_client.v1.payment_methods.create({"type": kind, kind: given}).to_dict()
    fingerprint = method[kind].pop("fingerprint", None)
    assert method[kind] == shown
    assert bool(fingerprint) == (kind in ("acss_debit", "boleto", "sepa_debit"))


def test_a_card_shows_who_may_be_shown_it_again(stripe_client):
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2035, "cvc": "123"}
    token = stripe_client.v1.tokens.create({"card": card})
    assert (token.card.allow_redisplay, token.card.networks.preferred) == (None, None)
    customer = stripe_client.v1.customers.create()
    saved = stripe_client.v1.customers.payment_sources.create(customer.id, {"source": token.id}).to_dict()
    assert saved["allow_redisplay"] == "unspecified"
    assert {saved[name] for name in ("email", "phone", "wallet")} == {None}
