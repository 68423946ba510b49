"""The protocol, judged by others: the reference audit of GraphQL over HTTP, and clients as their authors ship them."""

import json
import subprocess
from pathlib import Path

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport
from graphql import GraphQLError

from harness.npm import install
from harness.paths import TESTS

CLIENTS = TESTS / "clients"

pytestmark = pytest.mark.soak  # it takes a while


@pytest.fixture(scope="module")
def npm() -> Path:
    return install(CLIENTS, "the audit of GraphQL over HTTP and the clients for browsers are")


def node(script, *arguments):
    """What a script prints, as JSON."""
    result = subprocess.run(
        ["node", script, *arguments], cwd=CLIENTS, text=True, capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_all_61_audits_of_graphql_over_http_pass_without_a_warning(npm, shop):
    audits = node("audits.mjs", f"{shop.url}/graphql")
    assert len(audits) == 61
    assert [audit for audit in audits if audit["status"] != "ok"] == []


@pytest.fixture(scope="module")
def buyer(shop):
    """A signed-in user's headers, and the plan to buy."""
    plans = shop.data("{ plans { nodes { id } } }")["plans"]["nodes"]
    return shop.sign_in("ada@example.com"), plans[0]["id"]


@pytest.fixture(scope="module")
def got(npm, shop, buyer):
    headers, price = buyer
    return node("clients.mjs", f"{shop.url}/graphql", headers["Authorization"].removeprefix("Bearer "), price)


def asked(name):
    """One operation of operations.graphql."""
    text = (CLIENTS / "operations.graphql").read_text()
    return next(f"{part}\n}}" for part in text.split("\n}\n") if f" {name}(" in part)


@pytest.mark.parametrize(
    "name",
    [
        "Apollo Client",
        "Apollo Client by GET",
        "Apollo Client by hash",
        "Apollo Client by hash and GET",
        "urql",
        "urql by GET",
        "graphql-request",
        "graphql-request by GET",
        "Relay",
    ],
)
def test_a_client_for_browsers_works_unmodified(got, shop, buyer, name):
    found = got[name]
    assert "failed" not in found, found["failed"]
    assert without_typename(found["query"]) == shop.data(asked("Plans"), {"first": 2})
    assert len(found["query"]["plans"]["nodes"]) == 2
    session = found["mutation"]["createCheckoutSession"]["session"]
    assert session["url"].startswith(shop.stripe_url)
    assert found["refused"] == "GRAPHQL_VALIDATION_FAILED"


def test_apollos_persisted_queries_send_a_document_once_and_then_its_hash(got):
    # The client by GET comes second and finds that the document is known already.
    assert got["Apollo Client by hash"]["sent"] == ["POST hash", "POST document", "POST hash"]
    assert got["Apollo Client by hash and GET"]["sent"][:2] == ["GET hash", "GET hash"]


def test_the_same_purchase_by_every_client_is_one_session(got):
    assert len({found["mutation"]["createCheckoutSession"]["session"]["id"] for found in got.values()}) == 1


def test_the_client_for_python_works_unmodified(shop, buyer):
    headers, price = buyer
    with Client(transport=HTTPXTransport(f"{shop.url}/graphql", headers=headers, timeout=20)) as client:
        plans = client.execute(GraphQLRequest(asked("Plans"), variable_values={"first": 2}))
        assert plans == shop.data(asked("Plans"), {"first": 2})
        wanted = {"input": {"lineItems": [{"priceId": price}], "successUrl": "https://shop.example/paid"}}
        bought = client.execute(GraphQLRequest(asked("Checkout"), variable_values=wanted))["createCheckoutSession"]
        assert bought["session"]["status"] == "OPEN"
        with pytest.raises(TransportQueryError, match="Cannot query field"):
            client.execute(gql("{ plans { nothing } }"))


def test_the_client_for_python_reads_the_schema_from_the_endpoint_and_checks_against_it(shop):
    transport = HTTPXTransport(f"{shop.url}/graphql", timeout=20)
    with Client(transport=transport, fetch_schema_from_transport=True) as client:
        with pytest.raises(GraphQLError, match="Cannot query field 'nothing'"):  # of its own: nothing was sent
            client.execute(gql("{ plans { nothing } }"))
        assert client.execute(gql("{ pricing { asOf } }"))["pricing"]["asOf"]


def without_typename(value):
    """Apollo and urql ask for the type of every object, for their caches."""
    if isinstance(value, list):
        return [without_typename(each) for each in value]
    if isinstance(value, dict):
        return {name: without_typename(each) for name, each in value.items() if name != "__typename"}
    return value
