"""Deliveries that come faster than they can be recorded."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa

from harness.databases import both_databases
from harness.gateway import make_world


@contextmanager
def busy(url):
    """Nothing can be written to the database while the block runs."""
    if url.startswith("sqlite"):
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            connection.rollback()
        engine.dispose()
    else:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE event IN EXCLUSIVE MODE")
            yield
            connection.rollback()


@both_databases
def test_more_deliveries_than_can_wait_are_told_to_come_again_at_once_and_those_that_wait_are_served(
    database_url, monkeypatch
):
    monkeypatch.setattr("gateway.webhooks.receiver.QUEUE_LIMIT", 4)
    with make_world(database_url, fill=False, event_catch_up_minutes=0) as world, ThreadPoolExecutor(20) as pool:
        events = [world.event("a.b", {"object": "thing", "id": "thing_1"}) for _ in range(20)]
        with busy(database_url):
            first = pool.submit(world.deliver, events[0])
            time.sleep(0.3)  # it is being recorded, and the queue is empty
            others = [pool.submit(world.deliver, event) for event in events[1:]]
            world.eventually(lambda: sum(other.done() for other in others), 15)
            refused = [other.result() for other in others if other.done()]
            assert {answer.status_code for answer in refused} == {503}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        taken = [each.result() for each in (first, *others) if each.result().status_code == 200]
        assert len(taken) == 5
        assert len(world.rows("event")) == 5
