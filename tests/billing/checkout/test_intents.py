"""Intents: found again under their key."""

import pytest

from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.checkout.sessions import GUEST, Sessions
from harness.databases import both_databases, runtime_at


@pytest.fixture
async def runtime(database_url):
    runtime = runtime_at(database_url)
    yield runtime
    await runtime.close()


def request(key):
    return CheckoutRequest(lines=(), idempotency_key=key)


@both_databases
async def test_the_same_key_of_the_same_buyer_finds_the_same_intent(runtime):
    sessions = Sessions(runtime.mirror, None)
    first = await sessions.create_intent(GUEST, request("a-guest"))
    other = await sessions.create_intent("user:ada", request("a-guest"))
    another = await sessions.create_intent(GUEST, request("another"))
    assert len({first.id, other.id, another.id}) == 3
    for scope, key, known in ((GUEST, "a-guest", first), ("user:ada", "a-guest", other), (GUEST, "another", another)):
        assert (await sessions.create_intent(scope, request(key))).id == known.id
