"""Stripe hangs or fails: the shop window stays, a checkout fails soon with its type, and nobody waits in a queue."""

import asyncio
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from gateway.errors import StripeUnavailable
from gateway.settings import Settings
from gateway.stripe_api.circuit_breaker import FAILURES, PAUSE_SECONDS, CircuitBreaker
from gateway.stripe_api.client import Stripe
from harness.checkout import BUY, purchase
from harness.gateway import make_world


@pytest.fixture
def failing():
    """A server in Stripe's place: what it answers is told, what it was asked is counted."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.calls += 1
            time.sleep(server.delay)
            status, headers = server.answers.pop(0) if server.answers else (server.status, {})
            body = b'{"id": "prod_1"}' if status == 200 else b'{"error": {"type": "api_error", "message": "no"}}'
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - its base class names it so

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # who gave up waiting closes the connection
    server.calls, server.status, server.answers, server.delay = 0, 503, [], 0
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def passed():
    """How much time has passed for the circuit breaker."""
    return SimpleNamespace(seconds=0.0)


@pytest.fixture
async def client(failing, passed):
    settings = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=failing.url)
    client = Stripe(settings, breaker=CircuitBreaker(clock=lambda: passed.seconds))
    yield client
    await client.close()


async def test_one_short_failure_is_retried_and_nobody_sees_it(failing, client):
    failing.answers = [(503, {}), (200, {})]
    assert (await client.get("/v1/products/prod_1")).object["id"] == "prod_1"
    assert failing.calls == 2


async def test_after_failures_in_a_row_the_rest_is_spared_until_one_tries_again(failing, client, passed):
    calls = [client.get("/v1/products/prod_1") for _ in range(FAILURES)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StripeUnavailable}
    asked, started = failing.calls, time.monotonic()
    for _ in range(20):
        with pytest.raises(StripeUnavailable, match="in some seconds"):
            await client.post("/v1/customers", idempotency_key="one")
    assert failing.calls == asked
    assert time.monotonic() - started < 3  # each would have waited for its pauses between tries
    failing.status = 200
    passed.seconds += PAUSE_SECONDS
    assert (await client.get("/v1/products/prod_1")).object["id"] == "prod_1"


async def test_one_call_that_is_limited_holds_no_other_up(failing, client):
    failing.answers = [(429, {"Retry-After": "30"}), (200, {})]  # the SDK does not repeat what is limited
    with pytest.raises(StripeUnavailable, match="limiting"):
        await client.get("/v1/products/prod_1")
    assert (await client.get("/v1/products/prod_1")).object["id"] == "prod_1"


async def test_stripe_that_limits_call_after_call_is_left_alone_for_as_long_as_it_asks(failing, client, passed):
    failing.answers = [*[(429, {"Retry-After": "30"})] * FAILURES, (200, {})]
    for _ in range(FAILURES):
        with pytest.raises(StripeUnavailable, match="limiting"):
            await client.get("/v1/products/prod_1")
    asked = failing.calls
    passed.seconds += 29
    with pytest.raises(StripeUnavailable, match="in some seconds"):
        await client.get("/v1/products/prod_1")
    assert failing.calls == asked
    passed.seconds += 1
    assert (await client.get("/v1/products/prod_1")).object["id"] == "prod_1"


def test_the_shop_window_stays_and_a_checkout_fails_within_ten_seconds(sqlite_template, tmp_path, failing):
    path = tmp_path / "gateway.db"
    shutil.copy(sqlite_template, path)
    with make_world(f"sqlite:///{path}") as world:
        wanted = purchase(world)
        failing.delay = 12
        hanging = world.settings.model_copy(update={"stripe_api_base": failing.url})
        world.settings = hanging
        with world.twin() as twin:
            started = time.monotonic()
            answer = twin.graphql(BUY, wanted).json()
            assert time.monotonic() - started < 10
            assert answer["errors"][0]["extensions"]["code"] == "STRIPE_UNAVAILABLE"
            assert twin.data("{ pricing { products { product { name } } } }")["pricing"]["products"]
