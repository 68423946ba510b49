"""What is on sale, in which currency and in which order, as tables without HTTP and without a database."""

import pytest

from gateway.billing.catalog.product_prices import amount_in, currencies_of
from gateway.errors import BadInput
from gateway.mirror import mapping
from gateway.models.mirrored import Price
from harness.rows import NOW, at, price, product, snapshot

EUR = {"eur": {"unit_amount": 800}}
ONCE = {"interval": None, "interval_count": None, "usage_type": None}


def plans(found, **filters) -> list[str]:
    return [each.id for each in found.plans(**filters)]


def test_on_sale_are_active_prices_of_active_products_that_are_known():
    found = snapshot(
        product("pro"),
        product("gone", active=False),
        product("deleted", deleted=True),
        product("empty"),
        price("month", "pro"),
        price("old", "pro", active=False),
        price("dead", "pro", deleted=True),
        price("gone_month", "gone"),
        price("lost", "nobody"),
    )
    assert [each.product.id for each in found.pricing("usd")] == ["pro"]
    assert plans(found) == ["month"]
    assert set(found.prices) == {"month", "old", "dead", "gone_month"}  # who has an old plan still sees it
    assert set(found.products) == {"pro", "gone", "deleted", "empty"}


def test_products_stand_by_their_sort_order_then_by_the_lowest_price_then_by_name():
    found = snapshot(
        *(product(name) for name in ("dear", "cheap", "also_cheap")),
        product("second", meta={"sort_order": "2"}),
        product("first", meta={"sort_order": "-1.5"}),
        product("slip", meta={"sort_order": "early"}),
        product("nan", meta={"sort_order": "nan"}),
        price("d", "dear", 5000),
        price("c", "cheap", 100),
        price("a", "also_cheap", 100),
        price("s", "second", 9000),
        price("f", "first", 9000),
        price("x", "slip", 50),
        price("n", "nan", 60),
    )
    order = [each.product.id for each in found.pricing("usd")]
    assert order == ["first", "second", "slip", "nan", "also_cheap", "cheap", "dear"]


def test_plans_stand_by_the_length_of_their_interval_then_by_amount():
    tiers = [{"up_to": None, "unit_amount_decimal": "0.5", "flat_amount_decimal": "700"}]
    found = snapshot(
        product("pro"),
        price("year", "pro", 1, interval="year"),
        price("quarter", "pro", 1, interval_count=3),
        price("month_dear", "pro", 2000),
        price("month", "pro", 1000),
        price("tiered", "pro", None, tiers=tiers),
        price("metered", "pro", None),
        price("decimal", "pro", None, unit_amount_decimal="0.5"),
        price("week", "pro", 1, interval="week"),
        price("day", "pro", 1, interval="day"),
    )
    assert plans(found) == [
        *("day", "week", "decimal", "tiered", "month", "month_dear", "metered", "quarter", "year"),
    ]
    assert found.intervals("usd") == ("day", "week", "month", "year")


def test_plans_stand_by_what_the_first_unit_costs_in_the_catalogues_currency_and_by_one_interval():
    def tiers(unit: str, flat: str | None) -> list[dict[str, str | None]]:
        return [{"up_to": None, "unit_amount_decimal": unit, "flat_amount_decimal": flat}]

    found = snapshot(
        product("pro"),
        price("both", "pro", None, billing_scheme="tiered", tiers=tiers("100", "700")),
        price("below", "pro", 750),
        price("above", "pro", None, unit_amount_decimal="800.5"),
        price("one", "pro", 700, interval_count=None),
        price("dear", "pro", 900, currency="eur", currency_options={"usd": {"unit_amount": 600}}),
        price("day", "pro", 10, interval="day"),
        price("once", "pro", 50, **ONCE),
        currency="usd",
    )
    expected = ["once", "day", "dear", "one", "below", "both", "above"]
    assert sorted(found.prices, key=found.standing) == expected
    assert plans(found) == expected[1:]


def test_where_plans_stand_among_all_those_that_are_known():
    found = snapshot(
        *(product(name, meta={"group": name}) for name in ("desk", "gone")),
        product("extra", meta={"addon": "true"}),
        product("pro"),
        price("desk_m", "desk", 300),
        price("gone_m", "gone", 250, active=False),
        price("extra_m", "extra", 100),
        price("pro_m", "pro", 400),
        price("pro_old", "pro", 50, active=False),
    )
    order = sorted([*found.prices, "unknown"], key=found.standing)
    assert order == ["unknown", "extra_m", "gone_m", "desk_m", "pro_old", "pro_m"]
    assert [found.standing(each)[0] for each in order] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("configured", "expected"), [(None, "usd"), ("eur", "eur"), ("EUR", "eur"), ("jpy", "usd")])
def test_the_currency_is_the_configured_one_where_something_is_sold_in_it(configured, expected):
    rows = [product("pro"), price("a", "pro", currency_options=EUR), price("b", "pro")]
    assert snapshot(*rows, currency=configured).currency == expected


def test_of_as_many_prices_the_currency_is_the_one_that_prices_have_as_their_own():
    rows = [product("pro"), price("a", "pro", currency_options=EUR)]
    assert snapshot(*rows).currency == "usd"
    assert snapshot().currency == "usd"
    assert snapshot(currency="EUR").currency == "eur"


def test_in_a_currency_is_only_what_is_offered_in_it():
    found = snapshot(
        product("pro"),
        product("euro"),
        price("both", "pro", currency_options=EUR),
        price("dollars", "pro"),
        price("pack", "pro", 500, **ONCE),
        price("euros", "euro", currency="eur"),
    )
    dollars, euros = found.pricing("usd"), found.pricing("eur")
    assert [(each.product.id, [plan.id for plan in each.plans]) for each in dollars] == [("pro", ["both", "dollars"])]
    assert [price.id for price in dollars[0].one_time] == ["pack"]
    assert {each.product.id: [plan.id for plan in each.plans] for each in euros} == {"pro": ["both"], "euro": ["euros"]}
    assert plans(found, currency="eur", product_id="pro") == ["both"]
    assert plans(found, product_id="nobody") == []
    with pytest.raises(BadInput):
        found.pricing("jpy")


def test_in_a_currency_in_which_nothing_is_sold_the_others_are_named():
    sold = snapshot(product("pro"), price("m", "pro", currency_options=EUR))
    with pytest.raises(BadInput, match="nothing is on sale in GBP; the catalogue has EUR, USD"):
        sold.pricing("gbp")
    empty = snapshot(product("pro"))
    assert empty.pricing(empty.currency) == ()
    with pytest.raises(BadInput, match="the catalogue has nothing yet"):
        empty.pricing("gbp")


def test_an_interval_leaves_one_off_prices_and_only_plans_of_its_own():
    found = snapshot(product("pro"), price("m", "pro"), price("y", "pro", interval="year"), price("p", "pro", **ONCE))
    (offered,) = found.pricing("usd", "year")
    assert ([plan.id for plan in offered.plans], [each.id for each in offered.one_time]) == (["y"], ["p"])
    assert plans(found, interval="month") == ["m"]


def test_what_a_price_costs_in_a_currency():
    found = price("a", "pro", currency_options={**EUR, "jpy": {"unit_amount": None, "tiers": [{"up_to": None}]}})
    assert (amount_in(found).currency, amount_in(found).unit_amount) == ("usd", 900)
    assert (amount_in(found, "usd").currency, amount_in(found, "usd").unit_amount) == ("usd", 900)
    assert (amount_in(found, "eur").currency, amount_in(found, "eur").unit_amount) == ("eur", 800)
    assert (amount_in(found, "gbp").currency, amount_in(found, "gbp").unit_amount) == ("usd", 900)
    assert amount_in(found, "jpy").tiers == [{"up_to": None}]
    assert currencies_of(found) == ["usd", "eur", "jpy"]


GIFT = {"minimum": 500, "maximum": 5000, "preset": None}
AT_STRIPE = {
    "id": "a", "product": "pro", "nickname": None, "active": True, "currency": "usd", "unit_amount": None,
    "billing_scheme": "per_unit", "metadata": {}, "created": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "chosen"),
    [({"custom_unit_amount": GIFT}, GIFT), ({"custom_unit_amount": None}, None), ({}, None)],
)
def test_between_which_amounts_the_buyer_of_a_price_chooses(said, chosen):
    options = {"eur": {"unit_amount": None, "custom_unit_amount": {**GIFT, "minimum": 400}}, "jpy": {"unit_amount": 1}}
    mirrored = mapping.price({**AT_STRIPE, **said, "currency_options": options})
    assert (mirrored["custom_unit_amount"], mirrored["custom_amount_limits"]) == (chosen is not None, chosen)
    found = Price(id="a", as_of=0, **mirrored)
    limits = [amount_in(found, currency).limits for currency in (None, "usd", "gbp", "eur", "jpy")]
    assert limits == [chosen, chosen, chosen, {**GIFT, "minimum": 400}, None]


def test_a_list_goes_through_the_products_that_have_something_on_it_and_no_others():
    euro = {"currency": "eur"}
    found = snapshot(
        *(product(name) for name in ("month", "year", "pack", "euro_month", "euro_pack")),
        price("m", "month"),
        price("y", "year", interval="year"),
        price("p", "pack", **ONCE),
        price("e", "euro_month", **euro),
        price("q", "euro_pack", **euro, **ONCE),
        currency="usd",
    )

    def through(products) -> set[str]:
        return {each.product.id for each in products}

    assert through(found.plans().products) == {"month", "year", "euro_month"}
    assert through(found.plans(interval="year").products) == {"year"}
    assert through(found.plans(currency="eur").products) == {"euro_month"}
    assert through(found.plans(product_id="pack").products) == set()
    assert through(found.priced("usd")) == {"month", "year", "pack"}
    assert through(found.priced("usd", "year")) == {"year", "pack"}
    assert through(found.priced("eur", "year")) == {"euro_pack"}
    assert {each.product.id for each in found.pricing("usd", "year")} == {"year", "pack"}
    assert [each.id for offered in found.pricing("eur") for each in offered.one_time] == ["q"]
    assert (found.intervals("usd"), found.intervals("eur")) == (("month", "year"), ("month",))


def test_of_two_currencies_each_has_its_own_one_off_prices():
    found = snapshot(product("pack"), price("usd", "pack", **ONCE), price("eur", "pack", currency="eur", **ONCE))
    assert [[each.id for each in found.pricing(code)[0].one_time] for code in ("usd", "eur")] == [["usd"], ["eur"]]


def test_a_list_that_was_asked_for_follows_a_change():
    before = snapshot(
        product("old"), product("both"), price("o", "old"), price("b", "both"), price("y", "both", interval="year")
    )
    assert [each.product.id for each in before.priced("usd", "year")] == ["both"]
    again = {"version": 2, "as_of": before.as_of}
    unchanged = before.changed([], [price("o", "old", 800)], **again)
    assert unchanged.priced("usd", "year")[0] is before.priced("usd", "year")[0]  # nothing of it has changed
    come = before.changed([], [price("oy", "old", interval="year")], **again)
    assert [each.product.id for each in come.priced("usd", "year")] == ["both", "old"]
    gone = come.changed([], [price("y", "both", interval="year", active=False)], version=3, as_of=before.as_of)
    assert [each.product.id for each in gone.priced("usd", "year")] == ["old"]
    assert gone.priced("usd", "year") is gone.priced("usd", "year")  # it is made once
    assert gone.intervals("usd") is gone.intervals("usd")


def keyed(id: str, key: str | None, as_of: int, product_id: str = "pro", **columns):
    return price(id, product_id, lookup_key=key, as_of=as_of, **columns)


def holders(found) -> dict[str, str]:
    return {key: found.by_lookup_key[key].id for key in found.by_lookup_key}


AGAIN = {"version": 8, "as_of": at(1)}


def test_a_lookup_key_is_that_of_the_price_of_which_it_was_said_last():
    found = snapshot(product("pro"), keyed("old", "plan", 1), keyed("new", "plan", 2), keyed("other", None, 3))
    assert (holders(found), [each.id for each in found.rivals["plan"]]) == ({"plan": "new"}, ["old"])
    moved = found.changed([], [keyed("new", None, 4)], **AGAIN)
    assert (holders(moved), moved.rivals) == ({"plan": "old"}, {})
    back = moved.changed([], [keyed("new", "plan", 5), keyed("third", "plan", 4)], **AGAIN)
    assert (holders(back), [each.id for each in back.rivals["plan"]]) == ({"plan": "new"}, ["third", "old"])
    gone = back.changed([], [keyed("new", "plan", 6, active=False)], **AGAIN)
    assert (holders(gone), [each.id for each in gone.rivals["plan"]]) == ({"plan": "third"}, ["old"])
    last = gone.changed([], [keyed(name, "plan", 7, active=False) for name in ("third", "old")], **AGAIN)
    assert (holders(last), last.rivals) == ({}, {})
    same_moment = snapshot(product("pro"), keyed("a", "plan", 1), keyed("b", "plan", 1))
    assert holders(same_moment) == {"plan": "b"}
    elsewhere = found.changed([product("more")], [keyed("old", "plan", 9, "more")], **AGAIN)
    assert (holders(elsewhere), [each.id for each in elsewhere.rivals["plan"]]) == ({"plan": "old"}, ["new"])


def test_a_price_waits_for_its_product_and_may_move_to_another():
    alone = snapshot(product("pro"), price("m", "pro"), price("lost", "late"))
    assert (set(alone.orphans), "lost" in alone.prices) == ({"lost"}, False)
    come = alone.changed([product("late")], [], **AGAIN)
    assert (come.orphans, come.product_of("lost").product.id) == ({}, "late")
    assert [each.id for each in come.plans(product_id="late")] == ["lost"]
    moved = come.changed([], [price("lost", "pro", 100)], **AGAIN)
    assert [each.id for each in moved.plans(product_id="pro")] == ["lost", "m"]
    assert [each.id for each in moved.plans(product_id="late")] == []
    away = moved.changed([], [price("lost", "nowhere")], **AGAIN)
    assert (set(away.orphans), "lost" in away.prices, away.product_of("lost")) == ({"lost"}, False, None)
    assert [each.id for each in away.plans()] == ["m"]
    still = away.changed([product("else")], [price("m", "pro", 1)], **AGAIN)
    assert {key: its.id for key, its in still.orphans.items()} == {"lost": "lost"}
    again = still.changed([product("nowhere")], [], **AGAIN)
    assert (again.orphans, [each.id for each in again.plans(product_id="nowhere")]) == ({}, ["lost"])


def test_a_change_says_its_version_and_moment_and_keeps_what_was_wanted():
    before = snapshot(product("pro"), price("m", "pro"), currency="eur")
    assert (before.version, before.as_of, before.wanted, before.currency) == (1, NOW, "eur", "usd")
    after = before.changed([], [price("e", "pro", currency="eur")], **AGAIN)
    assert (after.version, after.as_of, after.wanted, after.currency) == (8, at(1), "eur", "eur")
    assert (after.offered, after.own) == ({"usd": 1, "eur": 1}, {"usd": 1, "eur": 1})
    less = after.changed([], [price("e", "pro", currency="eur", active=False)], **AGAIN)
    assert (less.currency, less.offered, less.own["eur"]) == ("usd", {"usd": 1}, 0)
    many = less.changed([product("two")], [price(f"m{n}", "two", 100 - n) for n in range(3)], **AGAIN)
    assert (many.offered, many.own["usd"]) == ({"usd": 4}, 4)
    assert [each.id for each in many.plans()] == ["m2", "m1", "m0", "m"]
