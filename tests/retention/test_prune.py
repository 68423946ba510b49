"""What is finished and old is deleted, and nothing else; what Stripe delivers again afterwards changes nothing."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from gateway.db.tables import table_for
from gateway.models.checkout import CheckoutIntent
from gateway.models.inbox import Event
from gateway.models.infra import Lease
from gateway.models.metering import UsageHold, UsageRecord
from gateway.models.outbound import OutboxDelivery, OutboxMessage
from gateway.retention.prune import BATCH, RETAINED, count_old, prune
from harness.checkout import buy
from harness.command import run
from harness.databases import both_databases, postgres_later, runtime_at
from harness.gateway import SERVICE, connected, make_world
from harness.rows import item, subscription
from harness.subscriptions import applied

DAY = timedelta(days=1)
ENDPOINT = "http://127.0.0.1:9 whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"
RESTLESS = {"event", "notification", "lease", "webhook_secret_use", "sync_state", "catalog_version", "outbox_delivery"}
GUARDS = {"as_of", "staleness_seconds", "revision"}


@pytest.fixture
async def runtime(database_url):
    runtime = runtime_at(database_url)
    yield runtime
    await runtime.close()


def event(id, age, status="applied"):
    moment = datetime.now(UTC) - age
    given = {"id": id, "type": "invoice.paid", "livemode": False, "created": moment, "received_at": moment}
    return Event(**given, payload="{}", source="webhook", status=status)


def message(id, age, *statuses):
    made = OutboxMessage(
        id=id, message_id=f"msg_{id}", customer_id="cus_1", type="t", payload="{}", created=datetime.now(UTC) - age
    )
    places = enumerate(statuses)
    return [
        made,
        *(OutboxDelivery(id=id, endpoint=f"e{place}", customer_id="cus_1", status=each) for place, each in places),
    ]


def usage(id, age, status="sent", customer_id="cus_1"):
    moment = datetime.now(UTC) - age
    given = {"id": id, "customer_id": customer_id, "event_name": "calls", "value": 1, "fingerprint": "f"}
    return UsageRecord(**given, status=status, timestamp=moment, created=moment)


def hold(id, age):
    moment = datetime.now(UTC) - age
    given = {"customer_id": "cus_1", "external_id": "ada", "feature": "tokens", "name": "counter:tokens", "amount": 1}
    return UsageHold(id=id, key=id, fingerprint="f", status="open", expires_at=moment, created=moment, **given)


def intent(id, age):
    return CheckoutIntent(id=id, scope="user:ada", key=id, fingerprint="f", created=datetime.now(UTC) - age)


def yearly(customer_id):
    """A subscription whose period began 420 days ago and goes on."""
    began = datetime.now(UTC) - 420 * DAY
    plan = item("si_1", "price_1", "prod_1", subscription_id="sub_1")
    plan.current_period_start = began
    return [subscription("sub_1", "active", customer_id=customer_id, created=began, start_date=began), plan]


async def put(runtime, *rows):
    def write(connection):
        for row in rows:
            connection.execute(sa.insert(table_for(type(row))).values(row.model_dump()))

    await runtime.database.transaction(write)


async def left(runtime):
    def read(connection):
        return {each.name: set(connection.execute(sa.select(each.table.c.id)).scalars()) for each in RETAINED}

    return await runtime.database.read(read)


@both_databases
async def test_what_is_finished_and_old_goes_and_the_rest_stays(runtime):
    await put(
        runtime,
        *(event(f"evt_{status}", 91 * DAY, status) for status in ("applied", "stale", "ignored")),
        *(event(f"evt_{status}", 91 * DAY, status) for status in ("pending", "failed", "dead")),
        event("evt_young", 89 * DAY),
        *message(1, 91 * DAY, "delivered", "delivered"),
        *message(2, 91 * DAY, "delivered", "pending"),
        *message(3, 91 * DAY, "dead"),
        *message(4, 89 * DAY, "delivered"),
        usage("sent", 401 * DAY),
        usage("young", 399 * DAY),
        usage("counted", 401 * DAY, "counted"),
        hold("old", 401 * DAY),
        hold("young", 399 * DAY),
        usage("waits", 401 * DAY, "pending"),
        usage("refused", 401 * DAY, "dead"),
        usage("period-runs", 401 * DAY, customer_id="cus_2"),
        usage("period-is-over", 421 * DAY, customer_id="cus_2"),
        *yearly("cus_2"),
        intent("old", 31 * DAY),
        intent("young", 29 * DAY),
        Lease(name="owner:ada", holder="killed", until=datetime.now(UTC) - 2 * DAY),
        Lease(name="owner:bob", holder="works", until=datetime.now(UTC) + DAY),
    )
    expected = {"events": 3, "messages": 1, "usage": 3, "holds": 1, "intents": 1}
    assert await count_old(runtime.database, runtime.settings) == expected
    assert await prune(runtime.database, runtime.settings, pause_seconds=0) == expected
    assert await left(runtime) == {
        "events": {"evt_pending", "evt_failed", "evt_dead", "evt_young"},
        "messages": {2, 3, 4},
        "usage": {"young", "waits", "refused", "period-runs"},
        "holds": {"young"},
        "intents": {"young"},
    }
    deliveries = sa.select(sa.func.count()).select_from(table_for(OutboxDelivery))
    assert await runtime.database.read(lambda connection: connection.execute(deliveries).scalar()) == 4
    leases = sa.select(table_for(Lease).c.name).where(table_for(Lease).c.name.startswith("owner"))
    assert await runtime.database.read(lambda connection: connection.execute(leases).scalars().all()) == ["owner:bob"]
    assert await prune(runtime.database, runtime.settings) == dict.fromkeys(expected, 0)


async def test_dead_letters_at_the_front_do_not_keep_what_is_behind_them(sqlite_url):
    runtime = runtime_at(sqlite_url)
    rows = [event(f"evt_{place}", 91 * DAY, "dead" if place % 3 else "applied") for place in range(4 * BATCH)]
    await put(runtime, *rows)
    counts = await prune(runtime.database, runtime.settings, pause_seconds=0)
    assert counts["events"] == sum(row.status == "applied" for row in rows) > BATCH
    assert len((await left(runtime))["events"]) == sum(row.status == "dead" for row in rows)
    await runtime.close()


@pytest.mark.soak
async def test_tables_stay_flat_over_a_simulated_year(sqlite_url):
    """Ten of each a week: never more than the days that each is kept for, and a week."""
    runtime = runtime_at(sqlite_url, usage_retention_days=36)
    most = dict.fromkeys((each.name for each in RETAINED), 0)
    for week in range(52):
        runtime.clock.follow(week * 7 * 86_400)
        ago = timedelta(weeks=-week)
        for place in range(10):
            name, moment = f"{week}-{place}", ago + timedelta(hours=place)
            number = 10 * week + place
            rows = event(name, moment), *message(number, moment, "delivered"), usage(name, moment), intent(name, moment)
            await put(runtime, *rows, hold(name, moment))
        await prune(runtime.database, runtime.settings, pause_seconds=0)
        most = {name: max(most[name], len(found)) for name, found in (await left(runtime)).items()}
    assert most == {"events": 130, "messages": 130, "usage": 60, "holds": 60, "intents": 50}
    deliveries = sa.select(sa.func.count()).select_from(table_for(OutboxDelivery))
    assert await runtime.database.read(lambda connection: connection.execute(deliveries).scalar()) == 130
    await runtime.close()


def contents(url):
    """All that is kept for good, without what only guards its order."""
    found = {}
    with connected(url) as connection:
        for table in SQLModel.metadata.sorted_tables:
            if table.name not in RESTLESS:
                columns = [column for column in table.c if column.name not in GUARDS]
                found[table.name] = sorted(repr(tuple(row)) for row in connection.execute(sa.select(*columns)))
    return found


@postgres_later
def test_events_that_come_again_after_they_were_deleted_change_no_money(tmp_path, database_url):
    with make_world(database_url, outbound_endpoints=ENDPOINT, event_catch_up_minutes=0) as world:
        ada = world.token("ada", email="ada@example.com")
        buy(world, ada, "business_monthly")
        applied(world, "ada")
        buy(world, ada, {"lookupKey": "credits_500", "quantity": 2})
        applied(world, "ada")
        spend = """mutation { spendCredits(input: {externalId: "ada", amount: 10300, idempotencyKey: "s"}) {
            credits { balance } } }"""
        world.eventually(lambda: world.rows("credit_account") and world.rows("credit_account")[0]["balance"], 11_000)
        assert world.data(spend, headers=SERVICE)["spendCredits"]["credits"]["balance"] == 700
        (paid,) = world.rows("invoice", status="paid")
        (payment,) = world.stripe("GET", "/v1/invoice_payments", invoice=paid["id"])["data"]
        world.stripe("POST", "/v1/refunds", payment_intent=payment["payment"]["payment_intent"])
        world.eventually(lambda: world.rows("credit_account")[0]["balance"], -9_300)
        applied(world, "ada")
        world.eventually(lambda: [row["check_at"] for row in world.rows("access_watch")], [None])

        events = world.stripe("GET", "/v1/events", limit=100)["data"]
        assert len(events) > 20
        world._execute("UPDATE event SET created = :then", {"then": datetime.now(UTC) - 91 * DAY})
        count = len(world.rows("event"))
        environment = {**world.environment(), "GATEWAY_EVENT_CATCH_UP_MINUTES": "0"}
        planned = run("prune", "--dry-run", cwd=tmp_path, **environment).stdout
        assert f"{count} events; 0 messages; 0 usage; 0 holds; 0 intents would be deleted" in planned
        before = contents(database_url)
        assert f"{count} events" in run("prune", cwd=tmp_path, **environment).stdout
        assert world.rows("event") == []

        for each in sorted(events, key=lambda event: event["id"]):  # in no order of theirs
            assert world.deliver(each).status_code == 200
        world.eventually(lambda: len(world.rows("event")) >= len(events) and world.rows("event", status="pending"), [])
        assert {row["status"] for row in world.rows("event")} <= {"applied", "stale", "ignored"}
        world.eventually(lambda: contents(database_url), before)  # access is looked at once more
