"""Documents by their hash: manifests of trusted ones, and automatic persisted queries."""

import dataclasses
import json
from hashlib import md5, sha1, sha256

import pytest
from websockets.sync.client import connect

from gateway.errors import SettingsError
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.settings import Settings
from gateway.web.documents import documents
from harness.gateway import SERVICE

RESPONSE = {"Accept": "application/graphql-response+json"}
PLANS = "query Plans($n: Int! = 1) { plans(first: $n) { nodes { id } } }"
MUTATION = 'mutation Close { expireCheckoutSession(input: {id: "cs_test_1"}) { userErrors { code } } }'


def digest(text, algorithm=sha256):
    return algorithm(text.encode()).hexdigest()


APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [
        {"id": digest(PLANS), "name": "Plans", "type": "query", "body": PLANS},
        {"id": "our-own-name", "name": "Close", "type": "mutation", "body": MUTATION},
    ],
}
CODEGEN = {digest(PLANS, sha1): PLANS, digest(MUTATION, sha1): MUTATION}  # its `hashAlgorithm` is SHA-1 by default
RELAY = {digest(PLANS, md5): PLANS, digest(MUTATION, md5): MUTATION}


@pytest.fixture(scope="module")
def locked(shop, tmp_path_factory):
    """The same shop, where only the documents of three manifests run."""
    folder, paths = tmp_path_factory.mktemp("manifests"), []
    for name, manifest in (("apollo", APOLLO), ("codegen", CODEGEN), ("relay", RELAY)):
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(json.dumps(manifest))
    settings = Settings.load(
        **{**dict(shop.settings), "trusted_documents": tuple(paths), "trusted_documents_only": True}
    )
    with dataclasses.replace(shop, settings=settings).twin() as world:
        yield world


def send(world, method, body):
    """A request by either method; in a URL what is no string is JSON."""
    url = f"{world.url}/graphql"
    if method == "POST":
        return world.client.post(url, json=body, headers=RESPONSE)
    params = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    return world.client.get(url, params=params, headers=RESPONSE)


def apollo(text):
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}}


def outcome(answer):
    """The code of what was refused, or "data"."""
    content = answer.json()
    return content["errors"][0]["extensions"]["code"] if "errors" in content else "data"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_document_is_sent_once_and_then_named(shop, method):
    text = f"{PLANS} # by {method}"

    unknown = send(shop, method, apollo(text))
    assert (unknown.status_code, outcome(unknown)) == (400, "PERSISTED_QUERY_NOT_FOUND")
    assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound", "Apollo's older clients look at this"
    assert outcome(send(shop, method, {"query": text, **apollo(text)})) == "data"
    named = send(shop, method, {**apollo(text), "variables": {"n": 2}, "operationName": "Plans"})
    assert len(named.json()["data"]["plans"]["nodes"]) == 2
    assert outcome(send(shop, method, {"documentId": f"sha256:{digest(text)}"})) == "data"


def test_clients_of_the_older_media_type_read_that_a_document_is_unknown_with_200(shop):
    answer = shop.client.post(f"{shop.url}/graphql", json=apollo("{ unknown }"))
    assert (answer.status_code, outcome(answer)) == (200, "PERSISTED_QUERY_NOT_FOUND")


def test_nobody_puts_another_document_under_a_hash(shop):
    mine, theirs = f"{PLANS} # mine", f"{PLANS} # theirs"
    forged = send(shop, "POST", {"query": theirs, **apollo(mine)})
    assert (forged.status_code, outcome(forged)) == (400, "BAD_USER_INPUT")
    assert outcome(send(shop, "POST", apollo(mine))) == "PERSISTED_QUERY_NOT_FOUND"


def test_a_mutation_by_get_stays_refused_when_it_is_named(shop):
    assert send(shop, "POST", {"query": MUTATION, **apollo(MUTATION)}).status_code == 200
    assert send(shop, "GET", apollo(MUTATION)).status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        {"extensions": {"persistedQuery": "x"}},
        {"extensions": {"persistedQuery": []}},
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": digest(PLANS)}}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 7}}},
        {"documentId": 7},
        {"id": ["x"]},
        {"doc_id": {}},
        {"documentId": ""},
        {"query": "{ __typename }", "documentId": "not its hash"},
    ],
    ids=str,
)
def test_a_name_that_is_none_is_400_with_a_sentence(shop, body):
    answer = send(shop, "POST", body)
    assert (answer.status_code, outcome(answer)) == (400, "BAD_USER_INPUT")
    assert answer.json()["errors"][0]["message"]


def test_what_is_learned_is_bounded_and_the_oldest_goes_first():
    documents = PersistedDocuments(Settings.load(), max_learned_bytes=1_000_000)
    texts = [f"{{ __typename }} # {n} {'x' * 50_000}" for n in range(40)]
    for text in texts:
        documents.text_of(GraphQLRequest(text, None, {}, digest(text)))
        documents.text_of(GraphQLRequest(None, None, {}, digest(texts[0])))  # always in use
    remembered = [text for text in texts if outcome_of(documents, digest(text)) == text]
    assert remembered[0] == texts[0]
    assert remembered[1:] == texts[-len(remembered) + 1 :]
    assert 940_000 < sum(map(len, remembered)) <= 1_000_000


def outcome_of(documents, name):
    try:
        return documents.text_of(GraphQLRequest(None, None, {}, name))
    except Exception as error:  # noqa: BLE001 - which one is what is asked
        return error.extensions["code"]


@pytest.mark.parametrize(
    "named",
    [
        {"documentId": digest(PLANS)},
        {"documentId": f"sha256:{digest(PLANS)}"},
        {"id": digest(PLANS, sha1)},
        {"doc_id": digest(PLANS, md5)},
        apollo(PLANS),
        {"query": PLANS},
        {"query": PLANS, **apollo(PLANS)},
    ],
    ids=["by id", "by prefixed id", "as codegen names it", "as Relay names it", "as Apollo does", "whole", "both"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_trusted_document_runs_by_every_name_and_as_it_is(locked, method, named):
    answer = send(locked, method, {**named, "variables": {"n": 3}})
    assert len(answer.json()["data"]["plans"]["nodes"]) == 3


def test_a_manifest_may_have_names_of_its_own(locked):
    assert outcome(send(locked, "POST", {"documentId": "our-own-name"})) == "NOT_FOUND", "it ran, and found no session"


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ __typename }"},
        {"query": f"{PLANS} "},
        {"query": "{ __schema { queryType { name } } }"},
        apollo("{ __typename }"),
        {"query": "{ __typename }", **apollo("{ __typename }")},
        {"query": "{ __typename }", **apollo(PLANS)},
        {"documentId": "unknown"},
    ],
    ids=str,
)
@pytest.mark.parametrize("headers", [{}, SERVICE], ids=["anybody", "the back end"])
def test_where_only_trusted_documents_run_nothing_else_does(locked, body, headers):
    for _ in range(2):  # what was refused has not been learned
        answer = locked.client.post(f"{locked.url}/graphql", json=body, headers={**RESPONSE, **headers})
        assert (answer.status_code, outcome(answer)) == (400, "PERSISTED_QUERY_NOT_IN_LIST")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"hash": 7}',
        '{"format": "another", "operations": []}',
        '{"format": "apollo-persisted-query-manifest", "operations": [{"id": "x"}]}',
        '{"format": "apollo-persisted-query-manifest", "operations": 7}',
    ],
)
def test_a_manifest_that_is_none_stops_the_start_with_a_line_that_names_it(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"^GATEWAY_TRUSTED_DOCUMENTS: \S*manifest\.json is no manifest"):
        PersistedDocuments(Settings.load(trusted_documents=(path,)))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"documentId": digest(PLANS)}, "next"),
        ({"query": PLANS}, "next"),
        ({"query": "{ __typename }"}, "error"),
        ({"documentId": "unknown"}, "error"),
    ],
    ids=["named", "whole", "another", "unknown"],
)
def test_the_same_rule_holds_over_a_websocket(locked, payload, expected):
    address = locked.url.replace("http", "ws", 1) + "/graphql"
    with connect(address, subprotocols=["graphql-transport-ws"], origin=locked.url) as live:
        live.send('{"type": "connection_init"}')
        assert json.loads(live.recv(timeout=10))["type"] == "connection_ack"
        live.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        answer = json.loads(live.recv(timeout=10))
        assert answer["type"] == expected, answer
        if expected == "error":
            assert answer["payload"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_IN_LIST"


def test_the_documents_of_the_package_for_browsers_run_by_their_hash_where_only_trusted_ones_do(locked):
    assert {digest(text) for text in documents().values()} == set(documents())
    (pricing,) = (text for text in documents().values() if text.startswith("query Pricing("))
    answer = send(locked, "GET", {**apollo(pricing), "variables": {"locale": "de"}})
    assert answer.json()["data"]["pricing"]["products"]
    assert answer.headers["cache-control"].startswith("public")  # it has nothing of who asks
