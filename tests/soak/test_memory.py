"""Every memory that a client can reach, filled by HTTP with a million keys, and a day of hostile traffic in minutes.

`HOSTILE_KEYS` is how many keys are sent (a million), `DAY_REQUESTS` how many requests a day has (259,200, three a
second: with one, the memories are full only when the day ends). Both tests print what they measure.
"""

import asyncio
import itertools
import os
import time
from statistics import linear_regression, mean

import pytest

from harness.gateway import SECRET, SIGN_IN_SECRET, put_rows, scene
from harness.hostile import KEYS_OF, abuse, crowd, exchange, new_keys, ordinary, resident_mb, rude, shared
from harness.servers import serving

KEYS = int(os.environ.get("HOSTILE_KEYS", "1000000"))
DAY = int(os.environ.get("DAY_REQUESTS", "259200"))
CLIENTS, TURNS = 32, 30
MAX_GROWTH_MB, FLAT_MB = 60, 5

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


@pytest.fixture
def served(new_sqlite):
    """A gateway of its own process; its port, and its id."""
    url = new_sqlite()
    put_rows(url, scene()[1])
    environment = {
        "DATABASE_URL": url,
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "AUTH_HS256_SECRET": SIGN_IN_SECRET,
        "GATEWAY_REDIRECT_ORIGINS": "https://shop.example",
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
    }
    with serving(environment) as found:
        yield found


def check_flat(name, samples, count, seconds):
    """Say what was measured, and compare it with the bounds: in all, and over the last third."""
    last = samples[-len(samples) // 3 :]
    rise = linear_regression(range(len(last)), last).slope * (len(last) - 1)
    grown = mean(last[-3:]) - samples[0]
    print(  # noqa: T201 - a report
        f"\n{name}: {count:,} in {seconds:.0f} s; {samples[0]:.0f} MB at first, {grown:+.1f} MB at the end, "
        f"{max(samples) - samples[0]:+.1f} MB at most, {rise:+.1f} MB over the last third"
    )
    assert max(samples) - samples[0] < MAX_GROWTH_MB
    assert rise < FLAT_MB


def test_a_million_keys_that_never_come_twice_leave_the_memory_flat(served):
    port, pid = served
    numbers = itertools.count()
    turn = int(KEYS / TURNS / mean(KEYS_OF))

    async def attack(count):
        requests = [map(new_keys, each) for each in shared(numbers, count, CLIENTS)]
        await asyncio.gather(*(exchange(port, each) for each in requests), crowd(port, 100), rude(port, 50))

    asyncio.run(attack(2_000))  # what every kind of request imports
    samples, started = [resident_mb(pid)], time.monotonic()
    for _ in range(TURNS):
        asyncio.run(attack(turn))
        samples.append(resident_mb(pid))
    check_flat("keys", samples, int(turn * TURNS * mean(KEYS_OF)), time.monotonic() - started)


def test_a_day_of_hostile_and_ordinary_traffic_leaves_the_memory_flat(served):
    port, pid = served
    numbers = itertools.count()

    def any_request(number):
        return (ordinary, abuse, ordinary, new_keys)[number % 4](number // 4)

    async def hours(count):
        requests = [map(any_request, each) for each in shared(numbers, count, CLIENTS)]
        mixed = [exchange(port, each) for each in requests]
        return sum(await asyncio.gather(*mixed, crowd(port, count // 100), rude(port, count // 50)))

    asyncio.run(hours(2_000))
    samples, sent, started = [resident_mb(pid)], 0, time.monotonic()
    for _ in range(TURNS):
        sent += asyncio.run(hours(DAY // TURNS))
        samples.append(resident_mb(pid))
    check_flat("requests and connections", samples, sent, time.monotonic() - started)
