"""Generated requests behind a real nginx and a real HAProxy, for minutes: one answer for one request, nobody else's."""

import os
import time

import pytest

from harness.fronts import FRONTS, front_of
from harness.http_fuzz import echoing, storm

SECONDS = float(os.environ.get("PROXY_SECONDS", "110"))
"""For each way of standing in front; three of them make more than five minutes."""


@pytest.mark.soak
@pytest.mark.parametrize("front", FRONTS)
def test_behind_a_proxy_nobody_gets_the_answer_to_another_request(front):
    deadline, seed, arrived = time.monotonic() + SECONDS, time.time_ns(), 0
    with echoing() as (echo, port), front_of(front, port) as public:
        while time.monotonic() < deadline:
            assert storm(public, echo, count=500, clients=8, seed=seed) == [], f"seed {seed}"
            seed += 1
            arrived += len(echo.arrived)
    print(f"\n{front}: {arrived:,} requests arrived, each once")  # noqa: T201 - a report
