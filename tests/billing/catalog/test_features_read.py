"""Which products' features at Stripe must be read again: on tables in memory."""

import pytest

from gateway.billing.catalog.features import unexplained, unread
from gateway.models.mirrored import EntitlementSummary
from harness.rows import item, product, put, subscription

SUMMARY = EntitlementSummary(id="cus_1", as_of=0, features=[])


def known(id: str, *features: str):
    return product(id, entitlements=list(features))


def holds(product_id: str, id: str = "si_1", subscription_id: str = "sub_1"):
    row = item(id, "month", product_id)
    row.subscription_id = subscription_id
    return row


@pytest.mark.parametrize(
    ("rows", "asked", "expected"),
    [
        ([SUMMARY, product("b"), product("a"), known("c", "x"), known("d"), product("e")], list("bacd"), ["a", "b"]),
        ([product("a")], ["a"], []),  # a customer without entitlements
        ([EntitlementSummary(id="cus_2", as_of=0, features=[]), product("a")], ["a"], []),
        ([SUMMARY], ["a"], []),
    ],
)
def test_which_products_were_taken_before_their_features_were_read(connection, rows, asked, expected):
    put(connection, *rows)
    assert unread(connection, "cus_1", asked) == expected


PRO = [subscription(), holds("pro"), known("pro", "sso", "api")]
EXPLAINED = {
    "as it is known": (PRO, ["api", "sso"], True, []),
    "one is new": (PRO, ["api", "sso", "new"], True, ["pro"]),
    "one is gone": (PRO, ["api"], True, ["pro"]),
    "as far as it goes": (PRO, ["api"], False, []),
    "all of it as far as it goes": (PRO, ["api", "sso"], False, []),
    "one is new as far as it goes": (PRO, ["new"], False, ["pro"]),
    "not read yet": ([subscription(), holds("pro"), product("pro")], [], True, ["pro"]),
    "one of two is not read yet": (
        [*PRO, holds("also", "si_2"), product("also")],
        ["sso", "api"],
        True,
        ["also", "pro"],
    ),
    "of two together": ([*PRO, holds("also", "si_2"), known("also", "x")], ["sso", "api", "x"], True, []),
    "twice": ([*PRO, holds("pro", "si_2")], ["x"], True, ["pro"]),
    "nothing": ([], [], True, []),
    "in its trial": ([subscription(status="trialing"), *PRO[1:]], ["api", "sso"], True, []),
    "past due": ([subscription(status="past_due"), *PRO[1:]], ["x"], True, ["pro"]),
    "ended": ([subscription(status="canceled"), *PRO[1:]], ["x"], True, []),
    "deleted": ([subscription(deleted=True), *PRO[1:]], ["x"], True, []),
    "another's": ([subscription(customer_id="cus_2"), *PRO[1:]], ["x"], True, []),
}


@pytest.mark.parametrize(("rows", "features", "whole", "expected"), EXPLAINED.values(), ids=EXPLAINED)
def test_which_products_do_not_explain_what_stripe_gives(connection, rows, features, whole, expected):
    put(connection, *rows)
    assert unexplained(connection, "cus_1", features, whole=whole) == expected
