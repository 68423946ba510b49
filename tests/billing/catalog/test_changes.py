"""A snapshot after changes: the same as one that is built from nothing, and all that did not change is shared."""

import random
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.billing.catalog.layered import MAX_CHANGED, LayeredMap
from gateway.billing.catalog.snapshot import build_snapshot
from gateway.errors import BadInput
from gateway.graphql.types.catalog_objects import catalog_objects_of
from harness.rows import NOW, price, product, snapshot

PRODUCTS, PRICES = ("pro", "team", "pack", "late"), tuple("abcdefgh")
CURRENCIES = ("usd", "eur", "gbp")
INTERVALS = (None, "day", "month", "year")
EUR, GBP = {"eur": {"unit_amount": 800}}, {"gbp": {"unit_amount": 700}}

METADATA = (
    *({}, {"sort_order": "1"}, {"sort_order": "2", "features": "seats, api"}, {"features": "api"}),
    *({"limit_seats": "5"}, {"addon": "true"}, {"group": "other"}),
)

is_deleted = st.sampled_from([False, False, False, True])
product_rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from(PRODUCTS),
        "active": st.booleans(),
        "deleted": is_deleted,
        "meta": st.sampled_from(METADATA),
        "entitlements": st.sampled_from([None, [], ["support"]]),
    }
)
price_rows = st.fixed_dictionaries(
    {
        "id": st.sampled_from(PRICES),
        "product_id": st.sampled_from(PRODUCTS),
        "active": st.sampled_from([True, True, False]),
        "unit_amount": st.sampled_from([None, 500, 900, 1200]),
        "currency": st.sampled_from(CURRENCIES),
        "currency_options": st.sampled_from([{}, EUR, GBP, EUR | GBP]),
        "interval": st.sampled_from(INTERVALS),
        "lookup_key": st.sampled_from([None, None, "first", "second"]),
        "deleted": is_deleted,
    }
)
changes = st.lists(st.lists(st.one_of(product_rows, price_rows), min_size=1, max_size=4), max_size=12)


def pricing(found, currency, interval):
    try:
        return [(each.product, each.plans, each.one_time) for each in found.pricing(currency, interval)]
    except BadInput as error:
        return str(error)


def plans(found, **filters):
    try:
        return list(found.plans(**filters))
    except BadInput as error:
        return str(error)


def seen(found):
    """Everything that can be asked of a snapshot."""
    listed = {
        (currency, interval): (
            pricing(found, currency, interval),
            plans(found, interval=interval, currency=currency),
        )
        for currency in CURRENCIES
        for interval in INTERVALS
    }
    return {
        "currency": (found.currency, found.currencies, found.version, found.as_of),
        "rows": (dict(found.products), dict(found.prices)),
        "keys": dict(found.by_lookup_key),
        "on sale": list(found.on_sale),
        "plans": [list(found.plans(interval=interval)) for interval in INTERVALS],
        "of one": [list(found.plans(product_id=name)) for name in PRODUCTS],
        "listed": listed,
        "intervals": [found.intervals(currency) for currency in CURRENCIES],
        "standing": [found.standing(name) for name in PRICES],
        "features": ([found.features[name] for name in PRODUCTS], set(found.features.names)),
        "orphans": dict(found.orphans),
        "rivals": {key: set(map(id, its)) for key, its in found.rivals.items()},
    }


@settings(max_examples=60)
@given(changes, st.sampled_from([None, "EUR", "gbp"]), st.booleans())
def test_after_any_changes_it_is_as_one_that_is_built_from_nothing(batches, currency, reads_between):
    products, prices = {}, {}
    found = build_snapshot([], [], version=0, as_of=NOW, currency=currency)
    for version, batch in enumerate(batches, 1):
        changed = [
            price(**row, as_of=version) if "product_id" in row else product(**row, as_of=version) for row in batch
        ]
        new_prices = {row.id: row for row in changed if hasattr(row, "product_id")}
        new_products = {row.id: row for row in changed if row.id in PRODUCTS}
        products |= new_products
        prices |= new_prices
        before, earlier = found, seen(found) if reads_between else None
        found = found.changed(new_products.values(), new_prices.values(), version=version, as_of=NOW)
        whole = build_snapshot(products.values(), prices.values(), version=version, as_of=NOW, currency=currency)
        assert seen(found) == seen(whole)
        if reads_between:
            assert seen(before) == earlier, "a reader of the snapshot before sees another one"


def shop():
    rows = [product(name) for name in ("pro", "team")]
    return snapshot(*rows, *(price(f"{each.id}_{n}", each.id, 100 + n) for each in rows for n in range(3)))


def test_what_did_not_change_keeps_its_objects():
    before = shop()
    later = before.changed([], [price("pro_0", "pro", 7)], version=2, as_of=NOW)

    assert later.by_product["team"] is before.by_product["team"]
    assert later.by_product["pro"] is not before.by_product["pro"]
    old, new = map(catalog_objects_of, (before, later))
    for read in (partial(type(old).product, id="team"), partial(type(old).plan, id="team_1", currency="usd")):
        assert read(new) is read(old)
    assert (old.plan("pro_0").amount.amount, new.plan("pro_0").amount.amount) == (100, 7)
    assert new.plan("pro_1").product is new.plan("pro_0").product
    assert later.features is before.features
    assert before.changed([product("pro", meta={"features": "a"})], [], version=2, as_of=NOW).features is not (
        before.features
    )


def test_a_lookup_key_is_that_of_the_price_of_which_it_was_said_last():
    before = snapshot(product("pro"), price("old", "pro", lookup_key="pro", as_of=5))
    both = before.changed([], [price("new", "pro", lookup_key="pro", as_of=9)], version=2, as_of=NOW)
    late = both.changed([], [price("older", "pro", lookup_key="pro", as_of=4)], version=3, as_of=NOW)
    assert [each.by_lookup_key["pro"].id for each in (before, both, late)] == ["old", "new", "new"]
    back = late.changed([], [price("new", "pro", as_of=10)], version=4, as_of=NOW)
    assert back.by_lookup_key["pro"].id == "old"
    none = back.changed([], [price(name, "pro", active=False) for name in ("old", "older")], version=5, as_of=NOW)
    assert dict(none.by_lookup_key) == {}


def test_a_layered_map_is_as_a_dictionary():
    dice, plain = random.Random(14), {str(n): n + 1 for n in range(50)}  # noqa: S311 - a test
    layered = LayeredMap(dict(plain))
    for step in range(MAX_CHANGED // 2):
        before, held = layered, dict(plain)
        changes = {str(dice.randrange(500)): dice.choice([None, step + 1]) for _ in range(dice.randrange(20))}
        layered = layered.with_changes(changes)
        plain = {key: value for key, value in (plain | changes).items() if value is not None}
        assert (dict(layered), len(layered)) == (plain, len(plain))
        assert dict(before) == held
        assert [layered.get(key) for key in changes] == [plain.get(key) for key in changes]
