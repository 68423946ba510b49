"""PostgreSQL's server is lost and its standby takes its place, or it is full: what was answered is counted, one by one.

With a synchronous standby nothing is missing. With an asynchronous one what it had not got is, nothing else, and
`gateway reconcile` names every user whose answer is gone. The gateway goes on by itself.
"""

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest

from gateway.db.errors import WORDS
from harness.command import run
from harness.gateway import SERVICE, World, make_world
from harness.standby import Pair, standby_of
from harness.waiting import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.soak]
GRANTED = 100_000
GRANT = """mutation($user: ID!, $key: String!) { grantCredits(input: {externalId: $user, amount: 100000,
    idempotencyKey: $key, reason: "a start"}) { userErrors { code } } }"""
SPEND = """mutation($user: ID!, $key: String!) { spendCredits(input: {externalId: $user, amount: 1,
    idempotencyKey: $key}) { entry { id } userErrors { code } } }"""
USE = """mutation($user: ID!, $key: String!) { reportUsage(input: {externalId: $user, eventName: "api_calls",
    identifier: $key}) { identifier userErrors { code } } }"""
CHECKOUT = """mutation($user: ID!, $key: String!) { createCheckoutSession(input: {externalId: $user,
    idempotencyKey: $key, successUrl: "https://shop.example/thanks",
    lineItems: [{lookupKey: "credits_500", quantity: 1}]}) { session { id } userErrors { code } } }"""
WORK = {"spend": SPEND, "usage": USE, "checkout": CHECKOUT}
TABLES = {"spend": ("credit_entry", "key"), "usage": ("usage_record", "id"), "checkout": ("checkout_intent", "key")}
BEFORE = "before"  # a user who is answered long before, and never again
LEASES_END = 60.0
"""After how many seconds nobody waits any more for what another one had begun."""
USERS = [f"user-{number}" for number in range(12)]


class Answer(NamedTuple):
    """Something that a client was told is done."""

    kind: str
    user: str
    key: str


class Clients:
    """The application's back end, which spends, reports and sells for several users at a time.

    Args:
        worlds: the gateways, each of which serves some of the users.
    """

    def __init__(self, *worlds: World) -> None:
        self._worlds = worlds
        self.answered: list[Answer] = []
        self.refused: list[Answer] = []
        self.said: Counter[str] = Counter()
        self._end = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Go on while the block runs."""
        with ThreadPoolExecutor(len(USERS)) as pool:
            tasks = [pool.submit(self._work, user) for user in USERS]
            try:
                yield
            finally:
                self._end.set()
            for task in tasks:
                task.result()

    def _work(self, user: str) -> None:
        number = 0
        with httpx.Client(timeout=30, headers=SERVICE) as client:
            while not self._end.is_set():
                number += 1
                kind = "checkout" if number % 20 == 10 else "usage" if number % 3 == 0 else "spend"
                self.ask(client, Answer(kind, user, f"{user}/{number}"))

    def ask(self, client: httpx.Client, wanted: Answer) -> None:
        body = {"query": WORK[wanted.kind], "variables": {"user": wanted.user, "key": wanted.key}}
        url = self._worlds[hash(wanted.user) % len(self._worlds)].url
        told = client.post(f"{url}/graphql", json=body).json()
        if "errors" in told:
            self.refused.append(wanted)
            self.said.update(each["message"] for each in told["errors"])
            time.sleep(0.05)  # as a client does before it asks again
        else:
            ((done),) = told["data"].values()
            assert done["userErrors"] == [], done
            self.answered.append(wanted)

    def missing(self) -> list[Answer]:
        """What was answered and is not in the database."""
        there = {(kind, row[key]) for kind, (table, key) in TABLES.items() for row in self._worlds[0].rows(table)}
        return [answer for answer in self.answered if (answer.kind, answer.key) not in there]


@pytest.fixture
def pair(own_postgres) -> Iterator[tuple[Pair, str]]:
    """A server with a standby, and the URL of a migrated database that names both."""
    server, url = own_postgres
    with standby_of(server) as pair:
        yield pair, pair.url(url.rpartition("/")[2].partition("?")[0])


@contextmanager
def selling(url: str) -> Iterator[tuple[World, Clients]]:
    """Two gateways whose users have credits."""
    with make_world(url, event_catch_up_minutes=0) as world, world.twin() as twin:
        for user in (*USERS, BEFORE):
            assert world.data(GRANT, {"user": user, "key": user}, SERVICE)["grantCredits"]["userErrors"] == []
        yield world, Clients(world, twin)


def play(world: World, clients: Clients, pair: Pair, *, cut: float | None, before: float, after: float) -> list[Answer]:
    """Work, lose the server, work on; what is missing. `cut`: so long before, the standby follows no more."""
    with clients.at_work():
        time.sleep(before)  # of work
        if cut is not None:
            pair.cut()
            time.sleep(cut)  # of commits that the standby does not get
        pair.fail_over()
        lost_at = len(clients.answered)
        eventually(lambda: httpx.get(f"{world.url}/readyz").status_code, 200, seconds=30)
        eventually(lambda: len(clients.answered) > lost_at + 20, seconds=30)  # by itself
        time.sleep(after)  # of work on the new server
    missing = clients.missing()
    counted = Counter(answer.kind for answer in clients.answered), Counter(answer.kind for answer in missing)
    print(f"\nanswered {dict(counted[0])}, missing {dict(counted[1])}, {len(clients.refused)} failed")  # noqa: T201
    return missing


def settled(world: World) -> tuple[int, str]:
    """What `gateway reconcile` says."""
    done = run("reconcile", **world.environment())
    return done.returncode, done.stdout


def doctor(world: World) -> str:
    """What `gateway doctor` says of the standby."""
    lines = run("doctor", **world.environment()).stdout.splitlines()
    return next(line for line in lines if "standby" in line)


def test_an_asynchronous_standby_lacks_what_it_had_not_got_and_reconcile_names_whose_it_was(pair):
    servers, url = pair
    with selling(url) as (world, clients):
        assert doctor(world).startswith("! standby: asynchronous: a failover loses what was answered last → ")
        with httpx.Client(headers=SERVICE) as client:
            clients.ask(client, Answer("spend", BEFORE, "long ago"))
        time.sleep(6)  # more than the margin of `gateway/billing/failover.py`
        missing = play(world, clients, servers, cut=2, before=10, after=10)
        assert missing, "the standby had everything: this shows nothing"
        cut_off = {answer.user for answer in missing}
        assert cut_off <= set(USERS)
        _, said = settled(world)
        named = next(line for line in said.splitlines() if line.startswith("user-")).split(", ")
        assert cut_off <= set(named), said
        assert BEFORE not in named
        assert "credits that were spent" in said
        assert doctor(world).startswith("! standby: DATABASE_URL names several servers, and none follows this one → ")


def test_a_synchronous_standby_has_all_that_was_answered(pair):
    servers, url = pair
    servers.be_synchronous()
    with selling(url) as (world, clients):
        assert doctor(world) == "✓ standby: 1 synchronous: a failover loses nothing that was answered"
        # The new server waits for no standby, as an operator sets it: there is none.
        servers.at_standby("ALTER SYSTEM SET synchronous_standby_names = ''")
        servers.at_standby("SELECT pg_reload_conf()")
        assert play(world, clients, servers, cut=None, before=20, after=10) == []
        assert len(clients.answered) > 300


def ask_again(clients: Clients, world: World) -> None:
    """Ask again for all that was not done, each under its key: everything is there, once."""
    late = len(clients.refused)
    with httpx.Client(timeout=30, headers=SERVICE) as client:
        until = time.monotonic() + LEASES_END
        while clients.refused and time.monotonic() < until:
            refused, clients.refused = clients.refused, []
            for wanted in refused:
                clients.ask(client, wanted)
    assert clients.refused == [], clients.said
    assert clients.missing() == []
    spends = sum(answer.kind == "spend" for answer in clients.answered)
    left = sum(row["balance"] for row in world.rows("credit_account"))
    assert left == GRANTED * len([*USERS, BEFORE]) - spends  # none counts twice
    print(f"\nanswered {len(clients.answered)}, of them {late} not at the first try: {dict(clients.said)}")  # noqa: T201


@contextmanager
def without_connections(server: Any) -> Iterator[None]:
    """Let another client take all the connections of a server while the block runs."""
    with ExitStack() as held:
        admin = held.enter_context(psycopg.connect(server.get_uri(), autocommit=True))
        gateways = "FROM pg_stat_activity WHERE datname LIKE 'test_%'"
        while admin.execute(f"SELECT pg_terminate_backend(pid) {gateways}").fetchall():  # they take theirs again
            with suppress(psycopg.OperationalError):
                while True:
                    held.enter_context(psycopg.connect(server.get_uri()))
        yield


@contextmanager
def small_disk(server: Any, url: str) -> Iterator[psycopg.Connection]:
    """Have a database on a disk of some megabytes while the block runs; a connection to it."""
    name, folder = url.rpartition("/")[2].partition("?")[0], Path(tempfile.mkdtemp(prefix="gateway-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], check=True)
    try:
        shutil.chown(folder, server.system_user)
        with psycopg.connect(server.get_uri(), autocommit=True) as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
            admin.execute(f"ALTER DATABASE {name} SET TABLESPACE small")
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def readiness(world: World) -> str:
    """What `/readyz` says."""
    return httpx.get(f"{world.url}/readyz", timeout=30).text


def test_a_server_without_connections_is_told_in_words_and_loses_and_doubles_nothing(own_postgres):
    server, url = own_postgres
    with selling(url) as (world, clients):
        with clients.at_work():
            time.sleep(2)  # of work before
            with without_connections(server):
                eventually(lambda: len(clients.refused) > 20, seconds=30)
                said = readiness(world)
            before = len(clients.answered)
            eventually(lambda: len(clients.answered) > before + 50, seconds=30)
        assert WORDS["53300"] in said
        ask_again(clients, world)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_of_the_server_is_told_in_words_and_loses_and_doubles_nothing(own_postgres):
    server, url = own_postgres
    with small_disk(server, url) as disk, selling(url) as (world, clients):
        with clients.at_work():
            time.sleep(2)  # of work before
            disk.execute("CREATE TABLE filler (text text)")
            for rows in (1_000, 10, 1):
                with suppress(psycopg.errors.DiskFull):
                    while True:
                        disk.execute("INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, %s)", [rows])
            eventually(lambda: len(clients.refused) > 20, seconds=60)
            disk.execute("DROP TABLE filler")  # the operator has made room
            before = len(clients.answered)
            eventually(lambda: len(clients.answered) > before + 50, seconds=30)
        assert any(WORDS["53100"] in each for each in clients.said), clients.said
        ask_again(clients, world)
