"""Who saw what when: access checks on two processes beside changes, kills and lost notifications.

A writer tells the gateway of one state after another of each customer's subscription, whose end of the paid period
names its version. Readers ask both processes all the time. The checker knows nothing of the gateway's inside:

- what was acknowledged 50 ms before a request was sent is in its answer, and at once where the same process had
  acknowledged it (as long as that process lives);
- no answer shows what nobody has sent yet, and answers of one customer by one process never go back.

`HISTORY` says for how many seconds it goes on.
"""

import bisect
import contextlib
import json
import os
import random
import signal
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import psycopg
import pytest

from harness.command import Command
from harness.databases import both_databases
from harness.gateway import SECRET, SERVICE, SERVICE_TOKEN, connected, stripe_signature
from harness.rows import customer, item, product, put, subscription
from harness.waiting import answering, free_port

SECONDS = float(os.environ.get("HISTORY", "6"))
CUSTOMERS, READERS = 6, 3
STALE = 0.05
BEGAN = int(time.time()) - 500_000
"""When the first version was made; each is a second later than the one before, so that no two are of the same time."""
END = int(time.time()) + 86_400 * 365


@dataclass
class Life:
    """A process of the gateway, from its start to its end."""

    port: int
    command: Command
    number: int = 0


@dataclass
class History:
    """What happened, by customer. Moments are on this process's own clock.

    Attributes:
        sent: of each version when it was sent.
        acknowledged: when, which version, and by which life of a process.
        seen: when a request was sent and answered, by which life, and the version that it showed.
    """

    sent: dict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    acknowledged: dict[int, list[tuple[float, int, int]]] = field(default_factory=lambda: defaultdict(list))
    seen: dict[int, list[tuple[float, float, int, int]]] = field(default_factory=lambda: defaultdict(list))

    def faults(self) -> list[str]:
        """Return each answer that must not have been."""
        found = []
        for each, answers in self.seen.items():
            acknowledged = sorted(self.acknowledged[each])
            latest: dict[int, list[tuple[float, int]]] = defaultdict(list)
            for begun, ended, life, version in sorted(answers):
                late = _newest(acknowledged, begun - STALE)
                own = _newest([event for event in acknowledged if event[2] == life], begun)
                if version < max(late, own):
                    found.append(
                        f"customer {each}: {version} at {begun:.3f} by {life}, after {late} and {own} of its own"
                    )
                if version and not self.sent[each].get(version, float("inf")) <= ended:
                    found.append(f"customer {each}: {version} at {ended:.3f}, before anybody sent it")
                before = max((shown for end, shown in latest[life] if end < begun), default=0)
                if version < before:
                    found.append(f"customer {each}: {version} at {begun:.3f} by {life}, which had shown {before}")
                latest[life] = [*latest[life][-READERS:], (ended, max(before, version))]
        return found


def _newest(acknowledged: list[tuple[float, int, int]], moment: float) -> int:
    """Return the newest version that was acknowledged before a moment."""
    known = acknowledged[: bisect.bisect_left(acknowledged, (moment, 0, 0))]
    return max((version for _, version, _ in known), default=0)


def test_the_checker_finds_what_must_not_be():
    history = History()
    history.sent[1] |= {1: 0.0, 2: 1.0}
    history.acknowledged[1] += [(0.1, 1, 0), (1.1, 2, 1)]
    good = [(0.2, 0.3, 1, 1), (1.12, 1.13, 0, 1), (1.2, 1.3, 0, 2)]
    history.seen[1] += good
    assert history.faults() == []
    for wrong in ((1.16, 1.17, 0, 1), (1.11, 1.12, 1, 1), (0.5, 0.6, 0, 2), (1.4, 1.5, 0, 1)):
        history.seen[1] = [*good, wrong]
        assert len(history.faults()) >= 1, wrong


class Game:
    """Two processes on one database, a writer, and readers.

    Args:
        url: the database.
        folder: where the processes run.
        seed: of what is chosen.
    """

    def __init__(self, url: str, folder: str, seed: int) -> None:
        self.history, self._url, self._folder = History(), url, folder
        self._rng = random.Random(seed)  # noqa: S311 - the same choices each time
        self._lives = [self._born(free_port(), number) for number in (0, 1)]
        self._count = 2
        self._end = threading.Event()
        self._errors: list[BaseException] = []

    def _born(self, port: int, number: int) -> Life:
        environment = {
            "DATABASE_URL": self._url,
            "STRIPE_SECRET_KEY": "sk_test_tests",
            "STRIPE_API_BASE": "http://127.0.0.1:9",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
            "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
        }
        command = Command("serve", "--port", str(port), cwd=self._folder, environment=environment)
        answering(f"http://127.0.0.1:{port}/healthz", command)
        return Life(port, command, number)

    def play(self, seconds: float) -> None:
        """Play for so long."""
        work = [self._write, *[self._read] * READERS]
        threads = [threading.Thread(target=self._safely, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline and not self._errors:
                time.sleep(self._rng.uniform(0.1, 0.5))
                self._rng.choice([self._kill, self._stall, self._stall, self._cut, self._cut])()
        finally:
            self._end.set()
            for thread in threads:
                thread.join(30)
        assert not self._errors, self._errors

    def close(self) -> None:
        """End the processes."""
        for life in self._lives:
            life.command.kill()

    def _safely(self, work) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the main thread tells
            self._errors.append(error)

    def _write(self) -> None:
        versions = [0] * CUSTOMERS
        with httpx.Client(timeout=5) as client:
            while not self._end.is_set():
                each, life = self._rng.randrange(CUSTOMERS), self._rng.choice(self._lives)
                versions[each] += 1
                version = versions[each]
                body = _event(each, version)
                self.history.sent[each][version] = time.monotonic()
                with contextlib.suppress(httpx.TransportError):  # it was killed
                    answer = client.post(
                        f"http://127.0.0.1:{life.port}/webhooks/stripe",
                        content=body,
                        headers={"Stripe-Signature": stripe_signature(body)},
                    )
                    if answer.is_success:
                        self.history.acknowledged[each].append((time.monotonic(), version, life.number))
                time.sleep(0.01)

    def _read(self) -> None:
        with httpx.Client(timeout=5, headers=SERVICE) as client:
            while not self._end.is_set():
                each, life = random.randrange(CUSTOMERS), random.choice(self._lives)  # noqa: S311 - as it comes
                begun = time.monotonic()
                try:
                    answer = client.get(f"http://127.0.0.1:{life.port}/access/user_{each}/boards")
                except httpx.TransportError:
                    continue
                ended = time.monotonic()
                if answer.status_code != 200:
                    assert answer.status_code == 503, answer.text
                    continue
                if life is not next((known for known in self._lives if known.port == life.port), None):
                    continue  # another life may have answered
                until = datetime.fromisoformat(answer.json()["until"])
                self.history.seen[each].append((begun, ended, life.number, int(until.timestamp()) - END))

    def _kill(self) -> None:
        """Kill a process in the middle of whatever it does, and start it again."""
        place = self._rng.randrange(2)
        life = self._lives[place]
        life.command.kill()
        life.command.wait(10)
        self._lives[place] = self._born(life.port, self._count)
        self._count += 1

    def _stall(self) -> None:
        """Let a process stand still for a while; what waits for it is answered afterwards."""
        life = self._rng.choice(self._lives)
        life.command.send_signal(signal.SIGSTOP)
        time.sleep(self._rng.uniform(0.02, 0.3))
        life.command.send_signal(signal.SIGCONT)

    def _cut(self) -> None:
        """Take the connections away over which notifications come: they end, or say nothing any more."""
        if self._url.startswith("sqlite"):
            return
        with psycopg.connect(self._url, autocommit=True) as connection:
            query = """SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND query IN ('SELECT 1', 'LISTEN gateway')"""
            for (pid,) in connection.execute(query).fetchall():
                if self._rng.random() < 0.5:
                    connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                else:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
                        time.sleep(self._rng.uniform(0.05, 0.3))
                        os.kill(pid, signal.SIGCONT)


def _event(each: int, version: int) -> bytes:
    """The event of a version of a customer's subscription."""
    period = {"current_period_start": BEGAN, "current_period_end": END + version}
    its = {
        "id": f"si_{each}",
        "object": "subscription_item",
        "created": BEGAN,
        "price": {"id": "month", "object": "price", "product": "pro"},
        "quantity": 1,
        **period,
    }
    obj = {
        "id": f"sub_{each}",
        "object": "subscription",
        "customer": f"cus_{each}",
        "status": "active",
        "currency": "usd",
        "cancel_at_period_end": False,
        "cancel_at": None,
        "canceled_at": None,
        "ended_at": None,
        "trial_start": None,
        "trial_end": None,
        "pause_collection": None,
        "default_payment_method": None,
        "latest_invoice": None,
        "metadata": {},
        "created": BEGAN,
        "start_date": BEGAN,
        "items": {"object": "list", "data": [its], "has_more": False},
    }
    event = {
        "id": f"evt_{each}_{version}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": BEGAN + version,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "customer.subscription.updated",
        "data": {"object": obj},
    }
    return json.dumps(event).encode()


def _fill(url: str) -> None:
    """Write the customers and the product, and the subscriptions in their version 0."""
    with connected(url) as connection:
        put(connection, product("pro", meta={"features": "boards"}))
        for each in range(CUSTOMERS):
            its = item(f"si_{each}", "month", "pro", subscription_id=f"sub_{each}")
            its.current_period_end = datetime.fromtimestamp(END, UTC)
            held = subscription(f"sub_{each}", customer_id=f"cus_{each}", as_of=BEGAN)
            put(connection, customer(f"cus_{each}", f"user_{each}"), held, its)


@both_databases
@pytest.mark.timeout(int(SECONDS) + 120)
def test_no_answer_is_older_than_it_may_be(database_url, tmp_path):
    _fill(database_url)
    game = Game(database_url, str(tmp_path), seed=7)
    try:
        game.play(SECONDS)
    finally:
        game.close()
    history = game.history
    assert history.faults() == []
    written, seen = (sum(len(each) for each in kept.values()) for kept in (history.acknowledged, history.seen))
    print(f"{written} changes, {seen} answers")  # noqa: T201 - `make soak` shows it
    assert written > SECONDS
    assert seen > SECONDS * 10
