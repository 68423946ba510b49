"""Pages of other origins: which may call, what they may send, and what caches are told of it."""

import pytest

from gateway.errors import SettingsError
from gateway.settings import Settings
from harness.gateway import make_world

SHOP, EVIL = "https://shop.example", "https://evil.example"
PRICING = "{ pricing { currency } }"


@pytest.fixture(scope="module")
def shop(new_sqlite):
    with make_world(new_sqlite(), cors_headers="X-Tenant, X-Build") as world:
        yield world


def preflight(shop, origin, headers, path="/graphql"):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers}
    return shop.client.options(f"{shop.url}{path}", headers=asked)


@pytest.mark.parametrize(
    "header",
    [
        "content-type",
        "authorization",
        "sentry-trace",
        "baggage",
        "traceparent",
        "tracestate",
        "apollographql-client-name",
        "apollographql-client-version",
        "apollo-require-preflight",
        "x-apollo-operation-name",
        "x-requested-with",
        "x-request-id",
        "idempotency-key",
        "x-tenant",
        "x-build",
    ],
)
def test_a_page_may_send_what_its_libraries_add(shop, header):
    answer = preflight(shop, SHOP, f"authorization,{header}")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert header in {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert answer.headers["access-control-allow-methods"] == "GET, POST"
    assert answer.headers["vary"] == "Origin"


def test_a_page_of_another_origin_may_not_call(shop):
    answer = preflight(shop, EVIL, "content-type")
    assert answer.status_code == 400
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "GATEWAY_CORS_ORIGINS" in answer.text


def test_no_other_header_is_allowed(shop):
    allowed = preflight(shop, SHOP, "cookie").headers["access-control-allow-headers"].lower()
    assert "cookie" not in allowed
    assert "*" not in allowed


def test_options_that_ask_nothing_of_cors_reach_the_route(shop):
    assert shop.client.options(f"{shop.url}/graphql", headers={"Origin": SHOP}).status_code == 405


@pytest.mark.parametrize("origin", [SHOP, EVIL, None])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_answer_says_that_it_depends_on_the_origin_from_memory_too(shop, method, origin):
    headers = {"Origin": origin} if origin else {}
    for _ in range(3):
        if method == "POST":
            answer = shop.graphql(PRICING, None, headers)
        else:
            answer = shop.client.get(f"{shop.url}/graphql", params={"query": PRICING}, headers=headers)
        assert answer.json()["data"]["pricing"]
        assert "Origin" in {each.strip() for each in answer.headers["vary"].split(",")}
        assert answer.headers.get("access-control-allow-origin") == (origin if origin == SHOP else None)


@pytest.mark.parametrize("names", ["X Tenant", "X-Tenant:", "X-Tenant\r\nEvil: 1", "\u00fc"])
def test_what_is_no_name_of_a_header_stops_the_start(names):
    with pytest.raises(SettingsError, match="GATEWAY_CORS_HEADERS"):
        Settings.load(cors_headers=names)
