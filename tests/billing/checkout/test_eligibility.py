"""Which live subscription excludes which purchase, as a table without HTTP and without a database."""

import pytest

from gateway.billing.catalog.product_prices import group_of
from gateway.billing.checkout.cart import Cart
from gateway.billing.checkout.eligibility import conflicts
from gateway.billing.checkout.request import Line
from harness.rows import price, product, snapshot

CATALOG = snapshot(
    product("starter"),
    product("pro"),
    product("storage", meta={"group": "storage"}),
    product("disk", meta={"group": "storage"}),
    product("seats", meta={"addon": "true"}),
    product("calls", meta={"addon": "TRUE", "group": "storage"}),
    *(price(f"{name}_m", name) for name in ("starter", "pro", "storage", "disk", "seats", "calls")),
    price("pack", "pro", 500, interval=None, interval_count=None, usage_type=None),
)


def refused(held: dict[str, str], *prices: str) -> list[tuple[str, str]]:
    """The fields of the lines that are refused, each with the subscription that the message names."""
    cart = Cart(tuple((CATALOG.prices[each], Line(each)) for each in prices), None)
    found = conflicts(cart, held, CATALOG)
    assert {problem.code.name for problem in found} <= {"ALREADY_SUBSCRIBED"}
    assert all(("sub_sched_" in each.message) != ("changeSubscription" in each.message) for each in found)
    return [(problem.field or "", problem.message.split("(")[1].split(")")[0]) for problem in found]


@pytest.mark.parametrize(
    ("held", "prices", "expected"),
    [
        ({}, ["starter_m"], []),
        ({"starter": "sub_1"}, ["starter_m"], [("lineItems.0", "sub_1")]),
        ({"starter": "sub_1"}, ["pro_m"], [("lineItems.0", "sub_1")]),  # a tier of the same offer
        ({"starter": "sub_1"}, ["pack"], []),  # what is paid once excludes nothing
        ({"starter": "sub_1"}, ["pack", "pro_m"], [("lineItems.1", "sub_1")]),
        ({"starter": "sub_1"}, ["storage_m"], []),
        ({"storage": "sub_1"}, ["disk_m"], [("lineItems.0", "sub_1")]),
        ({"storage": "sub_1"}, ["starter_m"], []),
        ({"starter": "sub_1", "storage": "sub_2"}, ["disk_m"], [("lineItems.0", "sub_2")]),
        ({"starter": "sub_1"}, ["seats_m"], []),
        ({"seats": "sub_1"}, ["starter_m"], []),
        ({"seats": "sub_1"}, ["calls_m"], []),
        ({"seats": "sub_1"}, ["seats_m"], [("lineItems.0", "sub_1")]),  # its quantity can be changed
        ({"calls": "sub_1"}, ["storage_m"], []),  # an add-on is of no group, whatever it names
        ({"pro": "sub_sched_1"}, ["starter_m"], [("lineItems.0", "sub_sched_1")]),  # it begins later
        ({"unknown": "sub_1"}, ["starter_m"], []),
        (
            {"pro": "sub_1", "starter": "sub_2"},
            ["pro_m", "starter_m"],
            [("lineItems.0", "sub_1"), ("lineItems.1", "sub_2")],
        ),
    ],
)
def test_what_excludes_what(held, prices, expected):
    assert refused(held, *prices) == expected


@pytest.mark.parametrize(
    ("meta", "group"),
    [
        ({}, ""),
        ({"group": "storage"}, "storage"),
        ({"addon": "true"}, None),
        ({"addon": "True", "group": "storage"}, None),
        ({"addon": "false"}, ""),
        ({"addon": ""}, ""),
    ],
)
def test_of_which_group_a_product_is(meta, group):
    assert group_of(product("any", meta=meta)) == group
