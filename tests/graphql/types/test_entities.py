"""The API as a part of a larger graph: entities by their keys, to those whose they are, whoever's router asks."""

import time

import pytest
from graphql import build_schema, parse

from gateway.graphql.execution.complexity import cost_of
from gateway.graphql.federation import federated_core
from harness.databases import both_databases
from harness.gateway import SERVICE, make_world
from harness.sockets import sibling
from harness.statements import statements
from harness.subscriptions import customer, price_id, subscribe

ENTITIES = """query($representations: [_Any!]!) { _entities(representations: $representations) { __typename
    ... on Product { id name }
    ... on Plan { id product { id } amount { amount } }
    ... on Customer { id externalId subscription { status } invoices(first: 1) { nodes { id } } }
    ... on Invoice { id total { amount } hostedInvoiceUrl } } }"""


@pytest.fixture(scope="module")
def graph(new_sqlite):
    with make_world(new_sqlite(), federation=True) as world:
        yield world


@pytest.fixture(scope="module")
def held(graph):
    """What each of two users has: the customer, and the invoice of a subscription."""
    found = {}
    for who in ("ada", "eve"):
        its = customer(graph, who)
        found[who] = {"customer": its, "invoice": subscribe(graph, its)["latest_invoice"]}
    return found


def entities(world, *representations, headers=None):
    return world.data(ENTITIES, {"representations": list(representations)}, headers)["_entities"]


def refused(world, *representations, headers=None):
    (error,) = world.graphql(ENTITIES, {"representations": list(representations)}, headers).json()["errors"]
    return error["extensions"]["code"]


def of(kind, **key):
    return {"__typename": kind, **key}


def test_what_is_sold_is_everybodys_and_stands_where_it_was_asked_for(graph):
    price = price_id(graph, "pro_monthly")
    product = graph.data("query($id: ID!) { plan(id: $id) { product { id } } }", {"id": price})["plan"]["product"]["id"]
    for there in (None, {"compiled_execution": False}):
        with sibling(graph, **(there or {})) as world:
            asked = [of("Plan", id=price), of("Product", id="none"), of("Product", id=product, reviews=[1])]
            plan, nothing, sold, again = entities(world, *asked, asked[0])
    assert (plan["__typename"], plan["id"], plan["product"]) == ("Plan", price, {"id": product})
    assert (nothing, sold, again) == (None, of("Product", id=product, name="Pro"), plan)


def test_what_is_somebodys_is_its_owners_and_the_back_ends(graph, held):
    asked = [
        of(kind, **{key: value})
        for who, its in held.items()
        for kind, key, value in (
            ("Customer", "id", its["customer"]),
            ("Customer", "externalId", who),
            ("Invoice", "id", its["invoice"]),
        )
    ]
    everything = entities(graph, *asked, headers=SERVICE)
    assert [each["id"] for each in everything] == [
        each for its in held.values() for each in (its["customer"], its["customer"], its["invoice"])
    ]
    assert everything[0] == everything[1]
    assert everything[0]["subscription"] == {"status": "ACTIVE"}
    assert everything[0]["invoices"]["nodes"] == [{"id": held["ada"]["invoice"]}]
    assert everything[2]["hostedInvoiceUrl"]
    hers, eves = everything[:3], everything[3:]
    assert entities(graph, *asked, headers=graph.token("ada")) == hers + [None] * 3
    assert entities(graph, *asked, headers=graph.token("eve")) == [None] * 3 + eves
    assert entities(graph, *reversed(asked), headers=graph.token("eve")) == [*reversed(eves), None, None, None]
    for nobody in (None, graph.token("mallory")):
        assert entities(graph, *asked, headers=nobody) == [None] * 6


@pytest.mark.parametrize(
    "representation",
    [
        {},
        {"id": "in_1"},
        of("Product"),
        of("Product", id=None),
        of("Product", id={"like": "%"}),
        of("Invoice", externalId="ada"),
        of("Access", allowed=True),
        of("PaymentMethod", id="pm_1"),
        of(["Product"], id="x"),
        "Product",
        7,
    ],
)
def test_what_names_no_entity_is_refused(graph, representation):
    assert refused(graph, representation, headers=SERVICE) == "BAD_USER_INPUT"


def test_limits_are_those_of_every_other_field(graph):
    product = of("Product", id="none")
    assert entities(graph, *[product] * 100) == [None] * 100
    assert refused(graph, *[product] * 101) == "BAD_USER_INPUT"
    expired = graph.token("ada", exp=int(time.time()) - 60)
    assert refused(graph, product, headers=expired) == "UNAUTHENTICATED"
    for given, cost in (("$r", 1 + 100 * 2), ('[{id: "a"}, {id: "b"}, {id: "c"}]', 1 + 3 * 2)):
        query = f"query($r: [_Any!]!) {{ _entities(representations: {given}) {{ ... on Product {{ id name }} }} }}"
        ((_, found),) = cost_of(federated_core(), parse(query)).operations
        assert found.cost == cost


@both_databases
def test_each_kind_is_one_reading_however_many_are_asked_for(world, new_sqlite):
    """Also for an attacker with a list of other people's ids."""
    people = [f"user_{number}" for number in range(5)]
    bought = {each: subscribe(world, customer(world, each)) for each in people}
    asked = [
        of(kind, id=its[name])
        for its in bought.values()
        for kind, name in (("Customer", "customer"), ("Invoice", "latest_invoice"))
    ]
    with sibling(world, federation=True) as graph:

        def cost(some, headers):
            with statements() as seen:
                found = entities(graph, *some, headers=headers)
            return len(seen), sum(each is not None for each in found)

        for headers, all_of in ((SERVICE, 10), (world.token("user_0"), 2), (world.token("eve"), 0)):
            cost(asked, headers)  # a new connection asks the server who it is
            (few, _), (many, found) = cost(asked[:4], headers), cost(asked, headers)
            assert (many, found) == (few, all_of)


def test_it_says_what_it_is_and_the_ordinary_schema_has_none_of_it(graph, shop):
    found = graph.data("{ _service { sdl } }")["_service"]["sdl"]
    assert '@link(url: "https://specs.apollo.dev/federation/v2.3"' in found
    assert 'extend type Customer @key(fields: "externalId")' in found
    assert "type PageInfo @shareable" in found
    assert "  node(" not in found
    assert len(build_schema(found, assume_valid=True).type_map) > 100
    for query in ("{ _service { sdl } }", "{ _entities(representations: []) { __typename } }"):
        assert shop.graphql(query).json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
