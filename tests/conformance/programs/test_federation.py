"""The gateway in a larger graph, composed and asked by the routers of Apollo and of The Guild as npm has them.

Apollo's compatibility suite asks a graph of its own invention, which a library is to serve and an API cannot, and it
composes by a program that npm does not have. Its tests of what this graph has are run with this graph's names.
"""

import json
from pathlib import Path

import pytest

from harness.gateway import SERVICE_TOKEN, make_world
from harness.pages import blocks
from harness.programs import node_packages, run
from harness.subscriptions import customer, price_id, subscribe

PROJECT = Path(__file__).with_name("federation")

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


@pytest.fixture(scope="module")
def graph(new_sqlite):
    with make_world(new_sqlite(), federation=True) as world:
        yield world


@pytest.fixture(scope="module")
def ids(graph):
    plan = {"id": price_id(graph, "pro_monthly")}
    product = graph.data("query($id: ID!) { plan(id: $id) { product { id } } }", plan)["plan"]["product"]["id"]
    return {"product": product, "invoice": subscribe(graph, customer(graph, "ada"))["latest_invoice"]}


@pytest.fixture(scope="module")
def got(graph, ids):
    """What each router answers a guest, Ada and a back end."""
    project = node_packages(PROJECT)
    ada = graph.token("ada")["Authorization"].removeprefix("Bearer ")
    command = [
        "node",
        project / "routers.cjs",
        f"{graph.url}/graphql",
        ada,
        SERVICE_TOKEN,
        json.dumps(ids),
        *blocks("graphql", "graphql"),
    ]
    return json.loads(run(command, cwd=project))


@pytest.mark.parametrize("router", ["apollo", "hive"])
def test_a_router_answers_from_both_graphs_what_each_caller_may_see(got, graph, ids, router):
    found = got[router]
    for answer in found.values():
        for error in answer.get("errors") or ():  # Hive's says of what is not shown that it is not there
            root, place, field, *_ = error["path"]
            assert (field, answer["data"][root][place][field]) in {("billing", None), ("invoice", None)}, error
        ada, _ = answer["data"]["users"]
        assert (ada["bestSeller"]["name"], ada["bestSeller"]["reviews"]) == ("Pro", ["good"])
        assert {"interval": "MONTH"} in ada["bestSeller"]["plans"]
        assert answer["data"]["products"]["nodes"][0]["reviews"] == ["good"]
        assert answer["data"]["products"]["pageInfo"] == {"hasNextPage": True}
    assert {name: (answer["data"]["viewer"] or {}).get("id") for name, answer in found.items()} == {
        "guest": None,
        "ada": "ada",
        "service": None,
    }
    (row,) = graph.rows("customer", external_id="ada")
    hers = {"id": row["id"], "externalId": "ada", "subscription": {"status": "ACTIVE"}}
    assert {name: seen(answer, ids) for name, answer in found.items()} == {
        "guest": (None, None, False),
        "ada": (hers, None, True),
        "service": (hers, None, True),
    }


def seen(answer, ids):
    """What is told of the accounts of both users, and whether of the invoice."""
    ada, eve = (user["billing"] for user in answer["data"]["users"])
    (booking,) = answer["data"]["bookings"]
    invoice = booking["invoice"]
    return known(ada), known(eve), bool(invoice and invoice.get("total")) and invoice["id"] == ids["invoice"]


def known(account):
    """An account; a router may leave the key of one that the gateway does not show."""
    return account if account and account.get("id") else None


def test_apollos_suite_finds_what_this_graph_has(graph, ids):
    project = node_packages(PROJECT)
    named = json.dumps({"customer": graph.rows("customer", external_id="ada")[0]["id"], "product": ids["product"]})
    found = json.loads(run(["node", project / "suite.cjs", f"{graph.url}/graphql", SERVICE_TOKEN, named], cwd=project))
    assert {name for name, result in found.items() if result == "holds"} == {
        "@link",
        "@key single: applies single field @key on User",
        "@key single: resolves single field @key on User",
        "repeatable @key: applies repeatable @key directive on Product",
        "repeatable @key: resolves multiple @key directives on Product",
        "@shareable: should return @shareable directives in _service sdl",
    }
    assert "ftv1" in found["ftv1"]  # the traces of Apollo's studio, which the gateway does not write


def test_the_graph_of_the_page_composes(got):
    assert got["composed"] == []


def test_all_entities_of_a_kind_are_asked_for_at_once(got):
    entities = [query for query in got["asked"] if "_entities" in query]
    assert entities
    assert len(entities) <= 3 * 4, "of each caller: customers, products and invoices, and products of a page"
