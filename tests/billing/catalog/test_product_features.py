"""Which features a product lists, under which names: a table without a database."""

import pytest

from gateway.billing.catalog.product_features import Limit, ListedFeature, listed_features
from harness.rows import product


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, []),
        (
            {"meta": {"features": "seats, sso,, seats", "limit_seats": "5", "limit_seats_per_unit": "true"}},
            [ListedFeature("seats", "seats", Limit(5, per_unit=True)), ListedFeature("sso", "sso", None)],
        ),
        (
            {
                "meta": {"features": "sso", "feature_sso": "Single sign-on", "limit_api": "a lot"},
                "entitlements": ["sso", "audit", "api"],
                "entitlement_names": {"sso": "SSO", "audit": "Audit log", "api": ""},
            },
            [
                ListedFeature("sso", "Single sign-on", None),
                ListedFeature("api", "api", Limit(0, per_unit=False)),  # a slip gives nothing away
                ListedFeature("audit", "Audit log", None),
            ],
        ),
        ({"entitlements": ["sso"]}, [ListedFeature("sso", "sso", None)]),  # read before names were kept
    ],
)
def test_features_stand_in_the_order_of_the_metadata_then_those_at_stripe(columns, expected):
    assert listed_features(product("pro", **columns)) == expected
