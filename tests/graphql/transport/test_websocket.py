"""Live updates: what changes is told, wherever its webhook arrived, to those whose it is and to nobody else."""

import contextlib
import logging
import time

import pytest
import sqlalchemy as sa
from graphql import build_schema

from gateway.graphql.base.authorization import FIELD_ACCESS, FieldAccess
from gateway.graphql.schema import sdl
from harness.checkout import opened, pay
from harness.databases import both_databases
from harness.gateway import SERVICE
from harness.sockets import opened as connected
from harness.sockets import sibling, signed_in
from harness.subscriptions import customer, subscribe

SESSION = """subscription($id: ID!) { sessionUpdated(id: $id) {
  status paymentStatus customerEmail subscription { status } } }"""
VIEWER = """subscription { viewerUpdated {
  id customer { id } subscription { status willCancel } paymentMethod { last4 } } }"""
STATUS = "subscription($id: ID!) { sessionUpdated(id: $id) { status } }"
QUIET_SECONDS = 0.7


def until(socket, wanted):
    """The answers up to the one that is wanted."""
    seen = [socket.next()]
    while not wanted(seen[-1]):
        seen.append(socket.next())
    return seen


def is_quiet(socket):
    with pytest.raises(TimeoutError):
        socket.receive(QUIET_SECONDS)
    return True


@both_databases
def test_a_checkout_is_followed_from_open_to_paid_on_whichever_process_its_webhook_arrives(world):
    ada = world.sign_in("ada@example.com")
    session = opened(world, ada, "starter_monthly")
    with world.twin() as other, signed_in(other, ada) as there, signed_in(world, ada) as here:
        for socket in (there, here):
            socket.subscribe(SESSION, {"id": session["id"]})
            assert socket.next()["sessionUpdated"] == {
                "status": "OPEN",
                "paymentStatus": "UNPAID",
                "customerEmail": "ada@example.com",  # a session of a known customer has it from the start
                "subscription": None,
            }
        pay(world, session)
        for socket in (there, here):
            *_, last = until(
                socket, lambda data: (data["sessionUpdated"]["subscription"] or {}).get("status") == "ACTIVE"
            )
            assert last["sessionUpdated"] == {
                "status": "COMPLETE",
                "paymentStatus": "PAID",
                "customerEmail": "ada@example.com",
                "subscription": {"status": "ACTIVE"},
            }
        (row,) = world.rows("subscription")
        world.stripe("DELETE", f"/v1/subscriptions/{row['id']}")
        for socket in (there, here):
            until(socket, lambda data: data["sessionUpdated"]["subscription"] == {"status": "CANCELED"})


@both_databases
def test_a_user_who_has_bought_nothing_yet_is_told_of_the_first_purchase_and_of_every_change(world):
    with world.twin() as other, signed_in(other, world.token("user_new")) as socket:
        socket.subscribe(VIEWER)
        nobody_yet = {"id": "user_new", "customer": None, "subscription": None, "paymentMethod": None}
        assert socket.next()["viewerUpdated"] == nobody_yet
        its = customer(world, "user_new")
        until(socket, lambda data: data["viewerUpdated"]["customer"] == {"id": its})
        bought = subscribe(world, its)
        until(socket, lambda data: data["viewerUpdated"]["subscription"] == {"status": "ACTIVE", "willCancel": False})
        world.stripe("POST", f"/v1/subscriptions/{bought['id']}", cancel_at_period_end="true")
        until(socket, lambda data: data["viewerUpdated"]["subscription"]["willCancel"])
        world.stripe("DELETE", f"/v1/subscriptions/{bought['id']}")
        until(socket, lambda data: data["viewerUpdated"]["subscription"]["status"] == "CANCELED")


def test_the_first_message_is_what_stripe_says_and_only_what_differs_is_told_again(world):
    """The webhooks do not come: whoever is back from Stripe sees the truth all the same, and no news twice."""
    session = opened(world, None, "starter_monthly")
    world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
    pay(world, session)
    asked = {"id": session["id"]}
    with signed_in(world) as socket:
        socket.subscribe(STATUS, asked)
        assert socket.next() == {"sessionUpdated": {"status": "COMPLETE"}}
        paid = world.stripe("GET", f"/v1/checkout/sessions/{session['id']}")
        later = world.event("checkout.session.completed", paid, created=int(time.time()) + 5)
        assert world.deliver(later).status_code == 200
        world.eventually(lambda: world.status_of(later), "applied")
        assert is_quiet(socket)


def stripe_calls(world):
    """How often the gateway has called Stripe."""
    lines = world.client.get(f"{world.url}/metrics").text.splitlines()
    return [line for line in lines if line.startswith("gateway_stripe_calls_total")]


def test_only_the_first_message_may_wait_for_stripe(shop):
    """What is pushed is read from the mirror: a Stripe that hangs must not hold up what others hear."""
    session = opened(shop, None, "starter_monthly")
    with signed_in(shop) as socket:
        socket.subscribe(STATUS, {"id": session["id"]})
        assert socket.next()["sessionUpdated"]["status"] == "OPEN"
        before = stripe_calls(shop)
        time.sleep(1.1)  # for a second one reading of Stripe serves all who ask
        over = shop.stripe("GET", f"/v1/checkout/sessions/{session['id']}") | {"status": "expired"}
        later = shop.event("checkout.session.expired", over, created=int(time.time()) + 5)  # needs nothing fetched
        assert shop.deliver(later).status_code == 200
        assert socket.next()["sessionUpdated"]["status"] == "EXPIRED"
        assert stripe_calls(shop) == before


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres_url"], indirect=True)
def test_what_changes_while_the_first_message_is_being_read_is_told_after_it(world):
    """A lock holds the reading where the subscription is read already and the payment methods are not."""
    ada = world.token("user_ada")
    bought = subscribe(world, customer(world, "user_ada"))
    with signed_in(world, ada) as socket:
        with locked(world, "payment_method"):
            socket.subscribe(VIEWER)
            world.eventually(lambda: waiting(world))
            paused = world.stripe("GET", f"/v1/subscriptions/{bought['id']}") | {"cancel_at_period_end": True}
            changed = world.event("customer.subscription.updated", paused, created=int(time.time()) + 5)
            assert world.deliver(changed).status_code == 200
            world.eventually(lambda: world.status_of(changed), "applied")
        first = socket.next()["viewerUpdated"]
        assert first["subscription"]["willCancel"] is False, "it was read before"
        assert socket.next()["viewerUpdated"]["subscription"]["willCancel"] is True


@contextlib.contextmanager
def locked(world, table):
    """Hold off whoever reads a table."""
    url = sa.make_url(world.settings.database_url.get_secret_value()).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


def waiting(world):
    """Whether anybody waits for a lock in this database."""
    here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    return world._execute(f"SELECT count(*) FROM pg_locks WHERE NOT granted AND {here}").scalar()  # noqa: S608


def test_who_may_not_ask_is_told_so_as_everywhere(shop):
    fields = build_schema(sdl()).subscription_type.fields
    assert set(fields) == {"sessionUpdated", "viewerUpdated"}, "a new one is to be tried here"
    assert FIELD_ACCESS["Subscription.viewerUpdated"] is FieldAccess.USER
    hers = opened(shop, shop.token("user_ada"), "starter_monthly")["id"]
    ids = {"hers": hers, "absent": hers[:-8] + "00000000", "odd": "price_x"}
    callers = {"nobody": None, "ada": shop.token("user_ada"), "grace": shop.token("user_grace"), "service": SERVICE}
    heard = {who: dict(tried(shop, headers, ids)) for who, headers in callers.items()}
    nothing = {"hers": "NOT_FOUND", "absent": "NOT_FOUND", "odd": "NOT_FOUND"}
    assert heard == {
        "nobody": {**nothing, "viewer": "UNAUTHENTICATED"},
        "ada": {**nothing, "hers": "OPEN", "viewer": "user_ada"},
        "grace": {**nothing, "viewer": "user_grace"},
        "service": {**nothing, "hers": "OPEN", "viewer": "FORBIDDEN"},
    }


def tried(world, headers, ids):
    """What one caller is told of some checkouts, and of the own account."""
    with signed_in(world, headers) as socket:
        for what, named in ids.items():
            socket.subscribe(STATUS, {"id": named}, what)
            yield what, value_or_error(socket.receive(), lambda data: data["sessionUpdated"]["status"])
        socket.subscribe("subscription { viewerUpdated { id } }", id="viewer")
        yield "viewer", value_or_error(socket.receive(), lambda data: data["viewerUpdated"]["id"])


def value_or_error(message, value):
    payload = message["payload"]
    return payload[0]["extensions"]["code"] if message["type"] == "error" else value(payload["data"])


def test_a_checkout_that_becomes_anothers_is_no_longer_told(shop):
    """The guard holds for every message, not only for the first."""
    session = opened(shop, shop.token("user_before"), "starter_monthly")["id"]
    with signed_in(shop, shop.token("user_before")) as socket:
        socket.subscribe(STATUS, {"id": session})
        assert socket.next()["sessionUpdated"]["status"] == "OPEN"
        for table in ("checkout_session", "customer"):
            shop._execute(f"UPDATE {table} SET external_id = 'user_after' WHERE external_id = 'user_before'")  # noqa: S608
        shop.stripe("POST", f"/v1/checkout/sessions/{session}/expire")
        assert socket.error()["extensions"]["code"] == "NOT_FOUND"


def test_a_live_update_never_asks_stripe_for_a_preview(shop):
    bought = subscribe(shop, customer(shop, "user_curious"))
    preview = 'viewerUpdated { previewChange(subscriptionId: "%s", priceId: "%s") { dueNow { amount } } }'
    price = bought["items"]["data"][0]["price"]["id"]
    with signed_in(shop, shop.token("user_curious")) as socket:
        socket.subscribe(f"subscription {{ {preview % (bought['id'], price)} }}")
        assert socket.error()["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_subscriber_who_has_ended_one_hears_of_the_others_alone(shop):
    ada = shop.token("user_ends")
    session = opened(shop, ada, "starter_monthly")
    with signed_in(shop, ada) as socket:
        for name in ("kept", "ended"):
            socket.subscribe(STATUS, {"id": session["id"]}, name)
            socket.next(name)
        socket.send({"type": "complete", "id": "ended"})
        pay(shop, session)
        assert socket.next("kept") == {"sessionUpdated": {"status": "COMPLETE"}}
        assert is_quiet(socket)


def test_a_mutation_is_finished_though_its_client_has_gone(shop):
    """As over HTTP: what Stripe has been asked for is also written down."""
    wanted = {"lineItems": [{"lookupKey": "starter_monthly"}], "successUrl": "https://shop.example/paid"}
    mutation = "mutation($i: CreateCheckoutSessionInput!) { createCheckoutSession(input: $i) { session { id } } }"
    with signed_in(shop, shop.token("user_leaves")) as socket:
        socket.subscribe(mutation, {"i": wanted})
        socket.send({"type": "complete", "id": "1"})
        socket.connection.close()
    shop.eventually(lambda: shop.rows("checkout_session", external_id="user_leaves", status="open"))


def test_at_a_shutdown_every_connection_is_closed_at_once_and_nothing_is_an_error(shop, caplog):
    caplog.set_level(logging.INFO)
    ada = shop.token("user_stays")
    with contextlib.ExitStack() as stack:
        clients = []
        with sibling(shop) as other:
            for _ in range(20):
                socket = stack.enter_context(signed_in(other, ada))
                socket.subscribe(VIEWER)
                socket.next()
                clients.append(socket)
            clients.append(stack.enter_context(connected(other)))
            began = time.monotonic()
        assert time.monotonic() - began < 2
        # "service restart" (IANA): the code by which uvicorn bids clients come back
        assert {client.closed()[0] for client in clients} == {1012}
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
