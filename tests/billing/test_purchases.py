"""What is bought once: its features for life where the price says so, until all of it is paid back; and the history."""

import time

import pytest
from billing.credits.test_credits import balance

from harness.checkout import buy
from harness.gateway import SERVICE, make_world

PURCHASES = """query($first: Int = 20, $after: String) { viewer { purchases(first: $first, after: $after) {
    nodes { id total { amount } refunded { amount } invoiceId lineItems { quantity price { id } } }
    pageInfo { hasNextPage endCursor } } } }"""
ACCESS = """{ viewer { entitlements { feature limit until source }
    access(feature: "reports") { allowed reason until limit subscription { id } } } }"""


def stock(world) -> dict[str, str]:
    """A product with a feature, for life and with a set-up fee."""
    meta = {"metadata[features]": "reports", "metadata[limit_reports]": 5, "metadata[limit_reports_per_unit]": "true"}
    made = world.stripe("POST", "/v1/products", name="Reports", **meta)["id"]
    price = {"product": made, "currency": "usd"}
    ids = {
        "life": world.stripe("POST", "/v1/prices", **price, unit_amount=9000, **{"metadata[lifetime]": "true"})["id"],
        "fee": world.stripe("POST", "/v1/prices", **price, unit_amount=100)["id"],
    }
    world.eventually(lambda: all(world.rows("price", id=each) for each in ids.values()))
    return ids


@pytest.mark.parametrize(
    ("database_url", "invoices"),
    [("sqlite_url", False), pytest.param("postgres_url", True, marks=pytest.mark.postgres)],
    indirect=["database_url"],
)
def test_what_is_bought_for_life_is_there_until_all_of_it_is_paid_back(database_url, invoices):
    with make_world(database_url, invoice_purchases=invoices) as world:
        ids, ada = stock(world), world.token("ada", email="ada@example.com")

        def access() -> dict:
            return world.data(ACCESS, headers=ada)["viewer"]["access"]

        def purchases(**page) -> dict:
            return world.data(PURCHASES, page, ada)["viewer"]["purchases"]

        def at_the_door() -> int:
            return world.client.get(f"{world.url}/access/ada/reports", headers=SERVICE).status_code

        fee = buy(world, ada, {"priceId": ids["fee"]})
        world.eventually(lambda: len(purchases()["nodes"]), 1)
        assert access()["reason"] == "NO_SUBSCRIPTION"  # a set-up fee is no licence
        assert at_the_door() == 403

        second = int(time.time())  # which tells what is newer
        world.eventually(lambda: int(time.time()) > second)
        life = buy(world, ada, {"priceId": ids["life"], "quantity": 2})
        world.eventually(
            access, {"allowed": True, "reason": "PURCHASED", "until": None, "limit": 10, "subscription": None}
        )
        assert at_the_door() == 200
        assert world.data(ACCESS, headers=ada)["viewer"]["entitlements"] == [
            {"feature": "reports", "limit": 10, "until": None, "source": "PLAN"}
        ]
        newest = purchases(first=1)
        (bought,) = newest["nodes"]
        assert (bought["id"], bought["total"], bought["refunded"]) == (life["id"], {"amount": 18_000}, {"amount": 0})
        assert bought["lineItems"] == [{"quantity": 2, "price": {"id": ids["life"]}}]
        assert (bought["invoiceId"] is not None) is invoices
        assert newest["pageInfo"]["hasNextPage"]
        rest = purchases(after=newest["pageInfo"]["endCursor"])
        assert [each["id"] for each in rest["nodes"]] == [fee["id"]]

        intent = world.rows("checkout_session", id=life["id"])[0]["payment_intent_id"]
        world.stripe("POST", "/v1/refunds", payment_intent=intent, amount=17_999)
        world.eventually(lambda: purchases(first=1)["nodes"][0]["refunded"], {"amount": 17_999})
        assert access()["allowed"]  # a part that went back changes nothing
        world.stripe("POST", f"/v1/prices/{ids['life']}", **{"metadata[lifetime]": ""})
        world.stripe("POST", "/v1/refunds", payment_intent=intent)
        world.eventually(lambda: access()["allowed"], False)
        assert at_the_door() == 403
        assert balance(world, "ada") == 0


def test_who_has_bought_nothing_has_no_purchases(shop):
    page = shop.data(PURCHASES, headers=shop.token("nobody"))["viewer"]["purchases"]
    assert page == {"nodes": [], "pageInfo": {"hasNextPage": False, "endCursor": None}}
    for bad in ({"first": 0}, {"after": "bm90aGluZw=="}):
        (error,) = shop.graphql(PURCHASES, bad, shop.token("nobody")).json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
