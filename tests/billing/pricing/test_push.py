"""`gateway pricing` against the offline Stripe: whatever the file, and wherever a push is killed."""

import contextlib
import os
from collections import Counter

import httpx
import pytest
from billing.pricing.catalogues import Maker

from gateway.billing.pricing import yaml_file
from gateway.billing.pricing.at_stripe import pull, read
from gateway.billing.pricing.changes import changes
from gateway.billing.pricing.push import push
from gateway.mirror.reader import Reader
from gateway.runtime import compose
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.settings import Settings

MANY = int(os.environ.get("CATALOGUES", "100"))
COST = ("currency", "unit_amount_decimal", "tiers", "recurring", "product", "custom_unit_amount", "transform_quantity")


@contextlib.asynccontextmanager
async def runtime_of(url):
    """A runtime whose Stripe is offline and within this process."""
    transport = httpx.ASGITransport(create_sandbox(SandboxOptions()))
    settings = Settings.load(stripe_secret_key="sk_test_x", stripe_api_base="http://127.0.0.1:1", database_url=url)
    runtime = compose(settings, transport=transport)
    yield runtime
    await runtime.close()


async def at_stripe_of(runtime):
    """What is for sale at Stripe, read as fast as the offline Stripe answers."""
    return await read(Reader(runtime.stripe, calls_a_second=100_000))


async def pushed(runtime, file, kill_after=None):
    """Push, until the end or a kill; the steps that were planned."""
    known = await at_stripe_of(runtime)
    steps = changes(file, known)
    async for _ in push(steps[:kill_after], known, runtime.stripe, runtime.mirror):
        pass
    return steps


async def at_random(runtime, maker, file):
    """Push a file with kills until it is there; what Stripe has then."""
    before = await at_stripe_of(runtime)
    while steps := await pushed(runtime, file, maker.random.randint(1, 6)):
        assert len(steps) < 200
    after = await at_stripe_of(runtime)
    for price_id, price in before.prices.items():  # nobody's price has changed
        assert {name: after.prices[price_id].get(name) for name in COST} == {name: price.get(name) for name in COST}
        assert price["currency_options"].items() <= after.prices[price_id]["currency_options"].items()
    keyed = Counter(price["lookup_key"] for price in after.prices.values() if price["lookup_key"])
    assert set(keyed.values()) <= {1}
    for key, price in before.by_key().items():  # one that was replaced is no longer sold
        if after.by_key()[key]["id"] != price["id"]:
            assert not after.prices[price["id"]]["active"]
    return before, after


async def plays(runtime, seed):
    maker = Maker(seed)
    file = maker.catalogue()
    before, after = await at_random(runtime, maker, file)
    sold = sum(len(product.prices) for product in file.products.values())
    assert len(after.prices) == len(before.prices) + sold  # none is there twice
    pulled = pull(after).catalogue
    for product_id, product in file.products.items():
        assert pulled.products[product_id] == product
    again = yaml_file.parse(yaml_file.dump(pulled))
    assert again == pulled
    assert await pushed(runtime, again) == []

    other = maker.changed(file)
    before, after = await at_random(runtime, maker, other)
    assert yaml_file.parse(yaml_file.dump(pull(after).catalogue)) == pull(after).catalogue


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_pushed_file_is_what_is_pulled_and_pushing_it_again_changes_nothing(sqlite_url, seed):
    async with runtime_of(sqlite_url) as runtime:
        await plays(runtime, seed)


async def test_two_pushes_that_were_planned_at_the_same_moment_make_one_price(sqlite_url):
    async with runtime_of(sqlite_url) as runtime:
        known = await at_stripe_of(runtime)
        file = pull(known).catalogue
        file.products["prod_NwStarter000001"].prices["starter_monthly"].amount = 950
        for _ in range(2):
            async for _ in push(changes(file, known), known, runtime.stripe, runtime.mirror):
                pass
        after = await at_stripe_of(runtime)
        assert len(after.prices) == len(known.prices) + 1
        assert changes(file, after) == []


async def test_a_tax_that_the_file_leaves_out_stays_as_it_is(sqlite_url):
    async with runtime_of(sqlite_url) as runtime:
        known = await at_stripe_of(runtime)
        file = pull(known).catalogue
        price = known.by_key()["starter_monthly"]
        in_file = file.products[price["product"]].prices["starter_monthly"]
        price["tax_behavior"] = "exclusive"
        for option in price["currency_options"].values():
            option["tax_behavior"] = "exclusive"
        assert in_file.currencies
        assert changes(file, known) == []
        for named in (in_file, next(iter(in_file.currencies.values()))):
            named.tax = "inclusive"
            assert any(each.once for each in changes(file, known))
            named.tax = None
        in_file.amount = 950
        (new,) = (each.params for each in changes(file, known) if each.once)
        assert new["tax_behavior"] == "exclusive"
        assert {each["tax_behavior"] for each in new["currency_options"].values()} == {"exclusive"}


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
async def test_many_files_are_pushed_and_pulled(new_sqlite, part):
    for seed in range(100 + part, 100 + MANY, 4):
        async with runtime_of(new_sqlite()) as runtime:
            await plays(runtime, seed)
