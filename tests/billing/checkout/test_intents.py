"""Intents: found again under their key, and a guest's forgotten after 30 days."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.billing.checkout.request import CheckoutRequest
from gateway.billing.checkout.sessions import GUEST, GUEST_RETENTION, INTENTS, Sessions
from harness.databases import both_databases, runtime_at


@pytest.fixture
async def runtime(database_url):
    runtime = runtime_at(database_url)
    yield runtime
    await runtime.close()


async def keys(runtime):
    query = sa.select(INTENTS.c.scope, INTENTS.c.key).order_by(INTENTS.c.key)
    return [tuple(row) for row in await runtime.database.read(lambda connection: connection.execute(query).all())]


async def age(runtime, by):
    """Make every intent older."""
    created = sa.update(INTENTS).values(created=datetime.now(UTC) - by)
    await runtime.database.transaction(lambda connection: connection.execute(created))


def request(key):
    return CheckoutRequest(lines=(), idempotency_key=key)


@both_databases
async def test_a_guests_intents_are_forgotten_after_their_time_and_a_users_are_kept(runtime):
    sessions = Sessions(runtime.mirror, None)
    await sessions.create_intent(GUEST, request("a-guest"))
    await sessions.create_intent("user:ada", request("b-user"))
    await age(runtime, GUEST_RETENTION + timedelta(minutes=1))
    await sessions.create_intent(GUEST, request("c-guest"))
    assert await keys(runtime) == [("user:ada", "b-user"), (GUEST, "c-guest")]


@both_databases
async def test_until_then_the_same_key_finds_the_same_intent(runtime):
    sessions = Sessions(runtime.mirror, None)
    first = await sessions.create_intent(GUEST, request("a-guest"))
    await age(runtime, GUEST_RETENTION - timedelta(minutes=1))
    assert (await sessions.create_intent(GUEST, request("a-guest"))).id == first.id
    assert (await sessions.create_intent("user:ada", request("a-guest"))).id != first.id
