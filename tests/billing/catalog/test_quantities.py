"""How many of a plan one may have, by metadata: a table."""

import pytest

from gateway.billing.catalog.quantities import quantity_range, wrong_quantity
from harness.rows import price, product


@pytest.mark.parametrize(
    ("price_says", "product_says", "expected"),
    [
        ({}, {}, (1, None)),
        ({"min_quantity": "1", "max_quantity": "1"}, {}, (1, 1)),
        ({"min_quantity": " 3 "}, {"max_quantity": "9"}, (3, 9)),
        ({"min_quantity": "2"}, {"min_quantity": "5"}, (2, None)),
        ({"min_quantity": "0"}, {"min_quantity": "5"}, (5, None)),
        ({"min_quantity": "many", "max_quantity": "-1"}, {}, (1, None)),
        ({"min_quantity": "\u0663", "max_quantity": "\u00b2"}, {}, (1, None)),
        ({"min_quantity": "7", "max_quantity": "4"}, {}, (7, 7)),
        ({"max_quantity": "2147483647"}, {}, (1, 2**31 - 1)),
        ({"min_quantity": "2147483648", "max_quantity": "1234567890123"}, {}, (2**31 - 1, 2**31 - 1)),
        ({"max_quantity": "0000000000001"}, {}, (1, None)),
    ],
)
def test_the_least_and_the_most_of_a_plan(price_says, product_says, expected):
    assert quantity_range(price("month", "pro", meta=price_says), product("pro", meta=product_says)) == expected


@pytest.mark.parametrize("most", [{"max_quantity": "9"}, {}])
@pytest.mark.parametrize(("quantity", "fits"), [(1, False), (2, True), (5, True), (6, False)])
def test_which_quantities_one_can_have(quantity, fits, most):
    plan, of = price("month", "pro", meta={"min_quantity": "2", **most}), product("pro")
    assert (wrong_quantity(quantity, plan, of, max_quantity=5) is None) is fits
