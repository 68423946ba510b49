"""Objects by their ids alone: what is sold to everybody, the rest to its owner."""

import pytest

from harness.gateway import SERVICE
from harness.sockets import sibling
from harness.subscriptions import customer, price_id, subscribe

NODE = """query Node($id: ID!) { node(id: $id) { __typename id
    ... on Product { name plans { id interval } }
    ... on Plan { interval product { id } amount { formatted } }
    ... on BillingSubscription { status items { plan { id } } }
    ... on Invoice { number total { amount } lines { description } hostedInvoiceUrl } } }"""


@pytest.fixture(scope="module")
def held(shop):
    """Ada's subscription and its invoice, and a draft."""
    who = customer(shop, "ada")
    made = subscribe(shop, who)
    draft = shop.stripe("POST", "/v1/invoices", customer=who)["id"]
    shop.eventually(lambda: shop.rows("invoice", id=draft))
    return {"sub": made["id"], "in": made["latest_invoice"], "draft": draft}


def node(world, id, headers=None):
    return world.data(NODE, {"id": id}, headers)["node"]


def test_what_is_sold_is_found_by_everybody(shop):
    price = price_id(shop, "pro_monthly")
    plan = node(shop, price)
    assert (plan["__typename"], plan["id"], plan["interval"]) == ("Plan", price, "MONTH")
    found = node(shop, plan["product"]["id"])
    assert (found["__typename"], found["name"]) == ("Product", "Pro")
    assert price in {each["id"] for each in found["plans"]}


def test_what_is_somebodys_is_found_by_its_owner_and_the_back_end_alone(shop, held):
    ada, eve = shop.token("ada"), shop.token("eve")
    for headers in (ada, SERVICE):
        subscription, invoice = node(shop, held["sub"], headers), node(shop, held["in"], headers)
        assert (subscription["__typename"], subscription["status"]) == ("BillingSubscription", "ACTIVE")
        assert (invoice["__typename"], invoice["id"], invoice["lines"] != []) == ("Invoice", held["in"], True)
        with sibling(shop, compiled_execution=False) as plain:
            assert [node(plain, held[kind], headers) for kind in ("sub", "in")] == [subscription, invoice]
    assert [node(shop, held[kind], headers) for kind in ("sub", "in") for headers in (eve, None)] == [None] * 4


@pytest.mark.parametrize("id", ["draft", "sub_none", "in_none", "cus_none", "price_none", "none", "", "x" * 500])
def test_there_is_nothing_else(shop, held, id):
    assert node(shop, held.get(id, id), SERVICE) is None


def test_no_cache_keeps_what_depends_on_who_asks(shop):
    query = f'{{ node(id: "{price_id(shop, "pro_monthly")}") {{ id }} }}'
    answer = shop.client.get(f"{shop.url}/graphql", params={"query": query})
    assert "public" not in answer.headers.get("cache-control", "")
