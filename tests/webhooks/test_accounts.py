"""Objects of connected accounts and events of the other mode never touch our own."""

import json
import time
import uuid

import pytest
import sqlalchemy as sa

from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.db.tables import table_for
from gateway.mirror.accounts import account_of, key_of, set_apart
from gateway.mirror.sync import Mirror
from gateway.models.inbox import Event
from gateway.models.metering import UsageRecord
from gateway.retention.erase import erase_again, note_deletion
from gateway.runtime import compose
from gateway.settings import Settings
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.handlers import apply, run_after
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.outcomes import Outcome
from harness.databases import postgres_later
from harness.gateway import SERVICE, make_world
from harness.rows import NOW, put
from harness.rows import customer as customer_row
from harness.subscriptions import customer, price_id, subscribe

FRIEND = "acct_friend"
PRICING = '{ pricing(currency: "USD") { products { product { id name } } } }'
CUSTOMER = """{ customer(externalId: "ada") { credits { balance } subscription { id status }
    access(feature: "projects") { allowed } } }"""


@pytest.fixture
def world(database_url):
    with make_world(database_url, connect_accounts=FRIEND, event_catch_up_minutes=0) as made:
        yield made


def deliver(world, kind, obj):
    """Deliver an event of the connected account, surely later than all that is known, and see it through."""
    event = world.event(kind, obj, created=int(time.time()) + 100, account=FRIEND)
    assert world.deliver(event).status_code == 200
    world.eventually(lambda: world.status_of(event), "applied")


def tables(world):
    """The rows of our own account that a connected account's events might touch."""
    names = ("product", "price", "customer", "subscription", "subscription_item", "invoice", "credit_entry")
    return {name: [row for row in world.rows(name) if not str(row["id"]).startswith("acct_")] for name in names}


@postgres_later
def test_events_of_a_connected_account_leave_our_objects_of_the_same_ids_as_they_are(world):
    ada = customer(world, "ada")
    subscription = subscribe(world, ada)
    world.eventually(lambda: world.rows("event", status="pending"), [])
    invoice = world.stripe("GET", f"/v1/invoices/{subscription['latest_invoice']}")
    price = world.stripe("GET", f"/v1/prices/{price_id(world, 'starter_monthly')}")
    product = world.stripe("GET", f"/v1/products/{price['product']}")
    before, page, account = tables(world), world.data(PRICING), world.data(CUSTOMER, headers=SERVICE)

    deliver(world, "product.updated", {**product, "name": "Theirs"})
    deliver(world, "product.created", {**product, "id": "prod_theirs", "name": "Also theirs"})
    deliver(world, "price.updated", {**price, "unit_amount": 1, "tiers": None, "currency_options": {}})
    deliver(world, "customer.updated", {**world.stripe("GET", f"/v1/customers/{ada}"), "email": "theirs@example.com"})
    deliver(world, "customer.subscription.updated", {**subscription, "status": "unpaid"})
    deliver(world, "invoice.paid", {**invoice, "total": 1})
    deliver(world, "customer.deleted", world.stripe("GET", f"/v1/customers/{ada}"))

    assert tables(world) == before
    assert world.data(PRICING) == page
    assert world.data(CUSTOMER, headers=SERVICE) == account
    (theirs,) = world.rows("product", id=f"{FRIEND}/{product['id']}")
    assert theirs["name"] == "Theirs"
    (theirs,) = world.rows("subscription", id=f"{FRIEND}/{subscription['id']}")
    assert (theirs["customer_id"], theirs["status"]) == (f"{FRIEND}/{ada}", "unpaid")


@pytest.mark.parametrize("live", [True, False])
async def test_events_of_the_other_mode_are_recorded_as_ignored(sqlite_url, live):
    runtime = compose(Settings.load(stripe_secret_key="sk_test_x", database_url=sqlite_url))
    inbox = Inbox(runtime.mirror, livemode=live)
    product = {"object": "product", "name": "Tea", "description": None, "active": True, "images": [], "metadata": {}}
    events = {}
    for livemode in (True, False):
        obj = {**product, "id": f"prod_{livemode}", "created": 1, "updated": 1, "livemode": livemode}
        event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "product.created", "created": 1}
        body = json.dumps({**event, "livemode": livemode, "data": {"object": obj}})
        events[livemode] = StripeEvent.parse(body)
    await inbox.record([Delivery(event) for event in events.values()], source="webhook")

    def rows(connection):
        found = connection.exec_driver_sql("SELECT id, status FROM event").all()
        return dict(found), set(connection.exec_driver_sql("SELECT id FROM product").scalars())

    statuses, products = await runtime.database.read(rows)
    assert statuses == {events[live].id: "applied", events[not live].id: "ignored"}
    assert products == {f"prod_{live}"}
    await runtime.close()


def test_the_mode_of_the_key_is_the_mode_whose_events_are_applied(sqlite_url):
    with make_world(sqlite_url, event_catch_up_minutes=0) as world:
        product = world.stripe("GET", "/v1/products", limit=1)["data"][0]
        event = world.event("product.updated", {**product, "name": "Live"}, created=int(time.time()) + 9, livemode=True)
        world.deliver(event)
        assert world.status_of(event) == "ignored"
        assert world.rows("product", id=product["id"])[0]["name"] == product["name"]


def test_every_reference_of_an_object_set_apart_bears_its_account():
    columns = {"customer_id": "cus_1", "latest_invoice_id": None, "status": "active", "name": "x_id"}
    item = {"id": "si_1", "subscription_id": "sub_1", "price_id": "price_1", "product_id": "prod_1", "quantity": 1}
    assert set_apart("acct_1", {**columns, "_items": [item]}) == {
        "customer_id": "acct_1/cus_1",
        "latest_invoice_id": None,
        "status": "active",
        "name": "x_id",
        "_items": [
            {
                "id": "acct_1/si_1",
                "subscription_id": "acct_1/sub_1",
                "price_id": "acct_1/price_1",
                "product_id": "acct_1/prod_1",
                "quantity": 1,
            }
        ],
    }


@pytest.mark.parametrize(
    ("account", "object_id", "key"),
    [
        (None, "prod_1", "prod_1"),
        ("acct_1", "prod_1", "acct_1/prod_1"),
        (None, "prod/1", "prod/1"),
        ("acct_1", "a/b", "acct_1/a/b"),
    ],
)
def test_a_key_tells_the_account_and_stripes_id(account, object_id, key):
    assert key_of(account, object_id) == key
    assert account_of(key) == (account, object_id)


REFUSED = {"error_types": [{"code": "no", "error_count": 1, "sample_errors": [{"request": {"identifier": "call-1"}}]}]}
THIN = {"id": "evt_1", "object": "v2.core.event", "livemode": False, "created": "2026-09-17T06:20:52.246Z"}


@pytest.mark.parametrize(("context", "status"), [(None, "dead"), (FRIEND, "sent")])
def test_an_account_that_sent_itself_usage_under_an_id_of_ours_refuses_none_of_ours(connection, context, status):
    sent = {"customer_id": "cus_1", "event_name": "calls", "value": 7, "timestamp": NOW, "created": NOW}
    put(connection, UsageRecord(id="call-1", fingerprint="x", status="sent", **sent))
    told = StripeEvent.of({**THIN, "type": "v1.billing.meter.no_meter_found", "context": context})
    whole = told._replace(object={"data": {"reason": REFUSED}})
    run_after(connection, whole, Outcome("applied", ""))
    assert connection.execute(sa.select(table_for(UsageRecord).c.status)).scalar() == status
    (planned,) = apply(Mirror(None, ()), connection, [told])
    assert bool(planned.pending_fetches) is (context is None)


async def test_a_connected_account_that_deletes_a_customer_empties_no_payloads_but_its_own(sqlite_url):
    written = {"type": "customer.updated", "livemode": False, "source": "webhook", "status": "applied"}
    person = json.dumps({"object": "event", "data": {"object": {"id": "cus_2", "email": "ada@example.com"}}})
    moments = {"created": NOW, "received_at": NOW}
    whose = {"ours": None, "theirs": FRIEND, "another's": "acct_other"}
    events = [Event(id=name, account=each, payload=person, **written, **moments) for name, each in whose.items()]
    address = {"email": "ada@example.com", "email_lower": "ada@example.com"}
    deleted = customer_row(key_of(FRIEND, "cus_1"), deleted=True, **address)
    database, table = Database(sqlite_url, endpoints=(), on_commit=Notifications()), table_for(Event)
    await database.transaction(lambda connection: put(connection, deleted, *events))
    await database.transaction(lambda connection: note_deletion(connection, deleted.id))
    assert await erase_again(database) == 1
    emptied = sa.select(table.c.id).where(~table.c.payload.contains("ada@example.com"))
    assert await database.read(lambda connection: connection.execute(emptied).scalars().all()) == ["theirs"]
    await database.close()
