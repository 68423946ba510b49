"""What one request may ask for, over HTTP: refused with 400, with few errors, in a body of 100 KB at most."""

import json

import pytest

from harness.gateway import make_world

RESPONSE = {"Accept": "application/graphql-response+json"}


@pytest.fixture(scope="module")
def shop(new_sqlite):
    with make_world(new_sqlite(), fill=False) as world:
        yield world


def ask(shop, query, variables=None):
    return shop.client.post(f"{shop.url}/graphql", json={"query": query, "variables": variables}, headers=RESPONSE)


def codes(answer):
    return [error["extensions"]["code"] for error in answer.json().get("errors", [])]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{" + "__typename " * 21 + "}", "QUERY_TOO_COMPLEX"),
        ("{ product(id: 1) {" + "id " * 1000 + "} }", "GRAPHQL_PARSE_FAILED"),
        (
            "query($n: Int!) { plans(first: $n) { nodes { product { plans { " + "id " * 60 + "} } } } }",
            "QUERY_TOO_COMPLEX",
        ),
    ],
    ids=["too many root fields", "too many tokens", "a page size in a variable"],
)
def test_a_document_that_costs_too_much_is_400(shop, text, code):
    answer = ask(shop, text, {"n": 1})
    assert (answer.status_code, codes(answer)) == (400, [code])


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{" + " ".join(f"nope{n}" for n in range(20)) + "}", None),
        ("{" + " ".join(f'a{n}: customer(externalId: "x") {{ id }}' for n in range(12)) + "}", None),
        (
            "mutation($input: CreateCheckoutSessionInput!) { createCheckoutSession(input: $input) { session { id } } }",
            {"input": {"lineItems": [{"nope": 1}] * 3000}},
        ),
    ],
    ids=["validation", "resolvers", "variables that do not fit"],
)
def test_at_most_ten_errors_are_answered(shop, query, variables):
    answer = ask(shop, query, variables)
    assert len(codes(answer)) == 10
    assert len(answer.content) < 20_000


def test_there_are_no_batches(shop):
    batch = [{"query": "{ __typename }"}] * 2
    answer = shop.client.post(f"{shop.url}/graphql", json=batch, headers=RESPONSE)
    assert (answer.status_code, codes(answer)) == (400, ["BAD_USER_INPUT"])


def sized(size, **request):
    """A request of so many bytes."""
    body = json.dumps({"query": "query($a: String) { plans(after: $a) { nodes { id } } }", **request})
    return body + " " * (size - len(body))


def test_a_body_has_at_most_100_kb_with_all_its_variables(shop):
    def send(content):
        headers = {**RESPONSE, "Content-Type": "application/json"}
        return shop.client.post(f"{shop.url}/graphql", content=content, headers=headers)

    assert send(sized(102_400)).status_code == 200
    assert send(sized(102_401)).status_code == 413
    large = send(sized(102_400, variables={"a": "x" * 100_000}))
    assert codes(large) == ["BAD_USER_INPUT"], "a cursor is no book"
    assert len(large.content) < 2000, "and is not sent back"
