"""What an operator sees: metrics, alerts, logs, the doctor; and what a gateway does that cannot keep up."""

import asyncio
import base64
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
import structlog
from prometheus_client.parser import text_string_to_metric_families

from gateway.cli.doctor import run_checks
from gateway.db.locks import leader
from gateway.db.rows import row_by_id
from gateway.db.tables import table_for
from gateway.models.infra import SyncState
from gateway.runtime import compose, open_runtime
from gateway.webhooks import catch_up as missed
from gateway.webhooks.catch_up import run_catch_up
from gateway.webhooks.inbox import Inbox
from harness.databases import both_databases
from harness.gateway import SECRET, make_world
from harness.paths import ROOT

ALERTS = (ROOT / "docs" / "alerts.yml").read_text()
NEW_SECRET = "whsec_the_next_one"


@pytest.fixture(scope="module")
def world(new_sqlite):
    with make_world(new_sqlite(), stripe_webhook_secrets=f"old:{SECRET},new:{NEW_SECRET}") as made:
        yield made


def measured(world):
    """Every sample of `/metrics`: name and labels to value."""
    text = world.client.get(f"{world.url}/metrics").text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_step_of_an_event_is_counted(world):
    product, now = world.stripe("GET", "/v1/products", limit=1)["data"][0], int(time.time()) + 10
    new = world.event("product.updated", product, created=now + 5)
    old = world.event("product.updated", product, created=now - 86_400)
    torn = world.event("product.updated", {**product, "id": "prod/none", "name": {}}, created=now)
    before = measured(world)
    for event in (new, new, old, torn):
        assert world.deliver(event).status_code == 200
    world.deliver(b"nonsense", secret="whsec_foreign")
    world.eventually(lambda: world.status_of(torn), "failed")
    for _ in range(2):
        world.data("{ products { edges { node { id } } } }")

    now = measured(world)
    grown = {key for key, value in now.items() if value > before.get(key, 0)}
    for expected in (
        ("gateway_deliveries_total",),
        ("gateway_events_total", ("outcome", "applied")),
        ("gateway_events_total", ("outcome", "duplicate")),
        ("gateway_events_total", ("outcome", "stale")),
        ("gateway_events_total", ("outcome", "failed")),
        ("gateway_event_lag_seconds_count",),
        ("gateway_inbox_events", ("status", "failed")),
        ("gateway_webhooks_refused_total", ("reason", "signature_invalid")),
        ("gateway_stripe_calls_total", ("method", "get"), ("outcome", "InvalidRequestError")),
        ("gateway_cache_total", ("cache", "catalog"), ("result", "hit")),
        ("gateway_cache_total", ("cache", "documents"), ("result", "hit")),
    ):
        assert expected in grown
    assert now["gateway_deliveries_total",] - before["gateway_deliveries_total",] == 4
    assert ("gateway_inbox_events", ("status", "dead")) in now
    assert now["gateway_queue_depth",] == 0


def test_the_alerts_name_metrics_and_labels_that_exist(world):
    text = world.client.get(f"{world.url}/metrics").text
    families = {re.sub("_total$", "", name) for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)}
    samples = measured(world)
    expressions = re.findall(r"expr: (.*)", ALERTS)
    assert len(expressions) == ALERTS.count("- alert:")
    for name, labels in re.findall(r"(gateway_\w+)(?:\{([^}]*)\})?", " ".join(expressions)):
        assert re.sub("_(total|bucket|count|sum)$", "", name) in families, name
        known = {label for sample in samples if sample[0] == name for label, _ in sample[1:]}
        assert set(re.findall(r"(\w+)!?=", labels)) <= known or not known


async def test_during_a_rotation_the_doctor_the_metrics_and_the_log_tell_which_secret_is_in_use(world, capsys):
    event = world.event("a.b", {"object": "thing", "id": "thing_1"})
    world.deliver(event)
    assert f"id={event['id']}" in (logged := capsys.readouterr().out)
    assert "secret=old" in logged
    checks = await checks_of(world)
    assert re.fullmatch(
        r"old \(last used \d{4}-\d\d-\d\d \d\d:\d\d UTC\), new \(never used\)", checks["webhook secrets"].finding
    )

    world.deliver(world.event("a.b", {"object": "thing", "id": "thing_1"}), secret=NEW_SECRET)
    checks = await checks_of(world)
    assert "new (last used" in checks["webhook secrets"].finding
    used = measured(world)
    for label in ("old", "new"):
        assert time.time() - used["gateway_webhook_secret_last_used_seconds", ("label", label)] < 60


def test_a_line_of_the_log_tells_the_event_and_how_long_it_took_and_nothing_private(world, capsys):
    customer = world.stripe("POST", "/v1/customers", email="ada@example.com", name="Ada", phone="4242424242424242")
    event = world.event("customer.updated", customer, created=int(time.time()) + 20)
    torn = world.event("customer.updated", {**customer, "id": "cus/none", "email": ["ada@example.com"]})
    world.deliver(event)
    world.deliver(torn)
    world.eventually(lambda: world.status_of(torn), "failed")
    logged = capsys.readouterr().out
    (line,) = [each for each in logged.splitlines() if event["id"] in each]
    for part in ("type=customer.updated", f"object={customer['id']}", "status=applied", "outcome=", "ms="):
        assert part in line
    assert torn["id"] in logged
    for private in ("ada@example", "4242", SECRET, "sk_test"):
        assert private not in logged


LOGGED = """
import structlog
from gateway.observability.logging import configure_logging
configure_logging(readable=False)
structlog.contextvars.bind_contextvars(request_id="1")
structlog.get_logger().info("event_handled", id="evt_1", outcome="sk_live_x is postgresql://u:p@db, and whsec_y")
"""


def test_a_line_of_the_log_is_json_with_its_request_and_without_secrets():
    done = subprocess.run([sys.executable, "-c", LOGGED], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert re.fullmatch(r"[\d-]+T[\d:.]+Z", line.pop("timestamp"))
    assert line == {
        "event": "event_handled",
        "id": "evt_1",
        "level": "info",
        "request_id": "1",
        "outcome": "[secret] is [secret] and [secret]",
    }


def test_what_is_looked_for_each_second_is_found_by_an_index_however_many_events_there_are(sqlite_url):
    asked, url = {}, f"http://127.0.0.1:9 whsec_{base64.b64encode(bytes(24)).decode()}"
    tables = re.compile("FROM (event|usage_record|outbox_delivery) ")

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if found := tables.search(statement.replace("\n", " ")):
            asked[found[1]] = statement, parameters

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        with make_world(sqlite_url, fill=False, outbound_endpoints=url) as world:
            world.eventually(lambda: len(asked), 3)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    engine = sa.create_engine(sqlite_url)
    with engine.connect() as connection:
        for table, (statement, parameters) in asked.items():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            assert any("USING INDEX" in step.detail for step in plan), (table, plan)
            assert not any(re.search(rf"SCAN {table}(?! USING)", step.detail) for step in plan), (table, plan)
    engine.dispose()


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


@pytest.mark.postgres
async def test_of_several_processes_one_reads_stripes_list_and_warns_before_its_thirty_days_are_over(postgres_url):
    with make_world(postgres_url, fill=False, event_catch_up_minutes=0) as world:
        runtime = compose(world.settings)
        database, stripe = runtime.database, runtime.require_stripe()

        async def read():
            state = await database.read(lambda connection: row_by_id(connection, SyncState, missed.NAME))
            return state and state.completed_at

        @asynccontextmanager
        async def process():
            task = asyncio.create_task(run_catch_up(Inbox(runtime.mirror), stripe, 0.2))
            yield
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        async with leader(database, missed.NAME) as leading:
            assert leading
            async with process():
                await asyncio.sleep(0.6)
                assert await read() is None  # another one leads
        async with process():  # which has ended
            await _until(read)

        long_ago = sa.update(table_for(SyncState)).values(completed_at=datetime.now(UTC) - timedelta(days=21))
        await database.transaction(lambda connection: connection.execute(long_ago))
        checks = await checks_of(world)
        assert "before Stripe's 30 days are over" in checks["missed events"].fix
        with structlog.testing.capture_logs() as logs:
            async with process():
                await _until(lambda: _said(logs, "events_soon_lost"))
        await runtime.close()


async def checks_of(world):
    async with open_runtime(world.settings) as runtime:
        return {check.name: check async for check in run_checks(runtime)}


async def _said(logs, event):
    return any(each["event"] == event for each in logs)


async def _until(probe):
    for _ in range(100):
        if await probe():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")
