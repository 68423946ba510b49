"""`/graphql` as a route: what is answered to whom, and that nothing a client sends ends in a 500."""

import dataclasses
import json
import re

import httpx
import pytest

from harness.gateway import SERVICE_TOKEN, make_world

JSON = "application/json"
RESPONSE = "application/graphql-response+json"


@pytest.fixture(scope="module")
def closed(new_sqlite):
    """As in production: no GraphiQL."""
    with make_world(new_sqlite(), fill=False, graphiql=False) as world:
        yield world


def post(world, body, **headers):
    headers = {"content-type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return world.client.post(f"{world.url}/graphql", content=content, headers=headers)


def get(world, headers=None, **params):
    return world.client.get(f"{world.url}/graphql", params=params, headers=headers)


def code(answer):
    return answer.json()["errors"][0]["extensions"]["code"]


def test_a_query_is_answered_by_post_and_by_get(shop):
    query = "query Q($first: Int!) { plans(first: $first) { nodes { id } } }"
    expected = {"data": {"plans": {"nodes": []}}}

    posted = post(shop, {"query": query, "variables": {"first": 3}, "operationName": "Q", "extensions": {}})
    got = get(shop, query=query, variables='{"first": 3}', operationName="Q")

    for answer in (posted, got):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{JSON}; charset=utf-8"
        assert answer.json().keys() == expected.keys()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (RESPONSE, RESPONSE),
        (f"{RESPONSE}, {JSON};q=0.9", RESPONSE),
        (f"{JSON};q=0.5, {RESPONSE}", RESPONSE),
        (f"{RESPONSE};q=0, {JSON}", JSON),
        ("text/event-stream, application/json", JSON),
        (f"{RESPONSE}; charset=utf-8", RESPONSE),
    ],
)
def test_the_answer_has_the_media_type_that_the_client_prefers(shop, accept, media_type):
    headers = {} if accept is None else {"accept": accept}
    request = shop.client.build_request("POST", f"{shop.url}/graphql", json={"query": "{ __typename }"})
    request.headers.pop("accept")
    request.headers.update(headers)

    answer = shop.client.send(request)

    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("query", "expected"), [("{ nope }", "GRAPHQL_VALIDATION_FAILED"), ("{", "GRAPHQL_PARSE_FAILED")]
)
def test_a_document_that_cannot_run_is_400_in_the_new_media_type_and_200_in_the_old(shop, query, expected):
    new = post(shop, {"query": query}, accept=RESPONSE)
    old = post(shop, {"query": query}, accept=JSON)

    assert (new.status_code, old.status_code) == (400, 200)
    assert code(new) == code(old) == expected
    assert "data" not in new.json()
    assert "data" not in old.json()


def test_a_variable_that_does_not_fit_is_the_callers_mistake(shop):
    answer = post(shop, {"query": "query($n: Int!) { plans(first: $n) { nodes { id } } }"}, accept=RESPONSE)

    assert (answer.status_code, code(answer)) == (400, "BAD_USER_INPUT")
    assert "data" not in answer.json()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"true",
        b"7",
        b'"{ __typename }"',
        b"[]",
        b'[{"query": "{ __typename }"}]',
        b"{",
        b'{"query": NaN}',
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b'{"query": "{ __typename }", "variables": {"n": ' + b"9" * 10_000 + b"}}",
        b'{"query": "\xff\xfe"}',
        b'{"query": "\\ud800"}',
        b"\x1f\x8b\x08\x00",
        b"{}",
        b'{"query": ""}',
        b'{"query": null}',
        b'{"query": 7}',
        b'{"query": {}}',
        b'{"query": ["{ __typename }"]}',
        b'{"query": "{ __typename }", "variables": "x"}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": 1}',
        b'{"query": "{ __typename }", "operationName": 1}',
        b'{"query": "{ __typename }", "operationName": {}}',
        b'{"query": "{ __typename }", "extensions": "x"}',
    ],
    ids=lambda body: body[:40].decode(errors="replace"),
)
def test_a_body_that_is_no_request_is_400_with_a_sentence(shop, body):
    answer = post(shop, body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"]
    assert code(answer) == "BAD_USER_INPUT"


@pytest.mark.parametrize("name", ["variables", "operationName", "extensions"])
def test_what_is_null_counts_as_left_out(shop, name):
    answer = post(shop, {"query": "{ __typename }", name: None})
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        f"{JSON}; charset=latin-1",
        "application/jsonp",
    ],
)
def test_only_json_is_taken_because_any_page_of_the_web_can_send_the_rest(shop, content_type):
    answer = post(shop, {"query": "{ __typename }"}, content_type=content_type)
    assert answer.status_code == 415


def test_a_compressed_body_is_refused(shop):
    assert post(shop, {"query": "{ __typename }"}, content_encoding="gzip").status_code == 415


def test_a_client_that_takes_nothing_of_ours_is_told_so(shop):
    assert post(shop, {"query": "{ __typename }"}, accept="text/plain").status_code == 406


def test_a_body_over_100_kb_is_refused_while_it_arrives(shop):
    def body():
        for _ in range(200):
            yield b" " * 1024

    answer = shop.client.post(f"{shop.url}/graphql", content=body(), headers={"content-type": JSON})
    assert answer.status_code == 413


def test_a_mutation_by_get_is_refused_and_does_nothing(shop):
    query = 'mutation { expireCheckoutSession(input: {id: "cs_test_1"}) { userErrors { code } } }'
    answer = get(shop, query=query)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    picked = get(shop, query=f"query Q {{ __typename }} {query.replace('mutation', 'mutation M')}", operationName="M")
    assert picked.status_code == 405


def test_a_mutation_by_head_does_nothing_either(shop):
    """HEAD is as safe as GET (RFC 9110, 9.2.1): a browser sends it across origins without asking."""
    query = "mutation($input: CreateCheckoutSessionInput!) { createCheckoutSession(input: $input) { session { id } } }"
    wanted = {"input": {"lineItems": [{"lookupKey": "starter_monthly"}], "successUrl": "https://shop.example/"}}
    before = shop.sandbox.store.count("checkout.session")
    answer = shop.client.head(f"{shop.url}/graphql", params={"query": query, "variables": json.dumps(wanted)})
    assert answer.status_code == 405
    assert shop.sandbox.store.count("checkout.session") == before
    assert shop.client.head(f"{shop.url}/graphql", params={"query": "{ __typename }"}).status_code == 200


@pytest.mark.parametrize("params", [{}, {"query": ""}, {"query": "{ __typename }", "variables": "{"}])
def test_a_get_without_a_query_is_400(shop, params):
    assert get(shop, **params).status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(shop, method):
    assert shop.client.request(method, f"{shop.url}/graphql").status_code == 405


@pytest.mark.parametrize(
    "query",
    [
        "fragment F on Query { ...F } { ...F }",
        "fragment A on Query { ...B } fragment B on Query { ...A } { ...A }",
        "{ ...Missing }",
        "{ nope(first: 3) { nodes } }",
        "{ ... on Nope { id } }",
        "{ a " * 400,
        "{ plans(first: " + "[" * 400,
        "{ plans(after: " + '"' + "x" * 90_000 + '") { nodes { id } } }',
        "#" * 90_000,
        "#\n" * 20_000,
        "{ __typename " * 30 + "}" * 30,
        "{ plans(first: 99999999999999999999) { nodes { id } } }",
        "subscription { x }",
        "type Query { a: Int }",
        "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
    ],
    ids=lambda query: query[:30],
)
def test_a_hostile_document_gets_an_error_with_a_code_and_soon(shop, query):
    answer = post(shop, {"query": query}, accept=RESPONSE)

    assert answer.status_code in {200, 400}
    assert code(answer) in {
        "QUERY_TOO_COMPLEX",
        "GRAPHQL_VALIDATION_FAILED",
        "GRAPHQL_PARSE_FAILED",
        "BAD_USER_INPUT",
    }
    assert answer.elapsed.total_seconds() < 2


def test_introspection_and_suggestions_help_where_graphiql_is_on(shop):
    assert post(shop, {"query": "{ __schema { queryType { name } } }"}).json()["data"]
    assert "Did you mean" in post(shop, {"query": "{ pricin }"}).json()["errors"][0]["message"]


def test_without_graphiql_the_schema_is_not_told(closed):
    assert code(post(closed, {"query": "{ __schema { queryType { name } } }"})) == "GRAPHQL_VALIDATION_FAILED"
    assert "Did you mean" not in post(closed, {"query": "{ pricin }"}).text
    assert (
        "Did you mean"
        not in post(
            closed,
            {"query": "query($i: BillingInterval) { pricing(interval: $i) { asOf } }", "variables": {"i": "MONT"}},
        ).text
    )
    assert post(closed, {"query": "{ __typename }"}).json() == {"data": {"__typename": "Query"}}


def test_a_browser_gets_graphiql_where_it_is_on_and_json_where_it_is_off(shop, closed):
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

    page = get(shop, headers=browser)
    assert page.headers["content-type"].startswith("text/html")

    refused = get(closed, headers=browser)
    assert refused.status_code == 400
    assert refused.headers["content-type"].startswith(JSON)


@pytest.mark.parametrize("header", ["Bearer wrong", "Basic abc", "Bearer", "x", "Bearer ä", "Bearer a.b.c"])
def test_a_token_that_proves_nothing_is_401(shop, header):
    answer = post(shop, {"query": "{ __typename }"}, authorization=header.encode())

    assert (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


def expired(world):
    """The headers of a user whose token has ended."""
    return world.token("user_ada", exp=1)


def test_an_expired_token_answers_what_is_public_with_the_error_beside(shop):
    query = "{ products(first: 3) { nodes { name } } viewer { id } }"
    answer = post(shop, {"query": query}, **expired(shop))

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    body = answer.json()
    assert body["data"] == shop.data(query)
    assert len(body["data"]["products"]["nodes"]) == 3
    (error,) = body["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["viewer"], "UNAUTHENTICATED")
    assert error["message"] == "the token has expired; sign in again"


def test_an_expired_token_buys_nothing_as_a_guest(shop):
    mutation = """mutation { createCheckoutSession(input: {lineItems: [{lookupKey: "starter_monthly"}],
        successUrl: "https://shop.example/", cancelUrl: "https://shop.example/"}) { session { id } } }"""
    answer = post(shop, {"query": mutation}, **expired(shop))
    assert (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")


def test_a_setting_refuses_an_expired_token_as_a_whole(shop):
    settings = shop.settings.model_copy(update={"refuse_expired_tokens": True})
    with dataclasses.replace(shop, settings=settings).twin() as strict:
        answer = post(strict, {"query": "{ products { nodes { id } } }"}, **expired(strict))
    assert (answer.status_code, code(answer)) == (401, "UNAUTHENTICATED")
    assert "data" not in answer.json()


def test_the_back_end_is_known_by_its_token(shop):
    answer = post(shop, {"query": "{ __typename }"}, authorization=f"Bearer {SERVICE_TOKEN}")
    assert answer.status_code == 200


def test_a_failure_inside_is_masked_and_found_in_the_log_by_its_request_id(shop, capfd):
    price = shop.data("{ plans(first: 1) { nodes { id } } }")["plans"]["nodes"][0]
    created = shop.data(
        """mutation($input: CreateCheckoutSessionInput!) {
            createCheckoutSession(input: $input) { session { id } userErrors { message } } }""",
        {"input": {"lineItems": [{"priceId": price["id"]}], "successUrl": "https://shop.example/"}},
    )["createCheckoutSession"]["session"]
    shop._execute("UPDATE checkout_session SET status = 'expired', payment_status = 'a secret'")

    answer = post(shop, {"query": f'{{ session(id: "{created["id"]}") {{ id }} __typename }}'}, x_request_id="req-0001")

    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL", "requestId": answer.headers["x-request-id"]}
    assert answer.json()["data"] == {"session": None, "__typename": "Query"}
    assert not re.search("secret|valueerror|traceback|python", answer.text, re.IGNORECASE)
    assert answer.headers["x-request-id"] in capfd.readouterr().out


def test_a_database_that_fails_leaves_the_rest_of_the_answer_alone(shop):
    with shop.renamed("checkout_session", "checkout_session_away"):
        answer = post(shop, {"query": '{ session(id: "cs_test_1") { id } __typename }'}).json()

    assert answer["data"] == {"session": None, "__typename": "Query"}
    assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert answer["errors"][0]["path"] == ["session"]


def test_a_connection_that_breaks_in_the_body_harms_nobody(shop):
    def broken():
        yield b'{"query":'
        raise ConnectionResetError

    with httpx.Client() as client, pytest.raises(ConnectionResetError):
        client.post(f"{shop.url}/graphql", content=broken(), headers={"content-type": JSON})

    assert post(shop, {"query": "{ __typename }"}).status_code == 200
