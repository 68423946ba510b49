"""How the pages name things."""

import pytest

from gateway.sandbox.pages.labels import method_name


@pytest.mark.parametrize(
    ("card", "name"),
    [
        ({"brand": "visa", "display_brand": "visa", "last4": "4242"}, "Visa •••• 4242"),
        ({"brand": "mastercard", "last4": "4444"}, "Mastercard •••• 4444"),
        ({"brand": "amex", "display_brand": "american_express", "last4": "0005"}, "American Express •••• 0005"),
        ({"brand": "unionpay", "display_brand": "union_pay", "last4": "0005"}, "UnionPay •••• 0005"),
        ({"brand": "jcb"}, "JCB"),
    ],
)
def test_a_card_has_the_name_that_its_brand_writes(card, name):
    assert method_name({"type": "card", "card": card}) == name
