"""Our own webhooks: signed, in order for each customer, until they are delivered, and only for what has happened."""

import asyncio
import json
import threading
import time
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from billing.credits.test_credits import bill, intent_of
from billing.subscriptions.test_access import decline_from_now_on
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from gateway.app import create_app
from gateway.db.database import Database
from gateway.db.notifications import Notifications
from gateway.errors import SettingsError
from gateway.mirror.resources import RESOURCES
from gateway.mirror.sync import Change, Mirror
from gateway.outbound import outbox
from gateway.runtime import EFFECTS
from gateway.settings import Settings
from harness.application import OLD, listening_application
from harness.command import run
from harness.databases import both_connections, both_databases, postgres_later
from harness.gateway import listening, make_world, serve
from harness.subscriptions import agrees, customer, settled, subscribe


@pytest.fixture
def both(database_url):
    with listening_application(database_url) as made:
        yield made


@postgres_later
def test_the_application_is_told_of_a_subscriptions_life_and_of_its_credits_once_and_in_order(both):
    world, receiver = both
    ada = customer(world, "ada")
    made = subscribe(world, ada, "business_monthly")
    wanted = {"subscription.activated", "invoice.paid", "credits.granted"}
    world.eventually(lambda: wanted <= set(receiver.types(ada)))
    world.stripe("POST", f"/v1/subscriptions/{made['id']}", cancel_at_period_end="true")
    world.eventually(lambda: "subscription.changed" in receiver.types(ada))
    world.stripe("DELETE", f"/v1/subscriptions/{made['id']}")
    world.eventually(lambda: "subscription.ended" in receiver.types(ada))
    settled(world, made["id"])

    for event in world.stripe("GET", "/v1/events", limit=100)["data"]:
        assert world.deliver({**event, "id": f"{event['id']}_again"}).status_code == 200
    world.eventually(lambda: world.rows("event", status="pending"), [])
    world.eventually(lambda: world.rows("outbox_delivery", status="pending"), [])
    types = receiver.types(ada)
    for kind in ("subscription.activated", "subscription.ended", "invoice.paid", "credits.granted"):
        assert types.count(kind) == 1, types
    assert (
        types.index("subscription.activated") < types.index("subscription.changed") < types.index("subscription.ended")
    )
    (granted,) = [body for _, body in receiver.taken if body["type"] == "credits.granted"]
    assert granted["data"] == {
        "customerId": ada,
        "externalId": "ada",
        "amount": 10_000,
        "balance": 10_000,
        "purchaseId": made["latest_invoice"],
        "kind": None,
    }
    order = [row["message_id"] for row in sorted(world.rows("outbox_message"), key=lambda row: row["id"])]
    assert [message for message, _ in receiver.taken] == [each for each in order if each in dict(receiver.taken)]


def test_a_failed_charge_a_refund_and_an_expired_checkout_are_told(both):
    world, receiver = both
    ada = customer(world, "ada")
    paid = bill(world, ada, credits=10)
    world.eventually(lambda: "credits.granted" in receiver.types(ada))
    world.stripe("POST", "/v1/refunds", payment_intent=intent_of(world, paid))
    world.eventually(lambda: "credits.revoked" in receiver.types(ada))
    (session,) = world.rows("checkout_session", status="open")
    world.stripe("POST", f"/v1/checkout/sessions/{session['id']}/expire")
    world.eventually(lambda: "checkout.expired" in receiver.types(ada))
    failed = world.stripe("GET", f"/v1/invoices/{paid['id']}")
    failed |= {"id": "in_failed", "status": "open", "attempt_count": 1}
    world.deliver(world.event("invoice.payment_failed", failed))
    world.eventually(lambda: "invoice.failed" in receiver.types(ada))


@postgres_later
def test_a_bank_debit_that_is_processing_is_not_told_as_failed_and_each_failure_is_told_once(both):
    world, receiver = both
    ada = customer(world, "ada")
    paid = bill(world, ada, credits=10)
    invoice = world.stripe("GET", f"/v1/invoices/{paid['id']}") | {"id": "in_debit", "status": "open"}
    now = int(time.time())

    def messages():
        quiet(world)
        return receiver.types(ada).count("invoice.failed")

    processing = invoice | {"attempt_count": 1, "amount_paid": 0}
    world.deliver(world.event("invoice.finalized", invoice | {"attempt_count": 0}, created=now))
    world.deliver(world.event("invoice.updated", processing, created=now + 1))  # counted when it begins
    assert messages() == 0
    world.deliver(world.event("invoice.payment_failed", processing, created=now + 100))
    world.eventually(lambda: receiver.types(ada).count("invoice.failed"), 1)
    world.deliver(world.event("invoice.payment_failed", processing, created=now + 100))  # the same, under another id
    world.deliver(world.event("invoice.updated", processing, created=now + 101))
    world.deliver(world.event("invoice.updated", processing | {"attempt_count": 2}, created=now + 200))
    assert messages() == 1
    world.deliver(world.event("invoice.payment_failed", processing | {"attempt_count": 2}, created=now + 300))
    world.eventually(lambda: receiver.types(ada).count("invoice.failed"), 2)
    paid = processing | {"attempt_count": 3, "status": "paid"}
    world.deliver(world.event("invoice.paid", paid, created=now + 500))
    world.deliver(world.event("invoice.payment_failed", processing | {"attempt_count": 3}, created=now + 400))  # late
    assert messages() == 2


@both_connections
def test_of_two_events_in_one_batch_the_later_state_is_told_whichever_comes_first(connection):
    one = INVOICE | {"id": "in_1"}
    states = [(one | {"status": "paid"}, 1_700_000_001), (one | {"status": "open"}, 1_700_000_000)]
    changes = [Change(RESOURCES["invoice"], state, created) for state, created in states]
    Mirror(None, [outbox.on_write]).store_events(connection, changes, lambda *_: ())
    assert connection.execute(sa.select(outbox.MESSAGES.c.type)).scalars().all() == ["invoice.paid"]


@pytest.mark.postgres
async def test_messages_of_one_customer_have_the_order_in_which_they_were_committed(postgres_url):
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection, written):  # after the first message is written, and before its commit
        outbox.on_write(connection, written)
        if any(row.id == "in_first" for row in written):
            begun.set()
            go_on.wait(5)

    effects = [slow if effect is outbox.on_write else effect for effect in EFFECTS]
    database = Database(postgres_url, endpoints=["http://127.0.0.1:9/"], on_commit=Notifications())
    mirror = Mirror(database, effects)
    committed = []

    async def pay(invoice_id):
        invoice = {**INVOICE, "id": invoice_id}
        change = Change(RESOURCES["invoice"], invoice, 1_700_000_000)
        await database.transaction(lambda connection: mirror.store_events(connection, [change], lambda *_: ()))
        committed.append(invoice_id)

    first = asyncio.create_task(pay("in_first"))
    await asyncio.to_thread(begun.wait, 5)
    second = asyncio.create_task(pay("in_second"))
    done, _ = await asyncio.wait([second], timeout=1)
    go_on.set()
    await asyncio.gather(first, second)

    def messages(connection):
        return [
            json.loads(body)["data"]["invoiceId"]
            for body in connection.execute(
                sa.select(outbox.MESSAGES.c.payload).order_by(outbox.MESSAGES.c.id)
            ).scalars()
        ]

    assert await database.read(messages) == committed == ["in_first", "in_second"]
    assert not done
    await database.close()


INVOICE = {
    "object": "invoice",
    "customer": "cus_1",
    "number": "1",
    "status": "paid",
    "billing_reason": "manual",
    "currency": "usd",
    **dict.fromkeys(("subtotal", "total", "amount_due", "amount_paid", "period_start", "period_end", "created"), 1),
    "amount_remaining": 0,
    "attempt_count": 1,
    "lines": {"data": [], "has_more": False},
    "status_transitions": {"paid_at": 1},
}


@both_databases
def test_what_cannot_be_delivered_is_kept_sent_again_and_overtaken_by_nothing(both):
    world, receiver = both
    receiver.status = 503
    ada = customer(world, "ada")
    bill(world, ada, credits=1)
    bill(world, ada, credits=2)
    world.eventually(lambda: len(world.rows("outbox_message", type="credits.granted")) == 2)
    world.eventually(lambda: receiver.tries >= 2)
    first, *later = sorted(world.rows("outbox_delivery", customer_id=ada), key=lambda row: row["id"])
    assert first["last_error"] == "answered 503"
    assert {row["attempts"] for row in later} == {0}
    receiver.status = 200
    world._execute(
        "UPDATE outbox_delivery SET next_attempt_at = created FROM outbox_message AS m WHERE m.id = outbox_delivery.id"
    )
    world.eventually(lambda: world.rows("outbox_delivery", status="pending"), [], seconds=20)
    ids = [
        row["message_id"] for row in sorted(world.rows("outbox_message", customer_id=ada), key=lambda row: row["id"])
    ]
    assert [message for message, body in receiver.taken if body["data"]["customerId"] == ada] == ids


def test_an_operator_sees_a_dead_letter_and_delivers_it_again(both, tmp_path):
    world, receiver = both
    receiver.status = 500
    ada = customer(world, "ada")
    bill(world, ada)
    world.eventually(lambda: world.rows("outbox_delivery", customer_id=ada))
    world._execute("UPDATE outbox_delivery SET attempts = 17, next_attempt_at = '2020-01-01'")
    world.eventually(lambda: {row["status"] for row in world.rows("outbox_delivery", customer_id=ada)}, {"dead"})
    receiver.status = 200

    def gateway(*words):
        done = run("outbox", *words, cwd=tmp_path, DATABASE_URL=world.settings.database_url.get_secret_value())
        assert done.returncode == 0, done.stdout
        return done.stdout

    assert "invoice.paid" in gateway("list", "--dead")
    assert "are due now" in gateway("retry", "--dead")
    world.eventually(lambda: "invoice.paid" in receiver.types(ada))
    assert "no messages" in gateway("list", "--dead")
    for outcome in ("dead", "delivered"):
        world.eventually(lambda counted=("gateway_outbox_total", ("outcome", outcome)): counted in world.metrics())


def test_a_change_that_is_rolled_back_is_not_told(both):
    world, receiver = both
    ada = customer(world, "ada")
    invoice = world.stripe("GET", f"/v1/invoices/{bill(world, ada)['id']}")
    world.eventually(lambda: receiver.types(ada).count("invoice.paid") == 1)
    with world.renamed("credit_lot", "away"):  # so that the transaction fails behind the message
        answer = world.deliver(world.event("invoice.paid", {**invoice, "id": "in_other"}))
    assert answer.status_code == 503
    assert [row["payload"] for row in world.rows("outbox_message") if "in_other" in row["payload"]] == []


def test_two_gateways_share_the_work_and_tell_nothing_twice(both):
    world, receiver = both
    listener, _ = listening()
    with serve(create_app(Settings.model_copy(world.settings)), listener):
        ada = customer(world, "ada")
        for _ in range(4):
            bill(world, ada, credits=1)
        world.eventually(lambda: receiver.types(ada).count("credits.granted") == 4)
        world.eventually(lambda: world.rows("outbox_delivery", status="pending"), [])
    messages = [message for message, _ in receiver.taken]
    assert len(messages) == len(set(messages))


def quiet(world):
    """Wait until nothing is left to look at or to tell."""
    world.eventually(lambda: world.rows("event", status="pending"), [])
    world.eventually(lambda: [row for row in world.rows("access_watch") if due(row)], [])
    world.eventually(lambda: world.rows("outbox_delivery", status="pending"), [])


def due(row):
    return row["check_at"] and moment(row["check_at"]) <= datetime.now(UTC)


def moment(value):
    return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)


@both_databases
def test_access_that_begins_is_told_once_however_often_its_events_come(both):
    world, receiver = both
    ada = customer(world, "ada")
    made = subscribe(world, ada)
    world.eventually(lambda: receiver.decisions(ada), [(True, "ACTIVE")])
    (data,) = [body["data"] for _, body in receiver.taken if body["type"] == "access.changed"]
    assert data == {
        "customerId": ada,
        "externalId": "ada",
        "allowed": True,
        "reason": "ACTIVE",
        "until": datetime.fromtimestamp(made["items"]["data"][0]["current_period_end"], UTC).isoformat(),
        "subscriptionId": made["id"],
    }
    for event in world.stripe("GET", "/v1/events", limit=100)["data"]:
        assert world.deliver({**event, "id": f"{event['id']}_again"}).status_code == 200
    world.stripe("POST", f"/v1/subscriptions/{made['id']}", **{"metadata[color]": "red"})
    world.eventually(lambda: "red" in str(world.rows("subscription", id=made["id"])))
    quiet(world)
    assert receiver.decisions(ada) == [(True, "ACTIVE")]


def test_a_paid_subscription_that_is_canceled_at_once_keeps_access_to_the_end_of_what_was_paid_and_says_so(both):
    world, receiver = both
    ada = customer(world, "ada")
    made = subscribe(world, ada)
    world.eventually(lambda: receiver.decisions(ada), [(True, "ACTIVE")])
    world.stripe("DELETE", f"/v1/subscriptions/{made['id']}")
    world.eventually(lambda: receiver.decisions(ada), [(True, "ACTIVE"), (True, "CANCELED")])
    world.stripe("DELETE", f"/v1/customers/{ada}")
    world.eventually(lambda: receiver.decisions(ada)[2:], [(False, "NO_SUBSCRIPTION")])


@postgres_later
def test_a_subscription_that_is_canceled_with_nothing_paid_ends_access_at_once(database_url):
    month_ago = int(time.time()) - 33 * 86_400
    with listening_application(database_url, clock=month_ago) as (world, receiver):
        ada = customer(world, "ada")
        made = subscribe(world, ada)
        decline_from_now_on(world, ada, made["id"])
        world.advance(to=int(time.time()))  # the renewal has failed, and its grace period goes on
        world.eventually(lambda: receiver.decisions(ada)[-1:], [(True, "GRACE_PERIOD")])
        world.stripe("DELETE", f"/v1/subscriptions/{made['id']}")
        world.eventually(lambda: receiver.decisions(ada)[-1:], [(False, "CANCELED")])
        quiet(world)
        assert [allowed for allowed, _ in receiver.decisions(ada)].count(False) == 1


HOUR = 3600


def fail_the_renewal(world, made, *, grace_ends):
    """Have the gateway told that a subscription is past due, with a grace period that ends at a moment of ours: the
    gateway lives in the offline Stripe's time.
    """
    invoice = world.stripe("GET", f"/v1/invoices/{made['latest_invoice']}")
    invoice |= {"id": "in_renewal", "status": "open", "attempt_count": 1, "amount_paid": 0}
    world.deliver(world.event("invoice.payment_failed", invoice, created=grace_ends - 7 * 86_400))
    late = int(time.time()) + 1  # surely after what Stripe has told of it
    world.deliver(world.event("customer.subscription.updated", {**made, "status": "past_due"}, created=late))


@both_databases
def test_a_grace_period_that_ends_is_told_once_by_one_of_two_gateways_though_nothing_happens(both):
    world, receiver = both
    ada = customer(world, "ada")
    made = subscribe(world, ada)
    world.eventually(lambda: receiver.decisions(ada), [(True, "ACTIVE")])
    with world.twin():
        ends = int(time.time()) + HOUR
        fail_the_renewal(world, made, grace_ends=ends)
        world.eventually(lambda: receiver.decisions(ada)[1:], [(True, "GRACE_PERIOD")])
        quiet(world)
        assert receiver.decisions(ada)[1:] == [(True, "GRACE_PERIOD")]
        world.advance(to=ends)
        world.eventually(lambda: receiver.decisions(ada)[2:], [(False, "PAST_DUE")], seconds=20)
        quiet(world)
    assert receiver.decisions(ada)[1:] == [(True, "GRACE_PERIOD"), (False, "PAST_DUE")]


@both_databases
def test_two_gateways_that_look_at_many_customers_at_once_tell_each_change_once(both):
    world, _ = both
    ids = [f"cus_{place:03}" for place in range(300)]
    rows = ", ".join(f"('{each}', 'ACTIVE', '2020-01-01')" for each in ids)
    with world.twin():
        world._execute(f"INSERT INTO access_watch (customer_id, last_notified, check_at) VALUES {rows}")  # noqa: S608 - our own
        notified = lambda: [row["customer_id"] for row in world.rows("outbox_message", type="access.changed")]  # noqa: E731
        world.eventually(lambda: len(notified()) >= len(ids), seconds=30)  # a claimed row is not due, and not told yet
    assert sorted(row["customer_id"] for row in world.rows("outbox_message", type="access.changed")) == ids


@postgres_later
def test_who_was_there_before_the_endpoint_is_remembered_in_silence_and_told_of_when_time_ends_access(database_url):
    with make_world(database_url) as before:
        ada, bob = customer(before, "ada"), customer(before, "bob")
        subscribe(before, bob)
        made = subscribe(before, ada)
        assert before.rows("access_watch") == []  # nobody is told, so nothing is kept
        ends = int(time.time()) + HOUR
        fail_the_renewal(before, made, grace_ends=ends)
        agrees(before, "subscription", {**made, "status": "past_due"})
    with listening_application(database_url, fill=False) as (world, receiver):
        world.eventually(lambda: [row for row in world.rows("access_watch") if row["last_notified"] is None], [])
        world.eventually(lambda: len(world.rows("access_watch")), 2)
        assert receiver.taken == []
        world.advance(to=ends)
        world.eventually(lambda: receiver.decisions(ada), [(False, "PAST_DUE")], seconds=20)
        assert receiver.decisions(bob) == []


@pytest.mark.parametrize(
    "value",
    [
        *("https://a.example/hook", "ftp://a.example whsec_x", "https://a.example whsec_short"),
        f"https://a.example/hook {OLD}, https://a.example/hook {OLD}",  # as if to rotate
    ],
)
def test_an_endpoint_without_a_good_secret_or_named_twice_stops_the_start(value):
    with pytest.raises(SettingsError, match="GATEWAY_OUTBOUND_ENDPOINTS"):
        Settings.load(outbound_endpoints=value)


def test_a_body_that_was_changed_on_its_way_is_refused_by_the_library():
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(
            b"{}", {"webhook-id": "msg_1", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
        )
