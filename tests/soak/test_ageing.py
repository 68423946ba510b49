"""Eight hours of mixed load, compressed: memory, files, connections and latency stay as they are after the first third.

They begin when the gateway has read Stripe's list of events once, at most a minute after its start: what that takes it
uses again each time.
A round is twenty simulated minutes: the offline Stripe's clock goes on by so much, customers sign up, some cancel, and
webhooks tell of them; users look at their accounts and at pages, and follow live updates; the back end spends credits,
reports usage and asks for access. `AGEING_ROUNDS` says how many rounds there are (24).
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import linear_regression, mean, median, quantiles

import httpx
import psycopg
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from gateway.cli.dev import RATES
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.settings import Settings
from harness.databases import both_databases
from harness.gateway import (
    ENGINES,
    SECRET,
    SERVICE,
    SERVICE_TOKEN,
    SIGN_IN_SECRET,
    World,
    fill_mirror,
    listening,
    serve,
)
from harness.hostile import resident_mb
from harness.servers import serving
from harness.waiting import free_port

ROUNDS = int(os.environ.get("AGEING_ROUNDS", "24"))
ROUND_SECONDS, SIGN_UPS, ASKED, CALLERS, LIVE = 1_200, 8, 1_200, 4, 20
MAX_RISE_MB, MAX_CONNECTIONS = 5, 8
CARD = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}
GRANT = """mutation($user: ID!, $key: String!) { grantCredits(input: {externalId: $user, amount: 1000,
    idempotencyKey: $key, reason: "a start"}) { userErrors { code } } }"""
SPEND = """mutation($user: ID!, $key: String!) { spendCredits(input: {externalId: $user, amount: 1,
    idempotencyKey: $key}) { userErrors { code } } }"""
USE = """mutation($user: ID!, $key: String!) { reportUsage(input: {externalId: $user, eventName: "api_calls",
    identifier: $key}) { userErrors { code } } }"""
VIEWER = "{ viewer { subscription { status } credits { balance } invoices { nodes { id } } } }"
pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


@dataclass
class Measured:
    """A figure of each round."""

    megabytes: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    connections: list[int] = field(default_factory=list)
    median_ms: list[float] = field(default_factory=list)
    slowest_ms: list[float] = field(default_factory=list)
    """The 99th percentile."""


class Load:
    """The mixed load on one gateway.

    Args:
        world: the gateway and its Stripe.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count()
        self._users: list[str] = []
        self._price = self._catalogue()

    def _catalogue(self) -> str:
        product = self._world.stripe("POST", "/v1/products", name="Daily", **{"metadata[features]": "boards"})["id"]
        terms = {"product": product, "currency": "usd", "recurring[interval]": "day", "metadata[credits]": "10"}
        return str(self._world.stripe("POST", "/v1/prices", unit_amount=500, **terms)["id"])

    def round(self) -> list[float]:
        """Play a round; how many milliseconds each answer took."""
        world = self._world
        for _ in range(SIGN_UPS):
            self._sign_up()
        world.advance(to=world.sandbox.now() + ROUND_SECONDS)
        with ThreadPoolExecutor(CALLERS) as pool:
            following = pool.submit(asyncio.run, follow(world, self._users[-LIVE:]))
            took = [each for found in pool.map(self._ask, [ASKED // CALLERS] * CALLERS) for each in found]
            following.result()
        return took

    def _sign_up(self) -> None:
        user = f"user-{next(self._numbers)}"
        who = self._world.stripe("POST", "/v1/customers", **CARD, **{"metadata[external_id]": user})["id"]
        plan = self._world.stripe("POST", "/v1/subscriptions", customer=who, **{"items[0][price]": self._price})
        self._world.eventually(lambda: self._world.rows("subscription", id=plan["id"]), seconds=60)
        assert self._world.data(GRANT, {"user": user, "key": user}, SERVICE)["grantCredits"]["userErrors"] == []
        if len(self._users) % 3 == 0:
            self._world.stripe("DELETE", f"/v1/subscriptions/{plan['id']}")
        self._users.append(user)

    def _ask(self, times: int) -> list[float]:
        took = []
        with httpx.Client(timeout=60, base_url=self._world.url) as client:
            for _ in range(times):
                number = next(self._numbers)
                user = self._users[-1 - number % min(len(self._users), 5 * SIGN_UPS)]
                begun = time.perf_counter()
                answer = self._request(client, number, user)
                took.append((time.perf_counter() - begun) * 1000)
                assert answer.status_code in {200, 403}, answer.text  # who has ended has no access
                assert "errors" not in answer.text, answer.text
        return took

    def _request(self, client: httpx.Client, number: int, user: str) -> httpx.Response:
        if number % 4 == 0:
            return client.get(f"/access/{user}/boards", headers=SERVICE)
        if number % 4 == 1:
            page = f"query Page{number % 200} {{ pricing {{ products {{ product {{ name }} }} }} }}"
            return client.post("/graphql", json={"query": page})
        if number % 4 == 2:
            return client.post("/graphql", json={"query": VIEWER}, headers=self._world.token(user, exp=2**33))
        query = SPEND if number % 8 == 3 else USE
        body = {"query": query, "variables": {"user": user, "key": f"{number}"}}
        return client.post("/graphql", json=body, headers=SERVICE)


async def follow(world: World, users: Sequence[str]) -> None:
    """Open live updates of some users, hear the first of each, and leave."""
    url = f"ws{world.url.removeprefix('http')}/graphql"

    async def one(user: str) -> None:
        async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": world.token(user, exp=2**33)}))
            assert "connection_ack" in str(await socket.recv())
            query = "subscription { viewerUpdated { subscription { status } } }"
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
            heard = str(await asyncio.wait_for(socket.recv(), 30))
            assert '"next"' in heard, heard

    await asyncio.gather(*map(one, users))


def connections_to(url: str) -> int:
    """How many connections there are to a database but ours; 0 for a file."""
    if url.startswith("sqlite"):
        return 0
    ENGINES.pop(url, None)  # with which we have read: not the gateway's
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ((found,),) = connection.execute(query).fetchall()
        return int(found)


def has_caught_up(world: World) -> bool:
    """Return whether the gateway has read Stripe's list of events to its end."""
    text = world.client.get(f"{world.url}/metrics").text
    found = re.search(r"^gateway_reconciled_seconds (\S+)$", text, re.MULTILINE)
    return found is not None and float(found[1]) > 0


@pytest.fixture
def aged(database_url) -> Iterator[tuple[World, int]]:
    """A gateway as a process of its own, and the process's id."""
    listener, stripe_url = listening()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    sandbox = create_sandbox(SandboxOptions(forward_to=f"{url}/webhooks/stripe", webhook_secret=SECRET))
    settings = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=stripe_url, database_url=database_url)
    environment = {
        "DATABASE_URL": database_url,
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": stripe_url,
        "AUTH_HS256_SECRET": SIGN_IN_SECRET,
        "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
        **{f"GATEWAY_{name.upper()}": "off" for name in RATES},
    }
    with serve(sandbox, listener, date_header=False), httpx.Client(timeout=60) as client:
        asyncio.run(fill_mirror(settings))
        with serving(environment, port) as (_, pid):
            yield World(url, stripe_url, sandbox.state.sandbox, settings, client), pid


@both_databases
def test_eight_hours_of_mixed_load_leave_all_as_it_was(aged, database_url):
    world, pid = aged
    load, measured, asked = Load(world), Measured(), 0
    while not has_caught_up(world):
        load.round()
    started = time.monotonic()
    for _ in range(ROUNDS):
        took = load.round()
        asked += len(took)
        measured.megabytes.append(resident_mb(pid))
        measured.files.append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
        measured.connections.append(connections_to(database_url))
        measured.median_ms.append(median(took))
        measured.slowest_ms.append(quantiles(took, n=100)[-1])
    third = ROUNDS // 3
    middle, last = slice(third, 2 * third), slice(-third, None)
    memory = measured.megabytes[third:]
    rise = linear_regression(range(len(memory)), memory).slope * (len(memory) - 1)
    medians, slowest = (
        [mean(each[part]) for part in (middle, last)] for each in (measured.median_ms, measured.slowest_ms)
    )
    print(  # noqa: T201 - the report
        f"\n{asked:,} requests in {time.monotonic() - started:.0f} s: {memory[0]:.0f} MB after a third, {rise:+.1f} MB "
        f"over the rest; files {measured.files[third]} and {measured.files[-1]}; connections at most "
        f"{max(measured.connections)}; middle and last third: median {medians[0]:.1f} and {medians[1]:.1f} ms, "
        f"99th percentile {slowest[0]:.0f} and {slowest[1]:.0f} ms"
    )
    assert rise < MAX_RISE_MB
    assert max(measured.files[last]) <= max(measured.files[middle]) + CALLERS + 2
    assert max(measured.connections) <= MAX_CONNECTIONS
    assert medians[1] < 1.5 * medians[0]
    assert slowest[1] < 2 * slowest[0]
