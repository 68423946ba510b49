"""What is sold at Stripe by the keys of a file, and what no file can say: as tables; and how it is read."""

import pytest

from gateway.billing.pricing.at_stripe import price_of, product_of, pull, read
from gateway.mirror.reader import Reader
from harness.priced import at_stripe, meter, price, product

FEATURES = {
    "sso": {"id": "feat_1", "name": "Sign-on", "active": True},
    "logs": {"id": "feat_2", "name": "Logs", "active": False},
    "old": {"id": "feat_3", "name": "Old", "active": False},
}
METERS = {
    "calls": meter("mtr_1", "Calls", "count"),
    "bytes": meter("mtr_3", "Bytes", status="inactive", _older=["mtr_2"]),
    "gone": meter("mtr_4", "Gone", status="inactive"),
}
BY_USE = {"interval": "week", "interval_count": 2, "usage_type": "metered", "meter": "mtr_2"}
TIERS = [
    {"up_to": 5, "unit_amount": 100, "unit_amount_decimal": "100", "flat_amount": None, "flat_amount_decimal": "0.5"},
    {"up_to": None, "unit_amount": None, "unit_amount_decimal": "0.25", "flat_amount": 0, "flat_amount_decimal": "0"},
]
MONTH = {"interval": "month", "interval_count": 1, "meter": None}
NOTHING = {"credits_of": {}, "languages": {}, "limits": {}, "metadata": {}}
PRICE = {
    "currency": "usd",
    "amount": 900,
    "tiers": [],
    "custom_amount": None,
    "tax": None,
    "tiers_mode": None,
    "interval": "month",
    "interval_count": 1,
    "trial_days": None,
    "meter": None,
    "package": None,
    "currencies": {},
    "nickname": None,
    "active": True,
    **NOTHING,
}
PRICES = {
    "monthly": ({}, {}),
    "once": ({"recurring": None}, {"interval": None}),
    "of a part of a unit": ({"unit_amount": None, "unit_amount_decimal": "0.5"}, {"amount": "0.5"}),
    "in tiers": (
        {"tiers": TIERS, "tiers_mode": "volume"},
        {
            "amount": None,
            "tiers": [{"up_to": 5, "amount": 100, "flat": "0.5"}, {"up_to": "inf", "amount": "0.25", "flat": 0}],
            "tiers_mode": "volume",
        },
    ),
    "as the buyer chooses": (
        {"unit_amount": None, "custom_unit_amount": {"minimum": 1, "maximum": None, "preset": 3}},
        {"amount": None, "custom_amount": {"minimum": 1, "maximum": None, "preset": 3}},
    ),
    "by use": (
        {"recurring": {**BY_USE, "trial_period_days": 3}},
        {"interval": "week", "interval_count": 2, "trial_days": 3, "meter": "bytes"},
    ),
    "by use, as it was counted before meters": ({"recurring": {**BY_USE, "meter": None}}, None),
    "ten at a time": (
        {"transform_quantity": {"divide_by": 10, "round": "up"}},
        {"package": {"size": 10, "round": "up"}},
    ),
    "in other currencies": (
        {"currency_options": {"jpy": (100, "unspecified"), "eur": (800, "inclusive")}, "tax_behavior": "exclusive"},
        {
            "currencies": {
                name: {"amount": amount, "tiers": [], "custom_amount": None, "tax": tax}
                for name, amount, tax in (("eur", 800, "inclusive"), ("jpy", 100, None))
            },
            "tax": "exclusive",
        },
    ),
    "with a name and metadata": (
        {"nickname": "Nick", "active": False, "metadata": {"credits": "5", "group": "g", "gateway_replaces": "x"}},
        {"nickname": "Nick", "active": False, "credits": 5, "metadata": {"group": "g"}},
    ),
}


@pytest.mark.parametrize(("columns", "said"), PRICES.values(), ids=PRICES)
def test_a_price_by_the_keys_of_a_file(columns, said):
    found = price_of(at_stripe(meters=METERS), price("price_1", "monthly", **columns))
    assert found == ({"usage": "metered"} if said is None else PRICE | said)


PRODUCT = {
    "name": "Pro",
    "description": None,
    "active": True,
    "unit_label": None,
    "url": None,
    "tax_code": None,
    "statement_descriptor": None,
    "images": [],
    "marketing_features": [],
    "features": [],
    "default_price": None,
    **NOTHING,
}
WORDS = {"description": "d", "unit_label": "seat", "url": "u", "statement_descriptor": "PRO", "images": ["i"]}
PRODUCTS = {
    "plain": ({}, {}),
    "with everything": (
        {
            **WORDS,
            "tax_code": {"id": "txcd_1"},
            "marketing_features": [{"name": "50 GB"}, {"name": ""}, {}],
            "active": False,
            "metadata": {"limit_seats": "5"},
            "default_price": {"id": "price_1"},
        },
        {
            **WORDS,
            "tax_code": "txcd_1",
            "marketing_features": ["50 GB"],
            "active": False,
            "limits": {"seats": 5},
            "default_price": "monthly",
        },
    ),
    "with a default price that has ended": ({"default_price": "price_2"}, {}),
    "with a default price of another one": ({"default_price": "price_3"}, {}),
    "with a default price that is not known": ({"default_price": "price_4"}, {}),
}


@pytest.mark.parametrize(("columns", "said"), PRODUCTS.values(), ids=PRODUCTS)
def test_a_product_by_the_keys_of_a_file(columns, said):
    prices = price("price_1", "monthly"), price("price_2", "b", active=False), price("price_3", "c", product="other")
    stripe = at_stripe(*prices, bonds={"other": {"sso": "pf_1"}})
    assert product_of(stripe, product("pro", **columns)) == PRODUCT | said
    bound = at_stripe(bonds={"pro": {"sso": "pf_1", "logs": "pf_2"}})
    assert product_of(bound, product("pro"))["features"] == ["logs", "sso"]


def test_what_is_in_a_file_in_which_order_and_what_is_left_out():
    stripe = at_stripe(
        *(product("late", created=2), product("b", created=1), product("a", created=1)),
        *(product("gone", active=False), product("ended", active=False)),
        *(price("price_1", "z", product="b", created=1), price("price_2", "y", product="b", created=2)),
        *(price("price_3", "x", product="b", created=1), price("price_4", "e", product="ended")),
        price("price_5", "used", product="b", recurring={**BY_USE, "usage_type": "metered"}, created=3),
        price("price_6", "before meters", product="b", recurring={**BY_USE, "meter": None}, created=4),
        *(price("price_7", None, product="b"), price("price_8", None, product="b", active=False)),
        meters=METERS,
        features=FEATURES,
        bonds={"b": {"logs": "pf_1"}},
    )
    catalogue, left_out = pull(stripe).catalogue, pull(stripe).left_out
    assert [*catalogue.products] == ["ended", "a", "b", "late"]
    assert [*catalogue.products["b"].prices] == ["x", "z", "y", "used"]
    assert {name: definition.model_dump() for name, definition in catalogue.meters.items()} == {
        "bytes": {"name": "Bytes", "aggregation": "sum"},
        "calls": {"name": "Calls", "aggregation": "count"},
    }
    assert [*catalogue.meters] == ["bytes", "calls"]
    assert [*catalogue.features.items()] == [("logs", "Logs"), ("sso", "Sign-on")]
    assert [each.partition(":")[0] for each in left_out] == ["price before meters", "price price_7 of b"]


async def test_what_is_read(stripe, scripted):
    """Stripe lists features that are archived apart, and may have several meters of one name, one of them active."""
    sold, old = price("price_1", "monthly"), {"lookup_key": "old", "id": "feat_2"}
    bond = {"id": "pf_1", "entitlement_feature": {"lookup_key": "sso"}}
    scripted.list("/v1/products", [product("pro")], [product("free")])
    scripted.list("/v1/prices", [sold])
    scripted.list("/v1/entitlements/features", [{"lookup_key": "sso", "id": "feat_1"}])
    scripted.list("/v1/entitlements/features", [old])
    mine = [{"id": f"mtr_{n}", "event_name": "calls", "status": "inactive" if n else "active"} for n in range(3)]
    scripted.list("/v1/billing/meters", [*mine, {"id": "mtr_9", "event_name": "bytes", "status": "inactive"}])
    scripted.list("/v1/products/pro/features", [bond])
    scripted.list("/v1/products/free/features", [])
    found = await read(Reader(stripe))
    assert (found.products.keys(), found.prices) == ({"pro", "free"}, {"price_1": sold})
    assert found.features == {"sso": {"lookup_key": "sso", "id": "feat_1"}, "old": old}
    assert (found.meters["calls"]["id"], sorted(found.meters["calls"]["_older"])) == ("mtr_0", ["mtr_1", "mtr_2"])
    assert found.meters["bytes"]["_older"] == []
    assert [found.event_name(each) for each in ("mtr_0", "mtr_2", "mtr_9", "mtr_4", None)] == [
        *("calls", "calls", "bytes"),
        *(None, None),
    ]
    assert found.bonds == {"pro": {"sso": "pf_1"}, "free": {}}
    asked = [(path, params) for _, path, params in scripted.calls]
    assert ("/v1/entitlements/features", {"limit": "100", "archived": "true"}) in asked
    assert ("/v1/prices", {"limit": "100", "expand[0]": "data.tiers", "expand[1]": "data.currency_options"}) in asked


async def test_without_a_feature_no_product_is_asked_for_its(stripe, scripted):
    scripted.list("/v1/products", [product("pro")])
    for path in ("/v1/prices", "/v1/entitlements/features", "/v1/billing/meters"):
        scripted.list(path, [])
    assert (await read(Reader(stripe))).bonds == {}
