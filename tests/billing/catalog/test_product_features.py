"""Which features a product lists, under which names, and what counts their use: tables without a database."""

import pytest

from gateway.billing.catalog.product_features import (
    Features,
    Limit,
    ListedFeature,
    ProductFeatures,
    Use,
    UseKind,
    features_of,
    listed_features,
)
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
        (
            {"meta": {"features": "a,b,c", "limit_a": f"{2**63}", "limit_b": "-5", "limit_c": "٣"}},
            [
                ListedFeature("a", "a", Limit(2**53 - 1, per_unit=False)),  # as much as can be told
                ListedFeature("b", "b", Limit(0, per_unit=False)),
                ListedFeature("c", "c", Limit(0, per_unit=False)),
            ],
        ),
        ({"entitlements": ["sso"]}, [ListedFeature("sso", "sso", None)]),  # read before names were kept
    ],
)
def test_features_stand_in_the_order_of_the_metadata_then_those_at_stripe(columns, expected):
    assert listed_features(product("pro", **columns)) == expected


COUNTER = Use(UseKind.COUNTER)


@pytest.mark.parametrize(
    ("text", "use"),
    [
        ("counter", COUNTER),
        (" counter : ", COUNTER),
        ("counter:x", None),
        ("meter:api_calls", Use(UseKind.METER, "api_calls")),
        ("meter: credits:ai", None),
        ("meter:counter:seats", None),
        (" meter : api:calls ", Use(UseKind.METER, "api:calls")),
        ("meter", None),
        ("credits", Use(UseKind.CREDITS)),
        ("credits:ai", Use(UseKind.CREDITS, "ai")),
        ("credits:a kind", None),
        ("Counter", None),
        ("", None),
    ],
)
def test_what_counts_the_use_of_a_feature(text, use):
    assert features_of(product("pro", meta={"use_api": text})).uses == ({} if use is None else {"api": use})


def test_what_a_product_says_about_its_features():
    assert features_of(None) == ProductFeatures()
    meta = {
        "features": "sso",
        "overage_api": "TRUE",
        "overage_sso": "yes",
        "limit_seats": "\u0663",
        "use_api": "counter",
    }
    meta |= {"limit_api": " 7 ", "limit_disk": "3", "limit_disk_per_unit": "no"}
    found = features_of(product("pro", meta=meta, entitlements=["audit"]))
    assert (found.named, found.at_stripe, found.names) == ({"sso"}, {"audit"}, {"sso", "audit"})
    assert (found.overage, found.uses) == ({"api"}, {"api": COUNTER})
    assert {name: found.limits[name] for name in ("api", "disk")} == {
        "api": Limit(7, per_unit=False),
        "disk": Limit(3, per_unit=False),
    }
    assert features_of(product("pro")).at_stripe is None
    assert features_of(product("pro")).names == frozenset()


def test_the_features_of_all_products_follow_a_change():
    before = {
        "a": product("a", meta={"features": "sso,api", "use_api": "meter:calls"}),
        "b": product("b", meta={"features": "sso", "use_disk": "meter:calls", "use_seats": "counter"}),
    }
    features = Features(before)
    assert {*features.names} == {"sso", "api"}
    assert features.metered == {"calls": {"api", "disk"}}
    assert features["gone"] == ProductFeatures()
    same = {**before, "a": product("a", name="other", meta=dict(before["a"].meta))}
    assert features.changed(same, ["a"]) is features
    after = {**same, "a": product("a", meta={"features": "api,logs"})}
    changed = features.changed(after, ["a", "b"])
    assert ({*changed.names}, changed.metered) == ({"sso", "api", "logs"}, {"calls": {"disk"}})
    assert {*changed.changed({**after, "b": product("b")}, ["b"]).names} == {"api", "logs"}
    assert ({*features.names}, features["a"].named) == ({"sso", "api"}, {"sso", "api"})
    assert {*Features(before).changed(after, ["a"]).names} == {"sso", "api", "logs"}  # nobody had asked for names yet
    assert {*Features({}).changed(after, ["a"]).names} == {"sso", "api", "logs"}
