"""A machine whose clock is wrong, or jumps by hours while the gateway runs: it says so, and loses nothing."""

import asyncio
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest

from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.settings import Settings
from harness.fronts import installed
from harness.gateway import SECRET, SERVICE, SERVICE_TOKEN, SIGN_IN_SECRET, World, fill_mirror, listening, serve
from harness.servers import serving
from harness.storm import Switch
from harness.waiting import eventually

SPEND = """mutation($key: String!) { spendCredits(input: {externalId: "ada", amount: 1, idempotencyKey: $key}) {
    entry { id balance } userErrors { code } } }"""
GRANT = """mutation($user: ID!, $key: String!) { grantCredits(input: {externalId: $user, amount: 100,
    idempotencyKey: $key, reason: "r"}) { entry { balance } } }"""
USE = """mutation($key: String!) { reportUsage(input: {externalId: "ada", eventName: "api_calls", identifier: $key}) {
    userErrors { code } } }"""
PORTAL = """mutation { createPortalSession(input: {returnUrl: "https://shop.example/"}) { userErrors { code } } }"""
HOURS = 5


def preloaded() -> str:
    """The library that gives a process another time."""
    shown = subprocess.run([installed("faketime"), "-m", "-f", "+0", "env"], capture_output=True, text=True, check=True)
    return next(line.partition("=")[2] for line in shown.stdout.splitlines() if line.startswith("LD_PRELOAD="))


@pytest.mark.parametrize(("away", "side"), [("-600s", "behind"), ("+600s", "ahead of")])
@pytest.mark.soak
def test_ten_minutes_off_it_says_so_and_takes_what_stripe_delivers(world, new_sqlite, away, side):
    settings = {
        "DATABASE_URL": new_sqlite(),
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": world.stripe_url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }
    with serving({**settings, "LD_PRELOAD": preloaded(), "FAKETIME": away}) as (port, _):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: httpx.get(f"{url}/readyz").status_code, 503)
        said = rf"this machine's clock is (599|60[01]) s {side} Stripe's: set it \(NTP\)"  # Stripe tells whole seconds
        assert re.fullmatch(said, httpx.get(f"{url}/readyz").json()["status"])
        event = world.event("customer.created", {"id": "cus_1", "object": "customer"})
        answers = [world.deliver(event, url=url, at=int(time.time()) + later).json() for later in (0, 1200)]
    assert answers[0] == {"received": True, "duplicate": False}
    assert answers[1]["error"]["code"] == "timestamp_outside_tolerance"


@pytest.mark.soak
def test_a_clock_that_jumps_by_hours_and_back_loses_doubles_and_blocks_nothing(new_sqlite, tmp_path):
    """Leases, rates and tokens: what the wrong clock has put off does not wait for hours on the right one."""
    listener, stripe_url = listening()
    switch, clock, database = Switch(create_sandbox(SandboxOptions())), tmp_path / "clock", new_sqlite()
    environment = {
        "DATABASE_URL": database,
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": stripe_url,
        "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
        "AUTH_HS256_SECRET": SIGN_IN_SECRET,
        "GATEWAY_RATE_LIMIT_MUTATIONS": "2/hour",
        "LD_PRELOAD": preloaded(),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # no machine's does
    }
    jump(clock, 0)
    with serve(switch, listener, date_header=False), httpx.Client(timeout=60) as client:
        settings = Settings.load(stripe_secret_key="sk_test_tests", stripe_api_base=stripe_url, database_url=database)
        asyncio.run(fill_mirror(settings))
        with serving(environment) as (port, process):
            world = World(f"http://127.0.0.1:{port}", stripe_url, None, settings, client)
            ada = world.token("ada")
            assert world.data(GRANT, {"user": "ada", "key": "ada"}, SERVICE)["grantCredits"]["entry"]["balance"] == 100
            first = world.data(SPEND, {"key": "first"}, SERVICE)
            assert [is_limited(world, ada) for _ in range(3)] == [False, False, True]

            jump(clock, HOURS, world, ada)
            assert is_limited(world, world.token("ada", exp=int(time.time()) + (HOURS + 1) * 3600))
            assert world.data(SPEND, {"key": "first"}, SERVICE) == first
            switch.down = True
            world.data(USE, {"key": "put off"}, SERVICE)
            world.eventually(lambda: world.rows("usage_record")[0]["attempts"] > 0)
            assert world.rows("usage_record")[0]["status"] == "pending"

            jump(clock, 0, world, ada)
            switch.down = False
            world.eventually(lambda: world.rows("usage_record")[0]["status"], "sent")
            assert is_limited(world, ada)
            assert world.data(SPEND, {"key": "second"}, SERVICE)["spendCredits"]["entry"]["balance"] == 98

            jump(clock, HOURS, world, ada)  # and killed beside Stripe's answer, with a lock and a claim
            switch.down = True
            world.data(USE, {"key": "claimed"}, SERVICE)
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(world.graphql, GRANT, {"user": "bob", "key": "bob"}, SERVICE)
                world.eventually(lambda: world.rows("lease"))
                os.kill(process, signal.SIGKILL)
                assert isinstance(asked.exception(), httpx.TransportError)
        left = [datetime.fromisoformat(row["until"]).replace(tzinfo=UTC) for row in world.rows("lease")]
        assert min(left) > datetime.now(UTC) + timedelta(hours=HOURS - 1)
        jump(clock, 0)
        switch.down = False
        with serving(environment) as (port, _):
            world = World(f"http://127.0.0.1:{port}", stripe_url, None, settings, client)
            assert world.data(GRANT, {"user": "bob", "key": "bob"}, SERVICE)["grantCredits"]["entry"]["balance"] == 100
            world.eventually(lambda: {row["status"] for row in world.rows("usage_record")}, {"sent"})
        assert sorted(row["amount"] for row in world.rows("credit_entry")) == [-1, -1, 100, 100]


def jump(clock: Path, hours: int, world: World | None = None, user: dict[str, str] | None = None) -> None:
    """Set the clock of the processes that read a file so many hours ahead of the right one.

    A running one looks once a second: to look each time takes it ten times as long for everything.

    Args:
        clock: the file.
        hours: how many.
        world: of a process that runs; it is waited for until it sees that the user's token has expired, or not.
        user: who has a token that lasts for minutes.
    """
    new = clock.with_name("new")
    new.write_text(f"+{hours}h")
    new.replace(clock)
    if world:
        ask = partial(world.graphql, "{ viewer { id } }", headers=user)
        world.eventually(lambda: "UNAUTHENTICATED" in ask().text, hours > 0)


def is_limited(world: World, user: dict[str, str]) -> bool:
    """Ask for a change that is refused in any case: whether it is for its rate."""
    return "RATE_LIMITED" in world.graphql(PORTAL, headers=user).text
