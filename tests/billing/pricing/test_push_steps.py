"""How steps are carried out at a Stripe that answers what is written down, and whose subscriptions they are about."""

import pytest

from gateway.billing.pricing.changes import Ref, Step
from gateway.billing.pricing.push import count_bought, push
from gateway.models.mirrored import Product
from harness.priced import at_stripe, meter, price, product
from harness.rows import item, subscription

KNOWN = at_stripe(
    *(product("pro"), price("price_1", "monthly")),
    meters={"bytes": meter("mtr_1", "Bytes")},
    features={"sso": {"id": "feat_1", "name": "Sign-on"}},
)


@pytest.fixture
def carried(scripted, stripe, mirror):
    """Carries steps out; what Stripe was asked to change, and the keys."""

    async def carry(*steps: Step) -> tuple[list[tuple], list[str | None]]:
        scripted.calls.clear()
        scripted.keys.clear()
        assert [step async for step in push(steps, KNOWN, stripe, mirror)] == [*steps]
        return [call for call in scripted.calls if call[0] != "GET"], [*scripted.keys]

    return carry


async def test_what_an_earlier_step_has_made_and_what_was_there_is_named_by_its_id(carried, scripted):
    scripted.answer("POST", "/v1/billing/meters", {"object": "other", "id": "mtr_9"})
    scripted.answer("POST", "/v1/prices", {"object": "other", "id": "price_9"})
    scripted.answer("POST", "/v1/prices/price_1", {"object": "other", "id": "price_1"})
    scripted.answer("POST", "/v1/products/pro", {"object": "other", "id": "pro"})
    for _ in range(2):
        calls, keys = await carried(
            Step("", ("/v1/billing/meters",), {"event_name": "calls"}, Ref("meter", "calls")),
            Step("", ("/v1/prices",), {"recurring": {"meter": Ref("meter", "calls")}}, Ref("price", "new"), once=True),
            Step("", ("/v1/prices",), {"metered": [Ref("meter", "bytes"), 5]}, once=True),
            Step("", ("/v1/prices/", Ref("price", "monthly")), {"active": False}),
            Step("", ("/v1/products/", "pro"), {"default_price": Ref("price", "new")}),
        )
        assert calls == [
            ("POST", "/v1/billing/meters", {"event_name": "calls"}),
            ("POST", "/v1/prices", {"recurring[meter]": "mtr_9"}),
            ("POST", "/v1/prices", {"metered[0]": "mtr_1", "metered[1]": "5"}),
            ("POST", "/v1/prices/price_1", {"active": "false"}),
            ("POST", "/v1/products/pro", {"default_price": "price_9"}),
        ]
        assert len(set(keys)) == 5
        assert {key.partition("-")[0] for key in keys} == {"pricing"}
    others = await carried(Step("", ("/v1/billing/meters",), {"event_name": "calls"}))
    assert others[1][0] not in keys  # a step that says how something is to be is said anew
    again = await carried(Step("", ("/v1/prices",), {"metered": [Ref("meter", "bytes"), 5]}, once=True))
    assert again[1] == [keys[2]]  # a price is made once, whoever pushes the same
    params = {"currency": "usd", "unit_amount": 9}
    ways = [
        await carried(Step("", ("/v1/prices",), dict(its), once=True))
        for its in (params.items(), [*params.items()][::-1])
    ]
    assert ways[0][1] == ways[1][1]  # in whatever order it is said


async def test_the_copy_has_what_was_changed(carried, scripted, database, mirror, stripe):
    whole = product("pro", active=True, updated=0, name="Renamed")
    bond = {"object": "product_feature", "id": "pf_1"}
    scripted.answer("GET", "/v1/products/pro", whole)
    scripted.list("/v1/products/pro/features", [{**bond, "entitlement_feature": {"lookup_key": "sso", "name": "Sso"}}])
    scripted.answer("POST", "/v1/products/pro/features", bond)
    scripted.answer("DELETE", "/v1/products/pro/features/pf_1", bond)
    scripted.answer("POST", "/v1/products/pro", whole)
    scripted.answer("POST", "/v1/entitlements/features", {"object": "entitlements.feature", "id": "feat_9"})
    for step, call in (
        (
            Step("", ("/v1/products/pro/features",), {"entitlement_feature": Ref("feature", "sso")}, product="pro"),
            ("POST", "/v1/products/pro/features", {"entitlement_feature": "feat_1"}),
        ),
        (
            Step("", ("/v1/products/pro/features", "/", "pf_1"), method="delete", product="pro"),
            ("DELETE", "/v1/products/pro/features/pf_1", {}),
        ),
        (Step("", ("/v1/products/", "pro"), {"name": "x"}), ("POST", "/v1/products/pro", {"name": "x"})),
    ):
        assert (await carried(step))[0] == [call]
        assert next(path for method, path, _ in scripted.calls if method == "GET") == "/v1/products/pro"
    await carried(Step("", ("/v1/entitlements/features",), {"name": "x"}))
    assert len(scripted.calls) == 1  # of which there is no copy
    names = await database.read(lambda one: [row.name for row in one.execute(Product.__table__.select())])
    assert names == ["Renamed"]


async def test_the_subscriptions_that_go_on_are_counted_by_what_they_have(database, fill):
    def has(id: str, price_id: str, product_id: str, subscription_id: str):
        return item(id, price_id, product_id, subscription_id=subscription_id)

    over = [subscription(f"over_{status}", status) for status in ("canceled", "incomplete_expired")]
    await fill(subscription("a"), subscription("b", "past_due"), subscription("gone", deleted=True), *over)
    await fill(has("1", "month", "pro", "a"), has("2", "year", "pro", "a"), has("3", "month", "pro", "b"))
    await fill(*(has(f"si_{row.id}", "month", "pro", row.id) for row in over), has("4", "month", "pro", "gone"))
    asked = [("price", "month"), ("price", "year"), ("product", "pro"), ("product", "month"), ("price", "month")]
    assert await count_bought(database, asked) == dict(zip(asked, (2, 1, 2, 0, 2), strict=True))
