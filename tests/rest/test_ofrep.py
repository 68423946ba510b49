"""OpenFeature's remote evaluation protocol, as its description has it; SDKs play it in tests/conformance/programs."""

import pytest

from harness.gateway import SERVICE, connected, make_world
from harness.rows import NOW, customer, item, product, put, subscription

FLAGS = "/ofrep/v1/evaluate/flags"
ADA = {"targetingKey": "ada"}


@pytest.fixture(scope="module")
def world(new_sqlite):
    """Ada has bought boards; the catalogue has sso as well."""
    url = new_sqlite()
    with connected(url) as connection:
        pro = product("pro", meta={"features": "boards", "limit_boards": "5"})
        put(connection, pro, product("large", meta={"features": "boards, sso"}), customer(external_id="ada"))
        put(connection, subscription(as_of=int(NOW.timestamp())), item("si_1", "month", "pro"))
    with make_world(url, fill=False) as made:
        yield made


def ask(world, path="/boards", context=None, headers=SERVICE, method="POST", **more):
    body = {} if context is None else {"context": context}
    return world.client.request(method, f"{world.url}{FLAGS}{path}", headers=headers, **{"json": body, **more})


def test_a_feature_is_a_flag_whose_metadata_say_why(world):
    allowed, refused = (ask(world, path, ADA).json() for path in ("/boards", "/sso"))
    assert allowed["metadata"].pop("until").startswith("2126-12-20T")
    metadata = {"reason": "ACTIVE", "limit": 5, "subscription": "sub_1"}
    same = {"reason": "TARGETING_MATCH"}
    assert allowed == {"key": "boards", "value": True, "variant": "allowed", "metadata": metadata, **same}
    nothing = {"reason": "NOT_INCLUDED"}
    assert refused == {"key": "sso", "value": False, "variant": "refused", "metadata": nothing, **same}


def test_all_that_the_catalogue_knows_is_told_at_once_and_only_when_it_is_news(world):
    found = ask(world, "", ADA)
    assert {flag["key"]: flag["value"] for flag in found.json()["flags"]} == {"boards": True, "sso": False}
    known = {**SERVICE, "If-None-Match": found.headers["etag"]}
    assert ask(world, "", ADA, known).status_code == 304
    assert ask(world, "", {"targetingKey": "bob"}, known).json()["flags"][0]["value"] is False


def test_a_user_asks_for_himself_and_needs_to_name_nobody(world):
    mine = world.token("ada")
    assert ask(world, headers=mine).json() == ask(world, context=ADA).json()
    assert ask(world, headers=mine, content=b"", json=None).json()["value"]
    assert ask(world, context=ADA, headers=world.token("bob")).status_code == 403
    assert ask(world, context=ADA, headers={}).status_code == 401


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({}, 400, "TARGETING_KEY_MISSING"),
        ({"context": {"targetingKey": 7}}, 400, "TARGETING_KEY_MISSING"),
        ({"context": {"targetingKey": ""}}, 400, "TARGETING_KEY_MISSING"),
        ({"json": {"context": []}}, 400, "INVALID_CONTEXT"),
        ({"json": []}, 400, "INVALID_CONTEXT"),
        ({"json": None, "content": b"{"}, 400, "PARSE_ERROR"),
        ({"json": None, "content": b"[" * 100_000}, 400, "PARSE_ERROR"),
        ({"context": ADA, "path": "/"}, 404, "FLAG_NOT_FOUND"),
        ({"context": ADA, "path": "s/boards"}, 404, "FLAG_NOT_FOUND"),
        ({"method": "GET"}, 405, "GENERAL"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_the_words_of_the_protocol(world, more, status, code):
    for path in {more.get("path", "/boards"), more.get("path", "")}:
        answer = ask(world, **{**more, "path": path})
        assert (answer.status_code, answer.json()["errorCode"]) == (status, code), (path, answer.text)
        assert answer.json()["errorDetails"]
        assert ("key" in answer.json()) == (path == "/boards")
