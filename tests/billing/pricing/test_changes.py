"""What a file would change at Stripe, as tables: each call, in its order, and what is told of it."""

from typing import Any

import pytest

from gateway.billing.pricing.at_stripe import AtStripe
from gateway.billing.pricing.catalogue import Catalogue, Price
from gateway.billing.pricing.changes import Ref, Step, Unchangeable, changes, cost
from harness.priced import at_stripe, meter, price, product

PRO, MONTHLY = {"name": "Pro"}, {"currency": "usd", "amount": 900, "interval": "month"}
THERE = at_stripe(product("pro"), price("price_1", "monthly"))


def file(prices: dict[str, Any] | None = None, product: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """One product with a monthly price, which differs as it is said."""
    sold = {"monthly": MONTHLY} if prices is None else prices
    return {"products": {"pro": {**PRO, "prices": sold, **(product or {})}}, **more}


def planned(file: dict[str, Any], stripe: AtStripe) -> list[Step]:
    return changes(Catalogue.model_validate(file), stripe)


def monthly(**differs: Any) -> dict[str, Any]:
    return file({"monthly": MONTHLY | differs})


SAME = {
    "a product and its price": (file(), THERE),
    "a meter and a feature": (
        file(meters={"calls": {"name": "Calls"}}, features={"sso": "Sign-on"}),
        at_stripe(
            *(product("pro"), price("price_1", "monthly")),
            meters={"calls": meter("mtr_1", "Calls")},
            features={"sso": {"id": "feat_1", "name": "Sign-on"}},
        ),
    ),
    "what the file does not name": (
        {},
        at_stripe(product("pro"), price("price_1", "monthly"), price("price_2", None, active=False)),
    ),
    "everything that a product may say": (
        file(
            product={
                "description": "d",
                "unit_label": "seat",
                "url": "u",
                "tax_code": "txcd_1",
                "credits": 5,
                "statement_descriptor": "PRO",
                "images": ["i"],
                "marketing_features": ["50 GB"],
                "features": ["sso"],
                "default_price": "monthly",
                "metadata": {"group": "g"},
                "active": False,
            },
            features={"sso": "Sign-on"},
        ),
        at_stripe(
            product(
                "pro",
                description="d",
                unit_label="seat",
                url="u",
                tax_code={"id": "txcd_1"},
                active=False,
                statement_descriptor="PRO",
                images=["i"],
                marketing_features=[{"name": "50 GB"}],
                default_price="price_1",
                metadata={"group": "g", "credits": "5"},
            ),
            price("price_1", "monthly"),
            features={"sso": {"id": "feat_1", "name": "Sign-on"}},
            bonds={"pro": {"sso": "pf_1"}},
        ),
    ),
    "a tax that the file leaves out": (
        monthly(currencies={"eur": {"amount": 800}}),
        at_stripe(
            product("pro"),
            price("price_1", "monthly", tax_behavior="exclusive", currency_options={"eur": (800, "inclusive")}),
        ),
    ),
    "an end that Stripe knows": (
        monthly(active=False),
        at_stripe(product("pro"), price("price_1", "monthly", active=False)),
    ),
    "what was replaced, and is archived": (
        file(),
        at_stripe(
            *(product("pro", default_price="price_1"), price("price_0", None, active=False)),
            price("price_1", "monthly", metadata={"gateway_replaces": "price_0"}),
        ),
    ),
    "what another product's price has replaced": (
        file(),
        at_stripe(
            *(product("pro"), product("old"), price("price_0", None, product="old")),
            price("price_1", "monthly", metadata={"gateway_replaces": "price_0"}),
        ),
    ),
}


@pytest.mark.parametrize(("wanted", "stripe"), SAME.values(), ids=SAME)
def test_what_is_so_already_is_left_alone(wanted, stripe):
    assert planned(wanted, stripe) == []


AT_ALL = ("/v1/prices/", "price_1")
WHO = {"bought": ("price", "price_1"), "consequence": "who has it, and pays as before"}
PRODUCT = {"bought": ("product", "pro"), "consequence": "who has it"}
GIVEN = {"bought": ("product", "pro"), "consequence": "who gets it", "product": "pro"}
TAKEN = GIVEN | {"method": "delete", "consequence": "who loses it"}
SSO = {"features": {"sso": "Sign-on"}}
STEPS = {
    "a meter after one that is there": (
        file(meters={"calls": {"name": "Calls"}, "bytes": {"name": "Bytes", "aggregation": "last"}}),
        at_stripe(product("pro"), price("price_1", "monthly"), meters={"calls": meter("mtr_1", "Calls")}),
        [
            Step(
                "+ meter bytes",
                ("/v1/billing/meters",),
                {"event_name": "bytes", "display_name": "Bytes", "default_aggregation": {"formula": "last"}},
                Ref("meter", "bytes"),
            )
        ],
    ),
    "a meter's name, and another meter": (
        file(meters={"calls": {"name": "Calls"}, "bytes": {"name": "Bytes"}}),
        at_stripe(product("pro"), price("price_1", "monthly"), meters={"bytes": meter("mtr_1", "Old")}),
        [
            Step(
                "+ meter calls",
                ("/v1/billing/meters",),
                {"event_name": "calls", "display_name": "Calls", "default_aggregation": {"formula": "sum"}},
                Ref("meter", "calls"),
            ),
            Step('~ meter bytes: name "Old" → "Bytes"', ("/v1/billing/meters/", "mtr_1"), {"display_name": "Bytes"}),
        ],
    ),
    "features": (
        file(features={"sso": "Sign-on", "logs": "Logs"}),
        at_stripe(
            product("pro"), price("price_1", "monthly"), features={"sso": {"id": "feat_1", "name": "Single sign-on"}}
        ),
        [
            Step(
                '~ feature sso: name "Single sign-on" → "Sign-on"',
                ("/v1/entitlements/features/", "feat_1"),
                {"name": "Sign-on"},
            ),
            Step(
                "+ feature logs",
                ("/v1/entitlements/features",),
                {"lookup_key": "logs", "name": "Logs"},
                Ref("feature", "logs"),
            ),
        ],
    ),
    "a product": (
        file(
            {},
            {
                "description": "d",
                "limits": {"seats": 5},
                "images": ["i"],
                "marketing_features": ["50 GB"],
                "features": ["sso"],
            },
            **SSO,
        ),
        at_stripe(features={"sso": {"id": "feat_1", "name": "Sign-on"}}),
        [
            Step(
                "+ product pro (Pro)",
                ("/v1/products",),
                {
                    "id": "pro",
                    "name": "Pro",
                    "description": "d",
                    "metadata": {"limit_seats": "5"},
                    "images": ["i"],
                    "marketing_features": [{"name": "50 GB"}],
                },
            ),
            Step(
                "+ feature sso of product pro",
                ("/v1/products/pro/features",),
                {"entitlement_feature": Ref("feature", "sso")},
                **GIVEN,
            ),
        ],
    ),
    "a product that is not for sale": (
        file({}, {"active": False}),
        at_stripe(),
        [Step("+ product pro (Pro)", ("/v1/products",), {"id": "pro", "name": "Pro", "active": False})],
    ),
    "what a product says": (
        file(product={"name": "Best", "active": False, "url": "u", "credits": 7, "limits": {"seats": 5}}),
        at_stripe(
            product(
                "pro",
                description="d",
                images=["i"],
                marketing_features=[{"name": "50 GB"}],
                metadata={"credits": "5", "gone": "x", "limit_seats": "5"},
            ),
            price("price_1", "monthly"),
        ),
        [
            Step(
                '~ product pro (Pro): name "Pro" → "Best"; description "d" → null; active true → false; '
                'url null → "u"; images ["i"] → null; marketing_features [{"name":"50 GB"}] → null; '
                'credits "5" → "7"; gone "x" → null',
                ("/v1/products/", "pro"),
                {
                    "name": "Best",
                    "description": "",
                    "active": False,
                    "url": "u",
                    "images": "",
                    "marketing_features": "",
                    "metadata": {"credits": "7", "gone": ""},
                },
                **PRODUCT,
            )
        ],
    ),
    "which features a product has": (
        file(product={"features": ["sso", "logs"]}, features={"sso": "Sign-on", "logs": "Logs"}),
        at_stripe(
            *(product("pro"), price("price_1", "monthly")),
            features={"sso": {"id": "feat_1", "name": "Sign-on"}, "logs": {"id": "feat_2", "name": "Logs"}},
            bonds={"pro": {"sso": "pf_1", "old": "pf_3", "a": "pf_4"}},
        ),
        [
            Step(
                "+ feature logs of product pro",
                ("/v1/products/pro/features",),
                {"entitlement_feature": Ref("feature", "logs")},
                **GIVEN,
            ),
            Step("- feature a of product pro", ("/v1/products/pro/features", "/", "pf_4"), **TAKEN),
            Step("- feature old of product pro", ("/v1/products/pro/features", "/", "pf_3"), **TAKEN),
        ],
    ),
    "what a price may be called, its currencies, metadata and tax": (
        monthly(nickname="Nick", currencies={"eur": {"amount": 800}, "jpy": 100}, credits=3, tax="inclusive"),
        at_stripe(
            product("pro"),
            price(
                *("price_1", "monthly"),
                metadata={"gone": "x", "gateway_replaces": "price_0"},
                tax_behavior="unspecified",
                currency_options={"eur": (800, "unspecified")},
            ),
        ),
        [
            Step(
                '~ price monthly: nickname null → "Nick"; tax_behavior "unspecified" → "inclusive"; also in jpy; '
                'credits null → "3"; gone "x" → null',
                AT_ALL,
                {
                    "nickname": "Nick",
                    "tax_behavior": "inclusive",
                    "currency_options": {"jpy": {"unit_amount": 100}},
                    "metadata": {"credits": "3", "gone": ""},
                },
                **WHO,
            )
        ],
    ),
    "a price without its name, which is sold again": (
        file(),
        at_stripe(product("pro"), price("price_1", "monthly", nickname="Nick", active=False)),
        [
            Step(
                '~ price monthly: nickname "Nick" → null; active false → true',
                AT_ALL,
                {"nickname": "", "active": True},
                **WHO,
            )
        ],
    ),
    "a price that is sold again": (
        file(),
        at_stripe(product("pro"), price("price_1", "monthly", active=False)),
        [Step("~ price monthly: active false → true", AT_ALL, {"active": True}, **WHO)],
    ),
    "the end of a default price, and what a product has in its place": (
        file({"monthly": MONTHLY | {"active": False}, "yearly": MONTHLY}, {"default_price": "yearly"}),
        at_stripe(product("pro", default_price="price_1"), price("price_1", "monthly"), price("price_2", "yearly")),
        [
            Step("~ product pro: its default price is yearly", ("/v1/products/", "pro"), {"default_price": "price_2"}),
            Step(
                "- price monthly is archived",
                AT_ALL,
                {"active": False},
                bought=("price", "price_1"),
                consequence="who keeps it",
            ),
        ],
    ),
    "a new default price": (
        file({"monthly": MONTHLY, "yearly": MONTHLY}, {"default_price": "yearly"}),
        THERE,
        [
            Step(
                "+ price yearly: 900 usd a month",
                ("/v1/prices",),
                {
                    "product": "pro",
                    "lookup_key": "yearly",
                    "currency": "usd",
                    "unit_amount": 900,
                    "recurring": {"interval": "month", "interval_count": 1},
                    "metadata": {},
                },
                Ref("price", "yearly"),
                once=True,
            ),
            Step(
                "~ product pro: its default price is yearly",
                ("/v1/products/", "pro"),
                {"default_price": Ref("price", "yearly")},
            ),
        ],
    ),
    "what a default price costs": (
        file({"monthly": MONTHLY | {"amount": 950, "credits": 3}}),
        at_stripe(product("pro", default_price={"id": "price_1"}), price("price_1", "monthly")),
        [
            Step(
                "~ price monthly: 950 usd a month, as a new price",
                ("/v1/prices",),
                {
                    "product": "pro",
                    "lookup_key": "monthly",
                    "currency": "usd",
                    "unit_amount": 950,
                    "recurring": {"interval": "month", "interval_count": 1},
                    "transfer_lookup_key": True,
                    "metadata": {"credits": "3", "gateway_replaces": "price_1"},
                },
                Ref("price", "monthly"),
                once=True,
                bought=("price", "price_1"),
                consequence="who keeps price_1",
            ),
            Step(
                "~ product pro: its default price is monthly",
                ("/v1/products/", "pro"),
                {"default_price": Ref("price", "monthly")},
            ),
            Step("- price price_1 is archived: another one replaces it", ("/v1/prices/", "price_1"), {"active": False}),
        ],
    ),
    "what a push that was killed has left": (
        file({"monthly": MONTHLY, "own": MONTHLY, "kept": MONTHLY}),
        at_stripe(
            product("pro", default_price="price_0"),
            price("price_0", None, metadata={"gateway_replaces": "price_x"}),
            price("price_2", None),
            price("price_3", "own", metadata={"gateway_replaces": "price_4"}),
            price("price_4", "elsewhere"),
            price("price_1", "monthly", metadata={"gateway_replaces": "price_2"}),
            price("price_5", None, metadata={"gateway_replaces": "price_0"}),
            price("price_6", None, metadata={"gateway_replaces": "price_5"}, active=False),
            price("price_7", "kept"),
            price("price_8", None, metadata={"gateway_replaces": "price_7"}, active=False),
        ),
        [
            Step("~ product pro: its default price is price_6", ("/v1/products/", "pro"), {"default_price": "price_6"}),
            *(
                Step(f"- price {old} is archived: another one replaces it", ("/v1/prices/", old), {"active": False})
                for old in ("price_4", "price_2", "price_0", "price_5")
            ),
        ],
    ),
    "two prices that stand in for each other": (
        file({}),
        at_stripe(
            product("pro", default_price="price_1"),
            price("price_1", None, metadata={"gateway_replaces": "price_2"}, active=False),
            price("price_2", None, metadata={"gateway_replaces": "price_1"}, active=False),
        ),
        [],
    ),
}


@pytest.mark.parametrize(("wanted", "stripe", "steps"), STEPS.values(), ids=STEPS)
def test_what_is_done(wanted, stripe, steps):
    assert planned(wanted, stripe) == steps


REFUSED = {
    "a meter that counts in another way": (
        file(meters={"calls": {"name": "Calls", "aggregation": "count"}}),
        at_stripe(product("pro"), price("price_1", "monthly"), meters={"calls": meter("mtr_1", "Calls")}),
    ),
    "a default price that goes to another product": (
        {"products": {"pro": {**PRO, "prices": {}}, "other": {"name": "Other", "prices": {"monthly": MONTHLY}}}},
        at_stripe(product("pro", default_price="price_1"), price("price_1", "monthly")),
    ),
}


@pytest.mark.parametrize(("wanted", "stripe"), REFUSED.values(), ids=REFUSED)
def test_what_stripe_never_changes(wanted, stripe):
    with pytest.raises(Unchangeable):
        planned(wanted, stripe)


TIERS = {"tiers": [{"up_to": 5, "amount": 100, "flat": 50}, {"up_to": "inf", "amount": "0.5"}], "tiers_mode": "volume"}
AT_TIERS = [{"up_to": 5, "unit_amount": 100, "flat_amount": 50}, {"up_to": "inf", "unit_amount_decimal": "0.5"}]
BASE = {"currency": "usd", "amount": 900}
PARAMS = {
    "once": (BASE, {"unit_amount": 900}),
    "a part of a unit": (BASE | {"amount": "0.5"}, {"unit_amount_decimal": "0.5"}),
    "in tiers": (
        {"currency": "usd", **TIERS, "currencies": {"eur": {"tiers": TIERS["tiers"], "tax": "inclusive"}}},
        {
            "tiers": AT_TIERS,
            "tiers_mode": "volume",
            "billing_scheme": "tiered",
            "currency_options": {"eur": {"tiers": AT_TIERS, "tax_behavior": "inclusive"}},
        },
    ),
    "what the buyer chooses": (
        {"currency": "usd", "custom_amount": {"minimum": 100, "preset": 500}},
        {"custom_unit_amount": {"enabled": True, "minimum": 100, "preset": 500}},
    ),
    "by use": (
        BASE | {"interval": "week", "interval_count": 2, "trial_days": 3, "meter": "calls"},
        {
            "unit_amount": 900,
            "recurring": {
                "interval": "week",
                "interval_count": 2,
                "trial_period_days": 3,
                "usage_type": "metered",
                "meter": Ref("meter", "calls"),
            },
        },
    ),
    "ten at a time, with a tax, not for sale": (
        BASE | {"package": {"size": 10, "round": "up"}, "tax": "exclusive", "active": False, "nickname": "Ten"},
        {
            "unit_amount": 900,
            "transform_quantity": {"divide_by": 10, "round": "up"},
            "active": False,
            "tax_behavior": "exclusive",
            "nickname": "Ten",
        },
    ),
}


@pytest.mark.parametrize(("wanted", "params"), PARAMS.values(), ids=PARAMS)
def test_what_a_new_price_says(wanted, params):
    (step,) = planned(file({"new": wanted}), at_stripe(product("pro")))
    same = {"product": "pro", "lookup_key": "new", "currency": "usd", "metadata": {}}
    assert (step.params, step.path, step.once) == (same | params, ("/v1/prices",), True)


YEARLY = {"interval": "year"}
OTHER = {
    "amount": ({"amount": 901}, {}),
    "currency": ({"currency": "eur"}, {}),
    "interval": (YEARLY, {}),
    "interval_count": ({"interval_count": 2}, {}),
    "trial": ({"trial_days": 7}, {}),
    "meter": ({"meter": "calls"}, {}),
    "package": ({"package": {"size": 2, "round": "up"}}, {}),
    "what it costs in another currency": ({"currencies": {"eur": 801}}, {"currency_options": {"eur": (800, None)}}),
    "without a currency": ({}, {"currency_options": {"eur": (800, None)}}),
    "tax": ({"tax": "inclusive"}, {"tax_behavior": "exclusive"}),
    "usage as it was counted before meters": ({}, {"recurring": {"interval": "month", "usage_type": "metered"}}),
    "product": ({}, {"product": "other"}),
}


@pytest.mark.parametrize(("wanted", "known"), OTHER.values(), ids=OTHER)
def test_for_what_a_price_must_be_a_new_one(wanted, known):
    stripe = at_stripe(product("pro"), product("other"), price("price_1", "monthly", **known))
    found = planned({**monthly(**wanted), "meters": {}}, stripe)
    assert [(step.once, step.params.get("metadata")) for step in found] == [
        (True, {"gateway_replaces": "price_1"}),
        (False, None),
    ]
    assert found[1].params == {"active": False}


def test_each_of_several_prices_gives_way_to_its_own_successor():
    stripe = at_stripe(product("pro", default_price="price_1"), price("price_1", "monthly"), price("price_2", "other"))
    dearer = MONTHLY | {"amount": 950}
    steps = planned(file({"monthly": dearer, "other": dearer}), stripe)
    assert [step.path[0] for step in steps] == ["/v1/prices", "/v1/prices", "/v1/products/", *["/v1/prices/"] * 2]
    assert steps[2].params == {"default_price": Ref("price", "monthly")}
    assert [step.path[1] for step in steps[3:]] == ["price_1", "price_2"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (BASE, "900 usd"),
        (MONTHLY, "900 usd a month"),
        (MONTHLY | {"interval_count": 3}, "900 usd every 3 months"),
        (MONTHLY | {"amount": "0.5"}, "0.5 usd a month"),
        ({"currency": "eur", **TIERS, **YEARLY}, "2 volume tiers eur a year"),
        ({"currency": "eur", "custom_amount": {}}, "what the buyer chooses eur"),
    ],
)
def test_what_a_price_costs_in_words(said, words):
    assert cost(Price.model_validate(said)) == words
