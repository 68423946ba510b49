"""Who saw what when, on two processes beside changes, kills and lost notifications.

A writer tells the gateway of one state after another of subscriptions and the catalogue, each of which names its own
version, and of the ends of checkouts. A spender spends credits one by one, and asks again under the same key until it
is answered. Readers ask both processes all the time for access, accounts, checkouts, balances and the cached page of
prices, and spend, all at once, from an account that has too little for them. `harness/history.py` judges what they saw.

In `make test` it plays for a minute in short bursts with rests between them. `HISTORY` says for how many seconds it
goes on without a rest.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import jwt
import psycopg
import pytest
import sqlalchemy as sa

from gateway.cli.dev import RATES
from gateway.db.tables import table_for
from gateway.models.credits import CreditAccount, CreditEntry, CreditLot
from harness.command import Command
from harness.databases import sqlite_later
from harness.gateway import SECRET, SERVICE, SERVICE_TOKEN, SIGN_IN_SECRET, connected, stripe_signature
from harness.history import Acknowledged, History, Seen
from harness.pacing import Bursts
from harness.rows import customer, item, price, product, put, subscription
from harness.versions import BEGAN, END, event_of, product_event, session_event, subscription_event
from harness.waiting import answering, free_port

SECONDS = float(os.environ.get("HISTORY", "60"))
PLAYING, RESTING = 1.2, 0.0 if "HISTORY" in os.environ else 10.8
"""Seconds: a process answers from memory half a second after somebody has begun to ask, so a burst is longer."""
PATIENCE = 60  # seconds more, on a machine that others keep busy
CUSTOMERS, READERS = 6, 3
CREDITS, FEW = 1_000_000, 40
POOR = "poor"  # who has few credits, which all readers want to spend
ENTRIES = table_for(CreditEntry)
USERS = [f"user_{each}" for each in range(CUSTOMERS)]
SPEND = """mutation($id: ID!, $key: String!) { spendCredits(input: {externalId: $id, amount: 1,
    idempotencyKey: $key}) { entry { balance } userErrors { code } } }"""


def test_the_checker_finds_what_must_not_be():
    history = History()
    history.sent["sub"] |= {1: 0.0, 2: 1.0}
    history.acknowledged["sub"] += [Acknowledged(0.1, 1, 0), Acknowledged(1.1, 2, 1)]
    good = [Seen(0.2, 0.3, 1, 1), Seen(1.12, 1.13, 0, 1), Seen(1.2, 1.3, 0, 2)]
    history.seen["access", "sub"] += good
    assert history.faults() == []
    for wrong in (Seen(1.16, 1.17, 0, 1), Seen(1.11, 1.12, 1, 1), Seen(0.5, 0.6, 0, 2), Seen(1.4, 1.5, 0, 1)):
        history.seen["access", "sub"] = [*good, wrong]
        assert len(history.faults()) >= 1, wrong


def moment_of(text: str) -> int:
    """The version that an end of a period names."""
    return int(datetime.fromisoformat(text).timestamp()) - END


def signed_in(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {jwt.encode({'sub': user, 'exp': END}, SIGN_IN_SECRET, algorithm='HS256')}"}


def ask(client: httpx.Client, url: str, query: str, headers: dict[str, str] = SERVICE, **variables: Any) -> Any:
    """The data of an operation, by default of the back end; None where the gateway cannot answer now."""
    answer = client.post(f"{url}/graphql", json={"query": query, "variables": variables}, headers=headers).json()
    if "errors" in answer:
        assert {each["extensions"]["code"] for each in answer["errors"]} <= {"UNAVAILABLE", "RATE_LIMITED"}, answer
        return None
    return answer["data"]


def access(client: httpx.Client, url: str, each: int) -> int | None:
    answer = client.get(f"{url}/access/{USERS[each]}/boards", headers=SERVICE)
    assert answer.status_code in {200, 503}, answer.text
    return moment_of(answer.json()["until"]) if answer.status_code == 200 else None


def viewer(client: httpx.Client, url: str, each: int) -> int | None:
    data = ask(client, url, "{ viewer { subscription { currentPeriodEnd } } }", signed_in(USERS[each]))
    return data and moment_of(data["viewer"]["subscription"]["currentPeriodEnd"])


def session(client: httpx.Client, url: str, each: int) -> int | None:
    data = ask(client, url, "query($id: ID!) { session(id: $id) { status } }", id=f"cs_test_{each}")
    return data and int(data["session"] is not None)


def balance(client: httpx.Client, url: str, each: int) -> int | None:
    query = "query($id: ID!) { customer(externalId: $id) { credits { balance } } }"
    data = ask(client, url, query, id=USERS[each])
    return data and CREDITS - int(data["customer"]["credits"]["balance"])


def page(client: httpx.Client, url: str, _: int) -> int | None:
    data = ask(client, url, "{ pricing { products { product { name } } } }", {})
    return data and int(data["pricing"]["products"][0]["product"]["name"])


VIEWS: list[tuple[str, Callable[[httpx.Client, str, int], int | None], int]] = [
    ("subscription", access, 8),
    ("product", page, 4),
    ("subscription", viewer, 1),
    ("session", session, 1),
    ("credits", balance, 1),
]
"""The kind of subject, the view, and how often it is taken."""


@dataclass
class Life:
    """A process of the gateway, from its start to its end."""

    port: int
    command: Command
    number: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Game:
    """Two processes on one database, writers, and readers.

    Args:
        url: the database.
        folder: where the processes run.
        seed: of what is chosen.
    """

    def __init__(self, url: str, folder: str, seed: int) -> None:
        self.history, self._url, self._folder = History(), url, folder
        self._rng = random.Random(seed)  # noqa: S311 - the same choices each time
        self._lives = [self._born(free_port(), number) for number in (0, 1)]
        self._bursts = Bursts(PLAYING, RESTING)
        self._count, self._sessions = 2, 0
        self._end = threading.Event()
        self._errors: list[BaseException] = []
        self.spent: set[str] = set()
        """The keys of what was spent by those who have too little for all."""

    def _born(self, port: int, number: int) -> Life:
        environment = {
            "DATABASE_URL": self._url,
            "STRIPE_SECRET_KEY": "sk_test_tests",
            "STRIPE_API_BASE": "http://127.0.0.1:9",
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "GATEWAY_SERVICE_TOKEN": SERVICE_TOKEN,
            "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
            "AUTH_HS256_SECRET": SIGN_IN_SECRET,
            **{f"GATEWAY_{name.upper()}": "off" for name in RATES},
        }
        command = Command("serve", "--port", str(port), cwd=self._folder, environment=environment)
        answering(f"http://127.0.0.1:{port}/healthz", command)
        return Life(port, command, number)

    def play(self, seconds: float) -> None:
        """Play for so long, and on until enough was seen."""
        work = [self._write, self._spend, *[self._read] * READERS]
        threads = [threading.Thread(target=self._safely, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        try:
            while not self._errors and (time.monotonic() < deadline or not self._is_enough(seconds)):
                assert time.monotonic() < deadline + PATIENCE, (self.written(), self.seen())
                self._bursts.wait()
                time.sleep(self._rng.uniform(0.1, 0.5))  # undisturbed
                self._rng.choice([self._kill, self._stall, self._stall, self._cut, self._cut])()
        finally:
            self._end.set()
            for thread in threads:
                thread.join(30)
        if self._errors:
            raise self._errors[0]

    def written(self) -> Counter[str]:
        """How many versions were acknowledged, by the kind of subject."""
        return Counter(kind for (kind, _), taken in list(self.history.acknowledged.items()) for _ in list(taken))

    def seen(self) -> Counter[str]:
        """How many answers there were, by view."""
        return Counter(view for (view, _), answers in list(self.history.seen.items()) for _ in list(answers))

    def _is_enough(self, seconds: float) -> bool:
        written, seen = self.written(), self.seen()
        seconds *= self._bursts.share
        each = [*(written[kind] for kind, _, _ in VIEWS), *(seen[view.__name__] for _, view, _ in VIEWS)]
        return min(each) > seconds / 2 and seen.total() > seconds * 10 and written.total() > seconds

    def close(self) -> None:
        """End the processes."""
        for life in self._lives:
            life.command.kill()

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the main thread tells
            self._errors.append(error)

    def _lives_on(self, life: Life) -> bool:
        """Whether a process is still the one at its port; otherwise another life may have answered."""
        return any(life is known for known in self._lives)

    def _write(self) -> None:
        """Deliver the next version of one subject after the other; what a killed process was sent is not sent again."""
        made = {"subscription": subscription_event, "session": session_event, "product": product_event}
        versions = Counter[tuple[str, int]]()
        with httpx.Client(timeout=5) as client:
            while not self._end.is_set():
                self._bursts.wait()
                kind = random.choice(["subscription", "subscription", "session", "product"])  # noqa: S311
                subject = kind, 0 if kind == "product" else random.randrange(CUSTOMERS)  # noqa: S311
                if kind == "session":  # each is told of once
                    subject = kind, self._sessions + 1
                    self._sessions += 1
                versions[subject] += 1
                version, life = versions[subject], random.choice(self._lives)  # noqa: S311
                body = event_of(subject, version, *made[kind](subject[1], version))
                self.history.sent[subject][version] = time.monotonic()
                with contextlib.suppress(httpx.TransportError):  # it was killed
                    answer = client.post(
                        f"{life.url}/webhooks/stripe",
                        content=body,
                        headers={"Stripe-Signature": stripe_signature(body)},
                    )
                    if answer.is_success:
                        taken = Acknowledged(time.monotonic(), version, life.number)
                        self.history.acknowledged[subject].append(taken)
                time.sleep(0.01)  # else the others had no CPU

    def _spend(self) -> None:
        """Spend one credit after the other, each until it is answered, which it is as if it had been asked once."""
        with httpx.Client(timeout=5) as client:
            version = 0
            while not self._end.is_set():
                self._bursts.wait()
                version += 1
                for each, user in enumerate(USERS):
                    self.history.sent["credits", each][version] = time.monotonic()
                    while not self._end.is_set():
                        life = random.choice(self._lives)  # noqa: S311
                        if told := self._spent(client, life, user, f"{user}/{version}"):
                            assert int(told["entry"]["balance"]) == CREDITS - version, (user, version, told)
                            taken = Acknowledged(time.monotonic(), version, life.number)
                            self.history.acknowledged["credits", each].append(taken)
                            break
                        time.sleep(0.02)  # before it asks again
                time.sleep(0.02)  # else the others had no CPU

    def _spent(self, client: httpx.Client, life: Life, user: str, key: str) -> Any:
        """Spend a credit; what was answered, None when nothing was."""
        with contextlib.suppress(httpx.TransportError):
            data = ask(client, life.url, SPEND, id=user, key=key)
            return data and data["spendCredits"]
        return None

    def _read(self) -> None:
        reads = [(kind, view) for kind, view, weight in VIEWS for _ in range(weight)]
        number = 0
        with httpx.Client(timeout=5) as client:
            while not self._end.is_set():
                self._bursts.wait()
                life, (kind, view) = random.choice(self._lives), random.choice(reads)  # noqa: S311 - as it comes
                each = 0 if kind == "product" else random.randrange(CUSTOMERS)  # noqa: S311
                if kind == "session":
                    each = self._sessions - random.randrange(2)  # noqa: S311 - the latest, and the one before
                begun = time.monotonic()
                try:
                    version = view(client, life.url, each)
                except httpx.TransportError:
                    continue
                ended = time.monotonic()
                if version is not None and self._lives_on(life):
                    self.history.seen[view.__name__, (kind, each)].append(Seen(begun, ended, life.number, version))
                number += 1
                if number % 20 == 0:
                    key = f"{threading.get_ident()}/{number}"
                    told = self._spent(client, life, POOR, key)
                    if told and told["entry"]:
                        assert 0 <= int(told["entry"]["balance"]) < FEW, told
                        self.spent.add(key)

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


def _fill(url: str) -> None:
    """Write every subject in its version 0, and who has few credits."""
    with connected(url) as connection:
        put(connection, product("pro", name="0", meta={"features": "boards"}), price("month", "pro"))
        for each, user in enumerate(USERS):
            its = item(f"si_{each}", "month", "pro", subscription_id=f"sub_{each}")
            its.current_period_end = datetime.fromtimestamp(END, UTC)
            held = subscription(f"sub_{each}", customer_id=f"cus_{each}", as_of=BEGAN)
            put(connection, customer(f"cus_{each}", user), held, its)
            put(connection, *_credits(f"cus_{each}", CREDITS))
        put(connection, customer("cus_poor", POOR), *_credits("cus_poor", FEW))


def _credits(customer_id: str, amount: int) -> tuple[CreditAccount, CreditLot]:
    """Return an account that was given so many credits."""
    at = datetime.fromtimestamp(BEGAN, UTC)
    who = {"customer_id": customer_id}
    return (
        CreditAccount(balance=amount, clock=at, **who),
        CreditLot(id=f"lot_{customer_id}", purchase_id="gift", granted=amount, granted_at=at, **who),
    )


@sqlite_later
@pytest.mark.paced
@pytest.mark.timeout(int(SECONDS) + 240)
def test_no_answer_is_older_than_it_may_be_and_nobody_spends_what_is_not_there(database_url, tmp_path):
    _fill(database_url)
    game = Game(database_url, str(tmp_path), seed=7)
    try:
        game.play(SECONDS)
    finally:
        game.close()
    history = game.history
    assert history.faults() == []
    with connected(database_url) as connection:
        spends = sa.select(ENTRIES).where(ENTRIES.c.kind == "spend").order_by(ENTRIES.c.id)
        rows = connection.execute(spends).mappings().all()
    poor = [row for row in rows if row["customer_id"] == "cus_poor"]
    assert [row["balance"] for row in poor] == list(range(FEW - 1, FEW - 1 - len(poor), -1))[:FEW]
    assert game.spent <= {row["key"] for row in poor}
    assert max(Counter((row["customer_id"], row["key"]) for row in rows).values()) == 1
    print(f"\nchanged {dict(game.written())}, seen {dict(game.seen())}, {len(poor)} of {FEW} spent in a race")  # noqa: T201
    assert poor
