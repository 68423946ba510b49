"""Nothing lost, nothing doubled, nothing wrong: storms against real processes, killed and cut off from everything.

`make storms` plays them. What is killed in the middle of its work in `make test` is in `test_seen.py` and
`test_counting_history.py`.
"""

import signal
import threading
import time
from pathlib import Path

import pytest

from harness.databases import both_databases
from harness.storm import storm_on

CLEAN = {"lost": 0, "doubled": 0, "wrong": 0}
pytestmark = pytest.mark.soak


def test_killed_in_the_middle_of_a_storm_nothing_is_lost_doubled_or_wrong(postgres_url):
    with storm_on(postgres_url, subscriptions=10) as storm:
        storm.blow(lambda: storm.kill(2, pause=0.3))
        assert storm.account("quick storm") == CLEAN


def test_sigterm_lets_every_delivery_finish_and_the_process_ends_within_five_seconds(sqlite_url):
    with storm_on(sqlite_url, subscriptions=6) as storm:
        (gateway,) = storm.gateways
        ended = []

        def stop():
            time.sleep(0.3)  # so that deliveries are under way
            ended.append(gateway.end(signal.SIGTERM))
            taken = dict(storm.taken)  # whatever got its 2xx is in the database
            assert set(taken) <= {row["id"] for row in storm.world.rows("event")}
            gateway.start()

        storm.blow(stop)
        assert ended[0] < 5
        assert storm.account("terminated") == CLEAN


@both_databases
def test_ten_kills(database_url):
    with storm_on(database_url, subscriptions=200) as storm:
        storm.blow(lambda: storm.kill(10))
        assert storm.kills >= 10
        assert storm.account("ten kills") == CLEAN


@pytest.mark.postgres
def test_three_processes_of_which_one_dies_for_good(postgres_url):
    with storm_on(postgres_url, processes=3, subscriptions=200) as storm:

        def trouble():
            storm.kill(10, pause=0.3)
            dead = storm.gateways.pop()
            dead.end(signal.SIGKILL)
            storm.kills += 1

        storm.blow(trouble)
        assert storm.account("three processes, one killed for good") == CLEAN


@pytest.mark.postgres
def test_postgresql_stopped_for_thirty_seconds(own_postgres):
    server, url = own_postgres
    with storm_on(url, subscriptions=100) as storm:
        back = []

        def trouble():
            time.sleep(1)  # of deliveries that are taken
            server.stop()
            before = sum(storm.taken.values())
            time.sleep(1)  # what was under way has ended
            during = sum(storm.taken.values())
            time.sleep(29)  # as its name says
            assert sum(storm.taken.values()) == during, "a 2xx without a database"
            assert during - before <= 50  # those whose commit had been done
            server.start()
            back.append(time.monotonic())
            storm.world.eventually(lambda: sum(storm.taken.values()) > during, seconds=30)

        storm.blow(trouble)
        assert storm.answers[503] > 0
        assert storm.account("PostgreSQL stopped for 30 s") == CLEAN


def test_a_full_disk(sqlite_url):
    size = Path(sqlite_url.removeprefix("sqlite:///")).stat().st_size
    with storm_on(sqlite_url, subscriptions=100, limit=size + 1_500_000) as storm:
        (gateway,) = storm.gateways

        def trouble():
            storm.world.eventually(lambda: storm.answers[503] > 20, seconds=60)
            gateway.end(signal.SIGKILL)
            gateway.limit = None  # the operator has made room
            gateway.start()

        storm.blow(trouble)
        assert storm.account("full disk") == CLEAN


@both_databases
def test_the_offline_stripe_down(database_url):
    with storm_on(database_url, subscriptions=100) as storm:
        storm.stripe_app.down = True
        timer = threading.Timer(8, lambda: setattr(storm.stripe_app, "down", False))
        timer.start()
        storm.blow()
        assert storm.answers[503] == 0  # recording needs no Stripe
        timer.join()
        assert storm.account("Stripe down") == CLEAN
