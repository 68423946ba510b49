"""An operator signs in with a provider: the way there and back, and what comes back wrong."""

import base64
import json
import time
from hashlib import sha256
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from harness.gateway import listening, make_world, serve
from harness.oidc_provider import Provider
from harness.sockets import sibling

CONSOLE = "the-console"


@pytest.fixture(scope="module")
def provider():
    """A provider that signs in whoever comes; `claims` are what it says of them."""
    listener, url = listening()
    made = Provider(url)
    made.issuer, made.claims, made.codes = url, {"roles": ["billing-act"]}, {}
    made.discovered, made.tried, made.cookies = 0, 0, []

    async def discovery(_request: Request) -> JSONResponse:
        made.discovered += 1
        return JSONResponse(
            {"issuer": url, "authorization_endpoint": f"{url}/authorize", "token_endpoint": f"{url}/token"}
        )

    async def authorize(request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        code = f"code{len(made.codes)}"
        made.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(request: Request) -> JSONResponse:
        made.tried += 1
        made.cookies.append(dict(request.cookies))
        form = parse_qs((await request.body()).decode())
        asked = made.codes.pop(form["code"][0], None)
        if asked is None:
            return JSONResponse({"error": "invalid_grant"}, 400)
        hashed = base64.urlsafe_b64encode(sha256(form["code_verifier"][0].encode()).digest()).rstrip(b"=").decode()
        if hashed != asked["code_challenge"] or form["client_secret"] != ["between-us"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        says = {"iss": url, "aud": CONSOLE, "exp": int(time.time()) + 300, "sub": "7", "email": "ann@example.com"}
        claims = {**says, "nonce": asked["nonce"], **made.claims}
        algorithm, private = made.private["first"]
        signed = jwt.encode(claims, private, algorithm=algorithm, headers={"kid": "first"})
        return JSONResponse({"id_token": signed}, headers={"Set-Cookie": "session=of-one-operator; Path=/"})

    paths = {"/keys": made.answer, "/authorize": authorize, "/.well-known/openid-configuration": discovery}
    routes = [Route(path, answer) for path, answer in paths.items()]
    with serve(Starlette(routes=[*routes, Route("/token", token, methods=["POST"])]), listener):
        yield made


@pytest.fixture(scope="module")
def shop(new_sqlite, provider):
    theirs = {"operator_jwks_url": provider.url, "operator_issuer": provider.issuer, "operator_audience": CONSOLE}
    with make_world(new_sqlite(), fill=False, console=True, operator_client_secret="between-us", **theirs) as world:
        yield world


def go(shop, provider, *, state: str | None = None, cookies: bool = True):
    """The way to the provider and back; the answer that the browser has at the end."""
    shop.client.cookies.clear()
    begun = shop.client.get(f"{shop.url}/console/sign-in")
    assert begun.status_code == 303
    assert "HttpOnly" in begun.headers["set-cookie"]
    assert "SameSite=lax" in begun.headers["set-cookie"]
    back = shop.client.get(begun.headers["location"]).headers["location"]
    if state is not None:
        back = back.replace(parse_qs(urlsplit(back).query)["state"][0], state)
    if not cookies:
        shop.client.cookies.clear()
    return shop.client.get(back)


def test_who_comes_back_has_a_token_that_opens_the_fields_of_operators(shop, provider):
    answer = go(shop, provider)
    assert answer.status_code == 303
    place, _, token = answer.headers["location"].partition("#token=")
    assert (place, answer.headers["cache-control"]) == ("/console", "no-store")
    seen = shop.data("{ operator { name role } }", None, {"Authorization": f"Bearer {token}"})["operator"]
    assert seen == {"name": "sub 7", "role": "ACT"}
    assert 'data-provider="yes"' in shop.client.get(f"{shop.url}/console").text


@pytest.mark.parametrize(
    ("claims", "way"),
    [
        ({}, {"state": "another"}),
        ({}, {"cookies": False}),
        ({"roles": []}, {}),
        ({"roles": ["billing-act"], "nonce": "of another sign-in"}, {}),
        ({"roles": ["billing-act"], "aud": "another-client"}, {}),
        ({"roles": ["billing-act"], "exp": 1}, {}),
    ],
    ids=json.dumps,
)
def test_what_comes_back_wrong_opens_nothing(shop, provider, claims, way):
    provider.claims = claims
    try:
        answer = go(shop, provider, **way)
    finally:
        provider.claims = {"roles": ["billing-act"]}
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "eyJ" not in answer.text


def test_an_address_has_the_provider_asked_a_few_times_a_minute_and_no_cookie_of_it_is_kept(shop, provider):
    """Whoever comes with a cookie of his own making has our secret sent with a code that is false."""
    began, tried = provider.discovered, provider.tried
    with sibling(shop) as fresh:
        assert go(fresh, provider).status_code == go(fresh, provider).status_code == 303
        back = f"{fresh.url}/console/callback?state=a&code=false"
        made_up = {"Cookie": "console-sign-in=a.b.c"}
        answers = [fresh.client.get(back, headers=made_up).status_code for _ in range(17)]
        assert answers == [502] * 16 + [429]
        begun = fresh.client.get(f"{fresh.url}/console/sign-in")
    assert (begun.status_code, 0 < int(begun.headers["retry-after"]) <= 60) == (429, True)
    assert (provider.discovered - began, provider.tried - tried) == (1, 18)
    assert provider.cookies[-18:] == [{}] * 18
