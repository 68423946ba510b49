"""The headers that make a browser refuse what nobody asked for, on every answer of every route."""

import pytest

from harness.gateway import SERVICE, make_world

PAGE = {"Accept": "text/html"}
ORIGIN = {"Origin": "https://shop.example"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
DATA = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
ANSWERS = {
    "a query": ("POST", "/graphql", ORIGIN, 200),
    "a query by GET": ("GET", "/graphql?query={__typename}", ORIGIN, 200),
    "a refused query": ("GET", "/graphql", {}, 400),
    "no body that can be read": ("POST", "/graphql", {"Content-Type": "text/plain"}, 415),
    "another method": ("PUT", "/graphql", {}, 405),
    "a preflight": ("OPTIONS", "/graphql", PREFLIGHT, 200),
    "GraphiQL": ("GET", "/graphql", PAGE, 200),
    "GraphiQL's script": ("GET", "/graphql/static/graphiql.js", {}, 200),
    "the shop": ("GET", "/demo", PAGE, 200),
    "the shop's script": ("GET", "/demo/shop/shop.js", {}, 200),
    "the sign-in": ("POST", "/dev/sign-in", {}, 404),
    "the front door": ("GET", "/", {}, 307),
    "liveness": ("GET", "/healthz", {}, 200),
    "readiness": ("GET", "/readyz", {}, 200),
    "metrics": ("GET", "/metrics", {}, 200),
    "the description": ("GET", "/openapi.json", {}, 200),
    "a decision": ("GET", "/access/user_1/projects", SERVICE, 403),
    "a decision for nobody": ("GET", "/access/user_1/projects", {}, 401),
    "a forged webhook": ("POST", "/webhooks/stripe", {}, 400),
    "nothing": ("GET", "/nothing", {}, 404),
}


@pytest.fixture(scope="module")
def shop(new_sqlite):
    with make_world(new_sqlite(), fill=False, trusted_proxies="127.0.0.1") as world:
        yield world


def ask(shop, method, path, headers):
    body = {"json": {"query": "{ __typename }"}} if method == "POST" else {}
    return shop.client.request(method, f"{shop.url}{path}", headers=headers, **body)


@pytest.mark.parametrize(("method", "path", "headers", "status"), list(ANSWERS.values()), ids=list(ANSWERS))
def test_every_answer_is_guarded(shop, method, path, headers, status):
    answer = ask(shop, method, path, headers)
    assert answer.status_code == status, answer.text
    got = answer.headers
    assert got["x-content-type-options"] == "nosniff"
    assert got["referrer-policy"] == "no-referrer"
    assert got["cross-origin-opener-policy"] == got["cross-origin-resource-policy"] == "same-origin"
    assert "payment=()" in got["permissions-policy"]
    assert got["cache-control"]
    assert "server" not in got
    assert "strict-transport-security" not in got, "there is no TLS here"
    for name in ("content-security-policy", "cache-control", "x-content-type-options"):
        assert len(got.get_list(name)) == 1, name

    policy = got["content-security-policy"]
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert "'unsafe-eval'" not in policy
    else:
        assert policy == DATA
    assert got.get("access-control-allow-origin") == (headers.get("Origin") and "https://shop.example")


@pytest.mark.parametrize(("method", "path"), [("GET", "/healthz"), ("POST", "/graphql"), ("POST", "/webhooks/stripe")])
def test_over_tls_a_browser_is_told_to_come_over_tls_alone(shop, method, path):
    answer = ask(shop, method, path, {"X-Forwarded-Proto": "https"})
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_what_a_customer_reads_is_kept_by_no_cache(shop):
    answer = shop.graphql("{ viewer { id } }", None, shop.token("user_1"))
    assert answer.headers["cache-control"] in {"no-store", "private, no-store"}
