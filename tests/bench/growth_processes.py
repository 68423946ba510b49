"""What the table "growth" measures of whole processes: the offline Stripe, a catalogue, a catch-up, several workers."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from bench_graphql import ONE, PRICES_EACH, catalog, environment, free_port, start_once
from runner import Server, measure, median, request, resident

from gateway.runtime import compose
from gateway.settings import Settings
from gateway.webhooks.catch_up import catch_up
from gateway.webhooks.inbox import Inbox

CALLS = 300
STARTS = 3
PAGE = 100
EVERY_SECONDS = 2  # an event
BEGINNING = int(time.time()) - 20 * 24 * 3600
KEY = {"Authorization": "Bearer sk_test_bench"}
RARE = 10  # so many events are of a type that is looked for


def event(number: int) -> dict[str, Any]:
    """One of Stripe's events, of 1.9 KB, in the order of their moments."""
    kind = "customer.updated" if number >= RARE else "customer.created"
    customer = {"id": f"cus_{number}", "object": "customer", "created": BEGINNING, "metadata": {"padding": "x" * 1500}}
    return {
        "id": f"evt_{number}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": BEGINNING + number * EVERY_SECONDS,
        "data": {"object": customer},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


class Sandbox(Server):
    """`gateway sandbox` with a state in a file."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "gateway", "sandbox", "--port", str(self.port), "--state", self.app]


@contextmanager
def sandbox(events: int) -> Iterator[Server]:
    """An offline Stripe in which so many events have been."""
    with tempfile.TemporaryDirectory() as folder:
        with Sandbox("empty", f"{folder}/state").running():
            pass  # which makes the file
        with sqlite3.connect(f"{folder}/state") as file:
            file.execute("DELETE FROM documents WHERE kind = 'event'")  # those of the start, which are later than ours
            (last,) = file.execute("SELECT max(seq) FROM documents").fetchone()
            rows = ((last + 1 + n, "event", f"evt_{n}", orjson.dumps(event(n))) for n in range(events))
            file.executemany("INSERT INTO documents VALUES (?, ?, ?, ?)", rows)
        file.close()
        with Sandbox("offline Stripe", f"{folder}/state").running() as server:
            yield server


def listing(query: str) -> Any:
    """The CPU µs of one list of the offline Stripe's events; the first has made the index."""

    def cost(events: int) -> float:
        with sandbox(events) as server:
            middle = BEGINNING + events // 2 * EVERY_SECONDS
            asked = request("/v1/events?limit=10&" + query.format(middle=middle), headers=KEY, method="GET")
            asked = asked.replace(b"Host: bench", b"Host: 127.0.0.1")  # it answers nobody else
            measure(server, [asked], connections=1)
            return median([measure(server, [asked] * CALLS, connections=4).cpu for _ in range(3)])

    return cost


def sandbox_memory(events: int) -> float:
    """Kilobytes that each event takes in the offline Stripe's memory."""
    with sandbox(0) as empty:
        before = resident(empty.process.pid)
    with sandbox(events) as server:
        return (resident(server.process.pid) - before) / events * 1000


def sandbox_start(events: int) -> float:
    """CPU milliseconds from the command to the offline Stripe's first answer."""
    with sandbox(events) as server:
        return server.used()[0] * 1000


def catalog_start(place: int) -> Any:
    """The CPU seconds (0) or the megabytes (1) of a gateway that starts and shows one product."""

    def cost(prices: int) -> float:
        with catalog(prices // PRICES_EACH) as url:
            settings = environment(url)
            return median([start_once(sys.executable, Path.cwd(), settings, ONE)[place] for _ in range(STARTS)])

    return cost


class Listed:
    """What a catch-up reads: Stripe's list of events, and whose they are, without the way to it.

    Args:
        events: how many there are.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self.stripe = SimpleNamespace(livemode=False)

    async def get(
        self, path: str, *, limit: int = 0, created: dict[str, int] | None = None, starting_after: str = ""
    ) -> Any:
        """A page, from the newest to the oldest; or the account."""
        if path == "/v1/account":
            return SimpleNamespace(object={"id": "acct_bench"})
        now = BEGINNING + self._events * EVERY_SECONDS
        low, high = (created["gte"], created["lt"]) if created else (BEGINNING, now)
        first = max(0, -((BEGINNING - low) // EVERY_SECONDS))
        last = min(self._events, -((BEGINNING - high) // EVERY_SECONDS))
        last = int(starting_after.removeprefix("evt_")) if starting_after else last
        page = [event(number) for number in range(last - 1, max(first, last - limit) - 1, -1)]
        return SimpleNamespace(object={"data": page, "has_more": last - limit > first}, as_of=now)


def catch_up_memory(events: int) -> float:
    """Megabytes that a catch-up takes at most while it records so many events, in a process of its own."""
    program = f"import growth_processes as it; print('MB', it.caught_up({events}))"
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/gateway.db"
        variables = {**os.environ, **environment(url), "PYTHONPATH": str(Path(__file__).parent)}
        upgrade = [sys.executable, "-m", "gateway", "db", "upgrade"]
        subprocess.run(upgrade, check=True, capture_output=True, env=variables)
        told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=variables)
    return float(told.stdout.rpartition(b"MB ")[2])


def begin_anew() -> float:
    """Forget the most memory that this process has taken; what it takes now."""
    Path("/proc/self/clear_refs").write_text("5")
    return resident(os.getpid())


def worst() -> float:
    """The most megabytes that this process has taken since."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) * 1024 / 1e6


def caught_up(events: int) -> float:
    """Catch up here; the megabytes at the worst, beyond those at the beginning."""

    async def run() -> float:
        runtime = compose(Settings.load())
        inbox = Inbox.of(runtime)
        await catch_up(inbox, Listed(10))  # type: ignore[arg-type]
        before = begin_anew()
        found = await catch_up(inbox, Listed(events))  # type: ignore[arg-type]
        assert found.read >= events - 10, found.read
        grown = worst() - before
        await runtime.close()
        return grown

    return asyncio.run(run())


def supervisor(workers: int) -> float:
    """Megabytes of the process that looks after so many workers."""
    with tempfile.TemporaryDirectory() as folder, catalog(1) as url:
        port = free_port()
        command = [sys.executable, "-m", "gateway", "serve", "--port", str(port), "--workers", str(workers)]
        with Path(f"{folder}/log").open("wb") as log:
            process = subprocess.Popen(command, env={**os.environ, **environment(url)}, stdout=log, stderr=log)
        try:
            while b'"serving"' not in Path(f"{folder}/log").read_bytes():
                time.sleep(0.05)
            return resident(process.pid)
        finally:
            process.terminate()
            process.wait(20)


ROWS = (
    ("a list of the offline Stripe by created, events", "CPU µs", 1_000, listing("created[lt]={middle}")),
    ("a list of it by two rare types, events", "CPU µs", 1_000, listing("types[]=customer.created&types[]=nothing")),
    ("memory of an event in the offline Stripe, events", "KB", 1_000, sandbox_memory),
    ("start of the offline Stripe, events", "CPU ms", 1_000, sandbox_start),
    ("memory of a catch-up, events", "MB", 650, catch_up_memory),
    ("start with a catalogue, prices", "CPU s", 100, catalog_start(0)),
    ("memory then, prices", "MB", 100, catalog_start(1)),
)
"""What, in which unit, the smallest size, and how it is measured."""

WORKERS = (2, 4, 8)
