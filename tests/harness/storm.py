"""A storm of deliveries against real server processes that are killed meanwhile, and the account of what came of it."""

import asyncio
import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

import httpx
import orjson

from gateway.mirror.reconcile import compare
from gateway.runtime import open_runtime
from gateway.sandbox import SandboxOptions, create_sandbox
from gateway.settings import Settings
from gateway.webhooks.handlers import HANDLERS
from harness.command import Command
from harness.gateway import SECRET, World, fill_mirror, listening, serve, stripe_signature
from harness.waiting import answering, free_port

COPIES = 3
RETRY_SECONDS = 0.2  # what meets a dead process would otherwise take the time in which the next one starts
CARD = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}


class Switch:
    """An app that can be out of reach for a while."""

    def __init__(self, app: Any) -> None:
        self.app, self.down = app, False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.down and scope["type"] == "http":
            raise ConnectionResetError("the offline Stripe is down")
        await self.app(scope, receive, send)


@dataclass
class Gateway:
    """A `gateway serve` process of its own, that can be killed and started again on its port.

    Attributes:
        environment: its settings.
        limit: the largest file that it may write, in bytes: a full disk.
    """

    environment: dict[str, str]
    limit: int | None = None
    port: int = 0
    process: Command | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.port = self.port or free_port()
        words = ("serve", "--port", str(self.port))
        self.process = Command(*words, environment=self.environment, limit=self.limit)
        answering(f"{self.url}/healthz", self.process)

    def end(self, how: signal.Signals) -> float:
        """End it; the seconds that took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(30)
        return time.monotonic() - started


@dataclass
class Storm:
    """Events of a real history, delivered `COPIES` times each, shuffled, until every copy was taken.

    Attributes:
        world: the offline Stripe and the settings; its gateway is not used.
        gateways: the processes that get the deliveries.
        events: the history.
    """

    world: World
    stripe_app: Switch
    gateways: list[Gateway]
    events: list[dict[str, Any]] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    fresh: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def play(self, subscriptions: int) -> None:
        """Have the offline Stripe live through a history: new subscriptions, changes, renewals, some cancellations."""
        stripe, prices = self.world.stripe, []
        product = stripe("POST", "/v1/products", name="Weekly")["id"]
        for amount in (500, 900):
            weekly = {"product": product, "currency": "usd", "recurring[interval]": "week", "metadata[credits]": "10"}
            prices.append(stripe("POST", "/v1/prices", unit_amount=amount, **weekly)["id"])
        made = []
        for number in range(subscriptions):
            customer = stripe("POST", "/v1/customers", email=f"s{number}@example.com", **CARD)["id"]
            chosen = {"items[0][price]": prices[number % 2]}
            made.append(stripe("POST", "/v1/subscriptions", customer=customer, **chosen))
        self.advance(86_400)
        for number, subscription in enumerate(made):
            path, item = f"/v1/subscriptions/{subscription['id']}", subscription["items"]["data"][0]["id"]
            if number % 5 == 0:
                stripe("DELETE", path)
            elif number % 2:
                stripe("POST", path, **{"items[0][id]": item, "items[0][quantity]": 3})
        self.advance(8 * 86_400)
        self.events = self._listed()

    def advance(self, seconds: int) -> None:
        answer = self.world.client.post(
            f"{self.world.stripe_url}/_sandbox/clock/advance", json={"by": seconds}, timeout=120
        )
        assert answer.is_success, answer.text

    def _listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        more, after = True, {}
        while more:
            page = self.world.stripe("GET", "/v1/events", limit=100, **after)
            found += page["data"]
            more, after = page["has_more"], {"starting_after": page["data"][-1]["id"]}
        return [event for event in found if event["type"] in HANDLERS]

    def blow(self, trouble: Callable[[], None] = lambda: None, *, senders: int = 24, seconds: float = 300) -> None:
        """Deliver everything; what gets no 2xx is delivered again. `trouble` happens meanwhile, in this thread."""
        waiting = [(event["id"], orjson.dumps(event)) for event in self.events for _ in range(COPIES)]
        random.Random(7).shuffle(waiting)  # noqa: S311 - the same storm each time
        lock, deadline = threading.Lock(), time.monotonic() + seconds
        self._stop.clear()

        def send() -> None:
            dice = random.Random()  # noqa: S311
            lines: dict[int, HTTPConnection] = {}
            while time.monotonic() < deadline:
                with lock:
                    if not waiting:
                        break
                    event_id, body = waiting.pop()
                if not self._deliver(lines, dice.choice(self.gateways), event_id, body):
                    with lock:
                        waiting.insert(0, (event_id, body))
                    time.sleep(RETRY_SECONDS)
            for line in lines.values():
                line.close()

        with ThreadPoolExecutor(senders) as pool:
            tasks = [pool.submit(send) for _ in range(senders)]
            trouble()
            for task in tasks:
                task.result()
        assert not waiting, f"{len(waiting)} deliveries were never taken: {self.answers}"

    def _deliver(self, lines: dict[int, HTTPConnection], gateway: Gateway, event_id: str, body: bytes) -> bool:
        line = lines.setdefault(gateway.port, HTTPConnection("127.0.0.1", gateway.port, timeout=15))
        try:
            line.request("POST", "/webhooks/stripe", body, {"Stripe-Signature": stripe_signature(body)})
            answer = line.getresponse()
            said = answer.read()
        except (OSError, HTTPException):
            line.close()
            self.answers[0] += 1
            return False
        self.answers[answer.status] += 1
        if answer.status != HTTPStatus.OK:
            assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE, said
            return False
        self.taken[event_id] += 1
        self.fresh[event_id] += not orjson.loads(said)["duplicate"]
        return True

    def kill(self, times: int, pause: float = 0.7) -> None:
        """SIGKILL one of the processes, and start it again, so many times."""
        for number in range(times):
            time.sleep(pause)
            victim = self.gateways[number % len(self.gateways)]
            victim.end(signal.SIGKILL)
            self.kills += 1
            victim.start()

    def account(self, title: str, seconds: float = 120) -> dict[str, int]:
        """Wait until the inbox is settled, hold everything against Stripe, print the report and give its figures."""
        deadline = time.monotonic() + seconds
        while self._open() and time.monotonic() < deadline:
            time.sleep(0.2)
        rows = {row["id"]: row for row in self.world.rows("event")}
        differences = asyncio.run(self._differences())
        figures = {
            "lost": sum(event["id"] not in rows for event in self.events) + self._open(),
            "doubled": sum(count > 1 for count in self.fresh.values()),
            "wrong": len(differences),
        }
        unfinished = [row for row in rows.values() if row["status"] in {"pending", "failed", "dead"}]
        for row in unfinished[:5]:
            print("  ", row["id"], row["type"], row["status"], (row["last_error"] or "")[:200])  # noqa: T201
        print(  # noqa: T201 - the report
            f"\n{title}: {len(self.events)} events, {sum(self.taken.values())} deliveries taken, {self.answers[503]} "
            f"answered 503, {self.answers[0]} broken off, {self.kills} kills: "
            + ", ".join(f"{name} {count}" for name, count in figures.items())
        )
        for difference in differences[:10]:
            print("  ", difference)  # noqa: T201
        return figures

    def _open(self) -> int:
        unfinished = "SELECT count(*) FROM event WHERE status IN ('pending', 'failed', 'dead')"
        count: int = self.world._execute(unfinished).scalar_one()
        return count

    async def _differences(self) -> list[str]:
        async with open_runtime(self.world.settings) as runtime:
            steps = compare(runtime.database, runtime.require_stripe())
            return [str(found) async for step in steps for found in step.differences]


@contextlib.contextmanager
def storm_on(database_url: str, *, processes: int = 1, subscriptions: int, **limits: Any) -> Iterator[Storm]:
    """An offline Stripe with a history, and gateway processes on a database that knows what was before it."""
    listener, stripe_url = listening()
    switch = Switch(create_sandbox(SandboxOptions()))
    settings = Settings.load(
        stripe_secret_key="sk_test_tests",
        stripe_api_base=stripe_url,
        database_url=database_url,
        event_catch_up_minutes=0,
    )
    environment = {
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": stripe_url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": database_url,
        "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
    }
    with serve(switch, listener, date_header=False), httpx.Client(timeout=30) as client:
        asyncio.run(fill_mirror(settings))
        world = World("", stripe_url, None, settings, client)
        storm = Storm(world, switch, [Gateway(environment, **limits) for _ in range(processes)])
        storm.play(subscriptions)
        try:
            for gateway in storm.gateways:
                gateway.start()
            yield storm
        finally:
            for gateway in storm.gateways:
                if gateway.process is not None and gateway.process.poll() is None:
                    gateway.end(signal.SIGKILL)
