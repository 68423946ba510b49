"""What a command changes is heard by the running gateway at once, and told to the application, on both databases."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from gateway.db.tables import table_for
from gateway.models.inbox import Event
from harness.application import NEW, listening_application
from harness.command import run
from harness.databases import both_databases, postgres_later
from harness.gateway import SECRET, connected
from harness.subscriptions import customer, subscribe

NAMES = "{ products { edges { node { name } } } }"


def command(world, *words):
    """A command as an operator of this gateway runs it, on another machine perhaps."""
    (endpoint,) = world.settings.outbound_endpoints
    done = run(
        *words,
        STRIPE_SECRET_KEY="sk_test_tests",
        STRIPE_API_BASE=world.stripe_url,
        STRIPE_WEBHOOK_SECRET=SECRET,
        DATABASE_URL=world.settings.database_url.get_secret_value(),
        GATEWAY_OUTBOUND_ENDPOINTS=f"{endpoint.url} {NEW}",
    )
    assert done.returncode == 0, done.stdout


def names(world):
    return {edge["node"]["name"] for edge in world.data(NAMES)["products"]["edges"]}


@contextmanager
def undelivered(world):
    """No webhook of Stripe's arrives while the block runs."""
    chaos = f"{world.stripe_url}/_sandbox/chaos"
    world.client.post(chaos, json={"drop": 1}).raise_for_status()
    yield
    world.client.post(chaos, json={"drop": 0}).raise_for_status()


def change_unseen(world, subscription):
    """Rename a product and end a subscription with its period, which the gateway does not hear of; the events."""
    product = world.rows("product")[0]
    with undelivered(world):
        world.stripe("POST", f"/v1/products/{product['id']}", name="Renamed")
        world.stripe("POST", f"/v1/subscriptions/{subscription}", cancel_at_period_end="true")
        events = world.stripe("GET", "/v1/events", limit=2)["data"]
    assert {event["type"] for event in events} == {"product.updated", "customer.subscription.updated"}
    assert "Renamed" not in names(world)
    return events


def record(world, events, status):
    """Have events in the inbox that the gateway has not applied."""
    rows = [
        {
            "id": event["id"],
            "type": event["type"],
            "livemode": False,
            "created": datetime.fromtimestamp(event["created"], UTC),
            "object_id": event["data"]["object"]["id"],
            "payload": json.dumps(event),
            "source": "webhook",
            "status": status,
            "pending_fetches": [],
            "attempts": 17,
            "received_at": datetime.now(UTC),
        }
        for event in events
    ]
    with connected(world.settings.database_url.get_secret_value()) as connection:
        connection.execute(sa.insert(table_for(Event)), rows)


def retry(world, events):
    record(world, events, "dead")
    command(world, "events", "retry", "--dead")


def replay(world, events):
    record(world, events, "ignored")
    command(world, "events", "replay", *(event["id"] for event in events))


def sync(world, _):
    command(world, "sync")


def reconcile(world, _):
    command(world, "reconcile")


def repair(world, events):
    """Stripe's list of events is read to its end already, so that only the comparison finds the differences."""
    later = events[0]["created"] + 10_000
    world.advance(to=later)
    with connected(world.settings.database_url.get_secret_value()) as connection:
        read = {"resource": "event", "cursor": str(later), "count": 0}
        moment = datetime.now(UTC)
        connection.execute(sa.text("DELETE FROM sync_state WHERE resource = 'event'"))
        state = sa.table("sync_state", *map(sa.column, (*read, "started_at", "completed_at")))
        connection.execute(sa.insert(state).values(**read, started_at=moment, completed_at=moment))
    command(world, "reconcile", "--repair")
    assert world.rows("event", id=events[0]["id"]) == []


@postgres_later
@pytest.mark.parametrize("work", [retry, replay, sync, reconcile, repair], ids=lambda work: work.__name__)
def test_a_running_gateway_hears_what_a_command_writes_and_the_application_is_told(database_url, work):
    with listening_application(database_url) as (world, application):
        ada = customer(world, "ada")
        subscription = subscribe(world, ada)["id"]
        world.eventually(lambda: "subscription.activated" in application.types(ada))
        events = change_unseen(world, subscription)
        assert "subscription.changed" not in application.types(ada)

        work(world, events)

        world.eventually(lambda: "Renamed" in names(world), seconds=3)
        world.eventually(lambda: application.types(ada).count("subscription.changed"), 1)


@both_databases
def test_a_message_that_is_sent_again_by_a_command_arrives(database_url):
    with listening_application(database_url) as (world, application):
        ada = customer(world, "ada")
        subscribe(world, ada)
        world.eventually(lambda: "subscription.activated" in application.types(ada))
        world.eventually(lambda: world.rows("outbox_delivery", status="pending"), [])
        (message,) = [key for key, body in application.taken if body["type"] == "subscription.activated"]

        command(world, "outbox", "retry", message)

        world.eventually(lambda: [key for key, _ in application.taken].count(message), 2)
