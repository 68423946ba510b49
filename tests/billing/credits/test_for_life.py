"""Which lines bring a product for life: a table without a database."""

import pytest

from gateway.billing.credits.for_life import OwnedLine, of_invoice, of_session
from gateway.billing.credits.prices import CreditRule


def rule(product_id: str = "prod", *, interval: str | None = None, **meta: str) -> CreditRule:
    return CreditRule({}, {"product_id": product_id, "interval": interval, "meta": meta})


RULES = {
    "life": rule("key", lifetime="true"),
    "shouted": rule("key", lifetime="TRUE"),
    "plain": rule("key"),
    "no": rule("key", lifetime="yes"),
    "plan": rule("key", interval="month", lifetime="true"),
    "unknown": CreditRule({"lifetime": "true"}),
}


@pytest.mark.parametrize(
    ("price", "amount", "quantity", "brings"),
    [
        ("life", 900, 2, 2),
        ("life", 0, 1, 1),  # a coupon has made it free
        ("life", -900, 1, None),  # given back
        ("life", 900, None, 0),
        ("shouted", 900, 1, 1),
        ("plain", 900, 1, None),
        ("no", 900, 1, None),
        ("plan", 900, 1, None),
        ("unknown", 900, 1, None),
        ("of nobody", 900, 1, None),
        (None, 900, 1, None),
    ],
)
def test_a_line_of_a_one_off_price_that_says_so_brings_its_product(price, amount, quantity, brings):
    line = {"id": "il_1", "amount": amount, "quantity": quantity}
    expected = () if brings is None else (OwnedLine("il_1", "key", brings),)
    assert of_invoice({"lines": [line | {"price": price}]}, RULES) == expected
    if amount >= 0:
        assert of_session({"line_items": [line | {"price": price and {"id": price}}]}, RULES) == expected


def test_a_checkout_whose_lines_are_not_there_yet_brings_nothing():
    assert of_session({"line_items": None}, RULES) == of_session({"line_items": []}, RULES) == ()
    assert of_invoice({"lines": []}, RULES) == ()
    nameless = {"id": "li_1", "quantity": 1, "price": {"name": "life"}}
    assert of_session({"line_items": [nameless]}, {**RULES, "": rule("nothing")}) == ()


def test_every_line_counts():
    lines = [{"id": name, "amount": 1, "quantity": 1, "price": "life"} for name in ("a", "b")]
    assert [each.id for each in of_invoice({"lines": lines}, RULES)] == ["a", "b"]
