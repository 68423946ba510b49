"""Who may move the time of the gateway: an offline Stripe that says so, and nobody else."""

import asyncio
import json
import time
from datetime import timedelta

import pytest

from gateway.db.clock import Clock
from gateway.errors import SettingsError
from gateway.http.request import Request
from gateway.settings import Settings
from gateway.stripe_api.offline_time import HEADER, OfflineTime
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.receiver import Receiver
from gateway.webhooks.route import PATH, WebhookRoute
from harness.databases import runtime_at
from harness.gateway import SECRET, stripe_signature

MOVED = {HEADER: "864000"}
AT_STRIPE = {"stripe_secret_key": "sk_test_x"}
ELSEWHERE = {"stripe_secret_key": "sk_test_x", "stripe_api_base": "http://127.0.0.1:12111"}


@pytest.mark.parametrize(
    ("given", "headers", "days"),
    [
        (ELSEWHERE, MOVED, 10),
        (ELSEWHERE, {HEADER: "-86400"}, -1),
        (ELSEWHERE, {"date": "Fri, 01 Jan 2100 00:00:00 GMT"}, 0),
        (AT_STRIPE, MOVED, 0),
        ({"stripe_secret_key": "sk_live_x"}, MOVED, 0),
    ],
    ids=["offline", "offline, back", "another server at another address", "Stripe, test", "Stripe, live"],
)
def test_only_what_calls_itself_the_offline_stripe_at_another_address_moves_the_time(given, headers, days):
    clock = Clock()
    OfflineTime(Settings.load(**given), clock).note(headers)
    assert clock.ahead == timedelta(days=days)


def test_a_live_key_never_meets_another_address():
    with pytest.raises(SettingsError, match="STRIPE_API_BASE"):
        Settings.load(stripe_secret_key="sk_live_x", stripe_api_base="http://127.0.0.1:12111")


IN_A_YEAR = int(time.time()) + 365 * 86_400


def _delivery(ahead, *, signed=True):
    """An event of a customer whose test clock is a year ahead."""
    event = {"id": "evt_1", "object": "event", "type": "a.b", "created": IN_A_YEAR, "data": {"object": {"id": "x_1"}}}
    body = json.dumps(event).encode()
    signature = stripe_signature(body if signed else b"{}").encode()
    headers = [(b"stripe-signature", signature), (HEADER.encode(), ahead)]
    return Request("POST", PATH.encode(), headers, body=body, client=None, scheme="http")


@pytest.mark.parametrize(
    ("given", "deliveries", "days"),
    [
        (ELSEWHERE, [(b"864000", True)], 10),
        (ELSEWHERE, [(b"864000", True), (b"0", True)], 10),
        (ELSEWHERE, [(b"0", True)], 0),
        (ELSEWHERE, [(b"", True)], 0),
        (ELSEWHERE, [(b"864000", False)], 0),
        (AT_STRIPE, [(b"864000", True)], 0),
    ],
    ids=["offline", "one that is late", "another's test clock", "relayed without it", "forged", "Stripe"],
)
async def test_an_event_brings_the_time_of_everybody_and_not_of_a_test_clock(new_sqlite, given, deliveries, days):
    clock, settings = Clock(), Settings.load(**given, stripe_webhook_secrets=SECRET)
    runtime = runtime_at(new_sqlite())
    route = WebhookRoute(settings, Receiver(Inbox(runtime.mirror)), OfflineTime(settings, clock))
    for ahead, signed in deliveries:
        route.take(_delivery(ahead, signed=signed), lambda _: None)
    assert clock.ahead == timedelta(days=days)
    await runtime.close()


async def test_who_sleeps_until_something_is_due_wakes_when_the_clock_is_moved():
    clock = Clock()
    sleeping = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    clock.follow(0)  # as before
    await asyncio.sleep(0)
    assert not sleeping.done()
    clock.follow(86_400)
    await asyncio.wait_for(sleeping, 5)
    await asyncio.wait_for(clock.sleep(0.01), 5)


async def test_stripe_itself_is_never_asked_for_its_time():
    await OfflineTime(Settings.load(**AT_STRIPE), Clock()).run()  # it returns at once
