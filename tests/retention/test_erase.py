"""A person is erased: no table says who it was, no amount has changed, and nothing brings it back."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.db.tables import table_for
from gateway.models.audit import AuditEntry
from gateway.models.inbox import Event
from gateway.models.retention import PERSONAL, Erasure
from gateway.retention.erase import erase_again
from gateway.retention.payloads import second_look_due
from harness.checkout import buy, opened, pay
from harness.command import run
from harness.databases import postgres_later
from harness.gateway import SERVICE, connected, make_world
from harness.rows import customer, put
from harness.subscriptions import applied

ENDPOINT = "http://127.0.0.1:9 whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"
SPEND = """mutation { spendCredits(input: {externalId: "user-ada", amount: 7, idempotencyKey: "k-user-ada",
    reason: "for user-ada", metadata: [{key: "who", value: "ada@example.com"}]}) { credits { balance } } }"""
GIFT = """mutation { grantCredits(input: {externalId: "user-ada", amount: 5, reason: "for user-ada",
    idempotencyKey: "gift user-ada", actor: "Ada Lovelace"}) { userErrors { code } } }"""
USAGE = """mutation { reportUsage(input: {externalId: "user-ada", eventName: "api_calls", value: 3,
    identifier: "user-ada-1"}) { userErrors { code } } }"""
WHO = re.compile(r"ada@example\.com|Ada Lovelace|user-ada", re.IGNORECASE)
AMOUNTS = {
    "credit_entry": ("kind", "amount", "balance", "lot_id", "purchase_id"),
    "credit_lot": ("granted", "spent", "revoked", "expired"),
    "invoice": ("number", "total", "amount_paid", "lines"),
    "charge": ("amount", "amount_refunded"),
}

ABOUT_PEOPLE = {
    *PERSONAL,
    *("customer_claim", "checkout_intent", "usage_record", "usage_total", "outbox_message", "outbox_delivery"),
    *("credit_entry", "audit_entry", "event", "usage_counter", "usage_hold"),
}
UNDER_STRIPES_IDS = {
    *(
        "charge",
        "refund",
        "promotion_code",
        "dispute",
        "credit_note",
        "invoice_payment",
        "subscription_item",
        "subscription_schedule",
        "discount",
    ),
    *("credit_account", "credit_lot", "owned_product", "entitlement_summary"),
    *("usage_control", "access_watch", "outbox_state", "change_quote", "retention_offer", "erasure"),
    "customer_figures",
}
ABOUT_NOBODY = {
    *("product", "price", "coupon", "meter", "catalog_version", "catalog_change", "sync_state", "webhook_secret_use"),
    "stripe_account",
    "figure",
    *("lease", "notification"),  # of minutes: names of locks, and the latest thousand changes
}


def test_every_table_is_thought_of():
    assert {table.name for table in SQLModel.metadata.sorted_tables} == ABOUT_PEOPLE | UNDER_STRIPES_IDS | ABOUT_NOBODY


@pytest.mark.parametrize(
    ("scanned", "age", "due"), [(None, 0, True), (0, 30, False), (0, 31, True), (31, 31, False), (32, 400, False)]
)
def test_payloads_are_looked_through_at_once_and_when_stripe_has_forgotten(scanned, age, due):
    asked = datetime(2026, 1, 1, tzinfo=UTC)
    looked = None if scanned is None else asked + timedelta(days=scanned)
    assert second_look_due(asked, looked, asked + timedelta(days=age), 31) is due


def traces(url, pattern=WHO):
    """The tables that say who somebody is, with how many rows, or which events."""
    found = {}
    with connected(url) as connection:
        for table in SQLModel.metadata.sorted_tables:
            rows = [row for row in connection.execute(sa.select(table)).all() if pattern.search(repr(tuple(row)))]
            if rows and table.name not in ABOUT_NOBODY:
                found[table.name] = [row.type for row in rows] if table.name == "event" else len(rows)
    return found


def amounts(world):
    return {
        table: sorted(str([row[name] for name in names]) for row in world.rows(table))
        for table, names in AMOUNTS.items()
    }


def look_again(world, endpoints=ENDPOINT):
    """What a running gateway does each day; by a process, because who closes a file loses SQLite's locks on it."""
    assert run("prune", **world.environment(), GATEWAY_OUTBOUND_ENDPOINTS=endpoints).returncode == 0


def quiet(world):
    """Wait until Stripe's events about people are here and applied."""
    people = "customer", "checkout", "invoice", "charge", "payment"
    told = world.stripe("GET", "/v1/events", limit=100)["data"]
    events = {each["id"] for each in told if each["type"].startswith(people)}
    world.eventually(lambda: events - {row["id"] for row in world.rows("event")}, set())
    world.eventually(lambda: world.rows("event", status="pending"), [])


def prepare(world):
    """Ada, who buys, spends, uses and buys again as a guest; and Bob."""
    ada = world.token("user-ada", email="ada@example.com")
    buy(world, ada, "business_monthly")
    applied(world, "user-ada")
    bob = opened(world, world.token("user-bob", email="bob@example.com"), "starter_monthly")
    pay(world, bob, email="bob@example.com", name="Bob")
    world.eventually(lambda: world.rows("credit_account") and world.rows("credit_account")[0]["balance"], 10_000)
    assert world.data(SPEND, headers=SERVICE)["spendCredits"]["credits"]["balance"] == 9_993
    assert world.data(USAGE, headers=SERVICE)["reportUsage"]["userErrors"] == []
    buy(world, {}, "credits_500", customerEmail="ada@example.com", idempotencyKey="ada@example.com 1")
    assert world.data(GIFT, headers=SERVICE)["grantCredits"]["userErrors"] == []
    problems = [{"code": "CUSTOMER_UNAVAILABLE", "message": "it is another user's, user-ada", "field": "customerId"}]
    entry = {"reference": "r", "key": "a", "fingerprint": "f", "action": "customer.link", "by": "service token 1"}
    entry |= {"external_id": "user-ada", "input": {"email": "ada@example.com"}, "status": "refused"}
    others = {"reference": "o", "key": "o", "external_id": "user-bob", "input": {"instead_of": "user-ada"}}
    with connected(world.settings.database_url.get_secret_value()) as connection:
        for more in ({"problems": problems}, {"problems": None, **others}):
            row = {**entry, **more, "created": datetime.now(UTC)}
            connection.execute(sa.insert(table_for(AuditEntry)).values(**row))
    quiet(world)


@postgres_later
def test_nothing_says_who_it_was_and_nothing_brings_it_back(tmp_path, database_url):
    with make_world(database_url, outbound_endpoints=ENDPOINT, event_catch_up_minutes=0) as world:
        prepare(world)
        environment = {**world.environment(), "USER": "ops", "GATEWAY_OUTBOUND_ENDPOINTS": ENDPOINT}
        (row,) = world.rows("customer", external_id="user-ada")
        (plan,) = world.rows("subscription", customer_id=row["id"])
        begun = opened(world, world.token("user-ada", email="ada@example.com"), "credits_500")
        world._execute("UPDATE subscription SET status = 'incomplete'")  # that it was paid is not known yet
        refused = run("erase", "user-ada", "--yes", cwd=tmp_path, **environment)
        assert refused.returncode == 1
        assert world.stripe("GET", f"/v1/checkout/sessions/{begun['id']}")["status"] == "expired"
        assert f"a subscription goes on ({plan['id']}): cancel it first" in refused.stdout
        world.stripe("DELETE", f"/v1/subscriptions/{plan['id']}")
        quiet(world)

        (bobs,) = world.rows("customer", external_id="user-bob")
        before, known = amounts(world), traces(database_url)
        assert {"customer", "event", "checkout_session", "customer_claim", "credit_entry", "audit_entry"} <= {*known}
        planned = run("erase", "user-ada", "--dry-run", cwd=tmp_path, **environment)
        assert planned.returncode == 0, planned.stdout
        assert "amounts and times: money" in planned.stdout
        (guest,) = [each["id"] for each in world.rows("customer", email="ada@example.com") if not each["external_id"]]
        assert guest in planned.stdout.partition("not erased:")[2]
        asked = run("erase", "user-ada", cwd=tmp_path, **environment)  # nobody answers
        assert asked.returncode == 1
        kept = traces(database_url)
        assert {name: kept[name] for name in known if name != "outbox_message"} == {
            name: count for name, count in known.items() if name != "outbox_message"
        }

        for who in ("user-ada", guest):
            done = run("erase", who, "--yes", cwd=tmp_path, **environment)
            assert done.returncode == 0, done.stdout
        again = run("erase", "user-ada", "--yes", cwd=tmp_path, **environment)
        assert again.returncode == 1
        assert "nobody here has the id user-ada" in again.stdout
        quiet(world)
        look_again(world)  # the deletion itself has brought events
        waiting = {"outbox_message"} if world.rows("outbox_delivery", status="pending") else set()
        assert {name: found for name, found in traces(database_url).items() if name not in waiting} == {}
        assert amounts(world) == before
        assert [row["key"] for row in world.rows("audit_entry", external_id="user-bob")] == ["o"]
        assert not WHO.search(repr(world.rows("notification")))
        assert world.rows("customer", external_id="user-bob")[0]["email"] == "bob@example.com"
        if database_url.startswith("sqlite"):
            world._execute("PRAGMA wal_checkpoint(TRUNCATE)")
            found = subprocess.run(["/bin/grep", "-c", "ada@example.com", tmp_path / "gateway.db"], check=False)
            assert found.returncode == 1  # no line has it

        assert run("sync", cwd=tmp_path, **environment).returncode == 0  # Stripe still says it of checkouts
        compared = run("reconcile", cwd=tmp_path, **environment)
        look_again(world)
        assert {name: found for name, found in traces(database_url).items() if name not in waiting} == {}
        assert "0 differences" in compared.stdout, compared.stdout
        replayed = run("events", "replay", "--since", "2020-01-01", cwd=tmp_path, **environment)
        assert replayed.returncode == 0, replayed.stdout
        assert "outbox_message" in traces(database_url)
        look_again(world, endpoints="")  # nobody delivers them any more
        assert traces(database_url) == {}
        assert {row["customer_id"] for row in world.rows("outbox_message")} == {bobs["id"]}
        assert amounts(world) == before
        opened(world, world.token("user-ada", email="ada@example.com"), "starter_monthly")  # as somebody new
        assert [each["id"] for each in world.rows("customer", external_id="user-ada")] != [row["id"]]
        assert world.data(GIFT, headers=SERVICE)["grantCredits"]["userErrors"] == [{"code": "IDEMPOTENCY_KEY_REUSED"}]


def test_a_customer_that_is_deleted_at_stripe_leaves_the_payloads_and_not_the_rows(sqlite_url):
    with make_world(sqlite_url, event_catch_up_minutes=0) as world:
        buy(world, world.token("user-ada", email="ada@example.com"), "starter_monthly")
        quiet(world)
        (row,) = world.rows("customer", external_id="user-ada")
        count = len(world.rows("event"))
        assert len(traces(sqlite_url)["event"]) > 5
        world.stripe("DELETE", f"/v1/customers/{row['id']}")
        quiet(world)
        look_again(world)
        assert "event" not in traces(sqlite_url)
        assert len(world.rows("event")) > count
        assert world.rows("customer", id=row["id"])[0]["email"] == "ada@example.com"


async def test_what_is_still_being_applied_is_emptied_by_the_look_after_that(sqlite_url):
    database = Database(sqlite_url, endpoints=(), on_commit=Notifications())
    event = {"id": "evt_1", "object": "event", "type": "customer.updated", "created": 1}
    event["data"] = {"object": {"id": "cus_1", "object": "customer", "email": "ada@example.com"}}
    now = datetime.now(UTC)
    row = {"id": "evt_1", "type": event["type"], "livemode": False, "created": now, "received_at": now}
    row |= {"payload": json.dumps(event), "source": "webhook", "pending_fetches": []}

    def write(connection):
        put(connection, customer("cus_1"))
        connection.execute(sa.insert(table_for(Event)).values(**row, status="failed"))
        connection.execute(sa.insert(table_for(Erasure)).values(customer_id="cus_1", rows=True, asked_at=now))

    await database.transaction(write)
    assert await erase_again(database) == 0
    applied = sa.update(table_for(Event)).values(status="applied")
    await database.transaction(lambda connection: connection.execute(applied).rowcount)
    assert [await erase_again(database) for _ in range(2)] == [1, 0]
    assert "event" not in traces(sqlite_url)
    await database.close()
