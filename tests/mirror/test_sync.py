"""`gateway sync`: it goes on where it was killed, and stays under Stripe's rate limits."""

import asyncio
import re
import signal
import threading
import time
from urllib.parse import parse_qs

import httpx
import pytest

from gateway.mirror import reconcile
from gateway.mirror.reader import Reader
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.settings import Settings
from gateway.stripe_api.client import Stripe
from harness.command import Command, run
from harness.databases import runtime_at
from harness.gateway import fill_mirror, listening, serve

CUSTOMERS = 250


class Watched:
    """The offline Stripe, whose calls are noted; it can keep one of them waiting."""

    def __init__(self, app):
        self.app, self.calls, self.times, self.refused = app, [], [], 0
        self.hold, self.held = None, threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not scope["path"].startswith("/v1/") or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        query = {name: found[0] for name, found in parse_qs(scope["query_string"].decode()).items()}
        self.calls.append((scope["path"], query.get("starting_after")))
        self.times.append(time.monotonic())
        if self.hold and self.hold(self.calls):
            self.held.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            return

        async def noted(message):
            self.refused += message.get("status") == 429
            await send(message)

        await self.app(scope, receive, noted)


@pytest.fixture
def stripe():
    """An offline Stripe with the sample catalogue and some customers; its address."""
    listener, url = listening()
    watched = Watched(create_sandbox(SandboxOptions()))
    with serve(watched, listener, date_header=False), httpx.Client(base_url=url, timeout=20) as client:
        for number in range(CUSTOMERS):
            form = {"email": f"c{number}@example.com"}
            client.post("/v1/customers", data=form, headers={"Authorization": "Bearer sk_test_x"}).raise_for_status()
        watched.url, watched.client = url, client
        yield watched


def limit(stripe, calls_a_second):
    stripe.client.post("/_sandbox/chaos", json={"rate_limit": calls_a_second}).raise_for_status()


def customers(database_url):
    async def count():
        database = runtime_at(database_url).database
        rows = await reconcile._known(database, reconcile.RESOURCES["customer"])
        await database.close()
        return len(rows)

    return asyncio.run(count())


def test_killed_in_the_middle_it_goes_on_there_and_waits_when_stripe_wants_fewer_calls(tmp_path, stripe, sqlite_url):
    environment = {
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_API_BASE": stripe.url,
        "DATABASE_URL": sqlite_url,
    }
    stripe.hold = lambda calls: sum(path == "/v1/customers" for path, _ in calls) == 3
    process = Command("sync", cwd=tmp_path, environment=environment)
    assert stripe.held.wait(30)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert customers(sqlite_url) == 200
    assert ("/v1/products", None) in stripe.calls
    place = stripe.calls[-1]
    assert place[1] is not None

    stripe.calls, stripe.hold = [], None
    limit(stripe, 5)
    done = run("sync", cwd=tmp_path, **environment)

    assert done.returncode == 0, done.stdout
    # neither the catalogue again nor the customers that it had
    assert stripe.calls[:2] == [("/v1/account", None), place]
    assert sum(path == "/v1/customers" for path, _ in stripe.calls) == 1
    assert stripe.refused > 0  # and it waited
    assert customers(sqlite_url) == CUSTOMERS
    assert re.search(rf"customer\s.*{CUSTOMERS}", done.stdout)
    stripe.calls = []
    limit(stripe, 0)
    key = {"stripe_secret_key": "sk_test_x", "stripe_api_base": stripe.url, "database_url": sqlite_url}
    asyncio.run(fill_mirror(Settings.load(**key)))
    assert stripe.calls[1] == ("/v1/products", None)  # the next one is a new one


async def test_of_many_calls_no_second_has_more_than_stripe_allows(stripe):
    limit(stripe, 25)
    client = Stripe(Settings.load(stripe_secret_key="sk_test_x", stripe_api_base=stripe.url))
    reader = Reader(client)
    for _ in range(45):
        await reader.get("/v1/products", limit=1)
    await client.close()
    assert stripe.refused == 0
    assert len(stripe.times) == 45
    assert max(sum(start <= other < start + 1 for other in stripe.times) for start in stripe.times) <= 25
