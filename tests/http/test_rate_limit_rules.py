"""The rules of counting, with a clock of the test's own: no HTTP, no database."""

import asyncio
import time
import tracemalloc

import pytest

from gateway.auth.principal import ANONYMOUS, SERVICE, Principal
from gateway.errors import RateLimited
from gateway.http.rate_limit import MAX_KEYS, FixedWindowCounter, RateLimiter, rate_limit_key
from gateway.settings import Settings
from gateway.settings.values import limits_of
from gateway.stripe_api.circuit_breaker import FAILURES, PAUSE_SECONDS

OFF = dict.fromkeys(
    [name for name in Settings.model_fields if name.startswith("rate_limit_") and name != "rate_limit_storage"], "off"
)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_window_begins_with_the_first_count_and_is_everybodys(clock):
    counter = FixedWindowCounter(limits_of("2/minute"), clock=clock)
    assert [counter.count("ada") for _ in range(3)] == [None, None, 60]
    clock.now += 59.5
    assert counter.count("ada") == 1
    assert counter.count("grace") is None
    clock.now += 0.5
    assert [counter.count(who) for who in ("ada", "ada", "grace", "ada")] == [None, None, None, 60]


def test_all_limits_of_a_rate_hold(clock):
    counter = FixedWindowCounter(limits_of("2/second; 3/minute"), clock=clock)
    got = []
    for _ in range(4):
        got.append([counter.count("ada"), counter.count("ada")])
        clock.now += 1
    assert got == [[None, None], [None, 59], [58, 58], [57, 57]]


def test_what_is_refused_by_the_first_limit_is_not_counted_by_the_next(clock):
    counter = FixedWindowCounter(limits_of("1/second; 3/minute"), clock=clock)
    for _ in range(3):
        assert [counter.count("ada") for _ in range(3)] == [None, 1, 1]
        clock.now += 1
    assert counter.count("ada") == 57


def test_an_amount_counts_as_often(clock):
    counter = FixedWindowCounter(limits_of("7/minute"), clock=clock)
    assert [counter.count("ada", 3) for _ in range(3)] == [None, None, 60]


def test_off_counts_nothing(clock):
    counter = FixedWindowCounter(limits_of("off"), clock=clock)
    assert [counter.count("ada") for _ in range(1000)] == [None] * 1000


def test_a_window_forgets_the_half_that_came_first_when_it_is_full(clock):
    counter = FixedWindowCounter(limits_of("1/hour"), clock=clock, max_keys=10)
    assert [counter.count(f"user {number}") for number in range(10)] == [None] * 10
    assert counter.count("user 0") == 3600
    assert counter.count("one too many") is None
    assert [counter.count(f"user {number}") for number in range(5, 10)] == [3600] * 5
    assert counter.count("user 0") is None


def test_a_million_hostile_keys_take_little_memory_and_time(clock):
    counter = FixedWindowCounter(limits_of("5/minute; 30/hour"), clock=clock)
    tracemalloc.start()
    try:
        for number in range(3 * MAX_KEYS):
            counter.count(f"user:{number}:{'x' * 150}")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    began = time.process_time()
    for number in range(1_000_000 - 3 * MAX_KEYS):
        counter.count(f"other:{number}")
    assert time.process_time() - began < 20


@pytest.fixture
def limiter(clock):
    def make(**rates):
        return RateLimiter(Settings.load(**{**OFF, **rates}), clock=clock)

    return make


ADA, GRACE = Principal(subject="ada"), Principal(subject="grace")


async def refusals(count, *calls):
    """Which of the calls are refused."""
    refused = []
    for call in calls:
        try:
            await count(*call)
        except RateLimited:
            refused.append(call)
    return refused


async def test_users_are_counted_by_themselves_and_guests_by_their_address(limiter):
    count = limiter(rate_limit_mutations="1/minute").mutation
    assert await refusals(count, (ADA, "192.0.2.1"), (GRACE, "192.0.2.1"), (ANONYMOUS, "192.0.2.1")) == []
    again = [(ADA, "192.0.2.2"), (ANONYMOUS, "192.0.2.1")]
    assert await refusals(count, *again, (ANONYMOUS, "192.0.2.2"), (ANONYMOUS, None), (SERVICE, None)) == again


async def test_a_user_is_no_address(limiter):
    count = limiter(rate_limit_mutations="1/minute").mutation
    assert await refusals(count, (ANONYMOUS, "192.0.2.1"), (Principal(subject="ip:192.0.2.1"), None)) == []


async def test_guests_have_a_limit_of_their_own_for_checkouts(limiter):
    count = limiter(rate_limit_checkouts="2/minute", rate_limit_guest_checkouts="1/minute").checkout
    calls = [(ADA, None), (ANONYMOUS, "192.0.2.1")]
    assert await refusals(count, *calls, *calls) == [calls[1]]


async def test_queries_that_call_stripe_count_for_their_caller_and_for_all(limiter, clock):
    count = limiter(rate_limit_stripe_reads="6/minute", rate_limit_all_stripe_reads="8/second").stripe_read
    assert await refusals(count, *[(ADA, None, 3)] * 3) == [(ADA, None, 3)]
    assert await refusals(count, (GRACE, None, 1), (GRACE, None, 1), (GRACE, None, 1)) == [(GRACE, None, 1)]
    clock.now += 1
    assert await refusals(count, (GRACE, None, 3), (ADA, None, 1), (SERVICE, None, 100)) == [(ADA, None, 1)]


async def test_requests_are_admitted_at_once_where_this_process_counts(limiter):
    here = limiter(rate_limit_requests="2/minute")
    assert [here.admit("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert here.admit(None)
    elsewhere = limiter(rate_limit_requests="2/minute", rate_limit_storage="redis://127.0.0.1:1/0")
    assert not elsewhere.admit("192.0.2.1")


async def test_a_redis_that_does_not_answer_is_not_asked_for_each_request(limiter, clock):
    asked = []

    async def hang_up(_, writer):
        asked.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        here = limiter(rate_limit_requests="100/minute", rate_limit_storage=f"redis://127.0.0.1:{port}/0")
        counts = []
        for pause in (*[0] * FAILURES, *[0] * 20, PAUSE_SECONDS, 0):
            clock.now += pause
            await here.request("192.0.2.1")
            counts.append(len(asked))
    assert counts == sorted(counts)
    assert counts[0] < counts[FAILURES - 1] == counts[-3] < counts[-2] == counts[-1]


async def test_the_wait_is_told(limiter):
    here = limiter(rate_limit_requests="1/minute")
    await here.request("192.0.2.1")
    with pytest.raises(RateLimited, match="wait 60 s") as refused:
        await here.request("192.0.2.1")
    assert refused.value.retry_after == 60


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "ip:192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::"),
        ("2001:DB8:1:2::", "ip:2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "ip:192.0.2.1"),
        ("unknown", "ip:unknown"),
        ("x" * 1000, "ip:" + "x" * 64),
    ],
)
def test_an_address_is_counted_by_its_network(address, key):
    assert rate_limit_key(address) == key
