"""`POST /webhooks/stripe`: only genuine events come in, each once, and none is lost."""

import hashlib
import hmac
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import stripe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.errors import WebhookRefused
from gateway.settings.values import WebhookSecret
from gateway.webhooks.signature import verify
from harness.databases import both_databases
from harness.gateway import SECRET, make_world

NAME = "query($id: ID!) { product(id: $id) { name active } }"


def a_product(world):
    """A product that Stripe and the mirror know, as Stripe shows it, and a moment that is surely later."""
    product = world.stripe("GET", "/v1/products", limit=1)["data"][0]
    return product, int(time.time()) + 10


def name_of(world, product):
    return world.data(NAME, {"id": product["id"]})["product"]["name"]


def sold(world, product):
    return world.data(NAME, {"id": product["id"]})["product"]["active"]


@both_databases
def test_a_signed_event_changes_what_graphql_says_and_the_same_event_again_changes_nothing(world):
    product, later = a_product(world)
    event = world.event("product.updated", {**product, "name": "Renamed"}, created=later)

    first = world.deliver(event)
    assert (first.status_code, first.json()) == (200, {"received": True, "duplicate": False})
    assert name_of(world, product) == "Renamed"
    version = world.rows("catalog_version")[0]["version"]

    second = world.deliver(event)
    assert (second.status_code, second.json()) == (200, {"received": True, "duplicate": True})
    assert world.rows("catalog_version")[0]["version"] == version
    assert world.status_of(event) == "applied"


@both_databases
def test_of_twenty_copies_that_arrive_at_the_same_instant_one_is_new(world):
    product, later = a_product(world)
    event = world.event("product.updated", {**product, "name": "Once"}, created=later)
    version = world.rows("catalog_version")[0]["version"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: world.deliver(event), range(20)))

    assert [answer.status_code for answer in answers] == [200] * 20
    assert sum(not answer.json()["duplicate"] for answer in answers) == 1
    assert world.rows("catalog_version")[0]["version"] == version + 1


@both_databases
def test_an_older_event_that_arrives_late_is_kept_and_changes_nothing(world):
    product, later = a_product(world)
    world.deliver(world.event("product.updated", {**product, "name": "New"}, created=later + 5))
    late = world.event("product.updated", {**product, "name": "Old"}, created=later)

    assert world.deliver(late).status_code == 200
    assert name_of(world, product) == "New"
    assert world.status_of(late) == "stale"


@both_databases
def test_of_two_events_in_one_second_neither_is_believed_and_stripe_is_asked(world):
    product, later = a_product(world)
    world.deliver(world.event("product.updated", {**product, "name": "One"}, created=later))
    tied = world.event("product.updated", {**product, "name": "Other"}, created=later)

    assert world.deliver(tied).status_code == 200
    world.eventually(lambda: name_of(world, product), product["name"])
    world.eventually(lambda: world.status_of(tied), "applied")


@both_databases
def test_a_deletion_is_final_whatever_comes_after_it(world):
    ada = world.stripe("POST", "/v1/customers", name="Ada")
    world.eventually(lambda: world.rows("customer", id=ada["id"]))
    later = int(time.time()) + 60
    world.deliver(world.event("customer.deleted", ada, created=later))
    resurrection = world.event("customer.updated", {**ada, "name": "Back"}, created=later + 60)
    assert world.deliver(resurrection).status_code == 200
    (row,) = world.rows("customer", id=ada["id"])
    assert (row["deleted"], row["name"], world.status_of(resurrection)) == (True, "Ada", "stale")


def test_whether_a_product_is_there_again_under_the_id_of_a_deleted_one_stripe_is_asked(world):
    product, later = a_product(world)
    gone = {**product, "id": "prod_gone"}
    for each in (product, gone):
        world.deliver(world.event("product.deleted", each, created=later))
    assert sold(world, product) is False
    again = [world.event("product.updated", {**each, "name": "Back"}, created=later + 60) for each in (product, gone)]
    for event in again:
        assert world.deliver(event).status_code == 200
    world.eventually(lambda: {world.status_of(event) for event in again}, {"applied"})
    assert (name_of(world, product), world.rows("product", id="prod_gone")[0]["deleted"]) == (product["name"], True)


def test_a_deletion_that_overtakes_the_creation_stays_a_deletion(world):
    product, later = a_product(world)
    unknown = {**product, "id": "prod_never_seen"}
    world.deliver(world.event("product.deleted", unknown, created=later + 1))
    world.deliver(world.event("product.created", unknown, created=later))

    assert sold(world, unknown) is False


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_whatever_the_order_and_the_duplicates_the_last_state_wins(world, data):
    product, later = a_product(world)
    fresh = {**product, "id": f"prod_{data.draw(st.uuids()).hex}"}
    history = [
        world.event(
            "product.created" if step == 0 else "product.updated", {**fresh, "name": f"v{step}"}, created=later + step
        )
        for step in range(5)
    ]
    arrivals = data.draw(st.permutations(history)) + data.draw(st.lists(st.sampled_from(history), max_size=5))

    for event in arrivals:
        assert world.deliver(event).status_code == 200

    assert name_of(world, fresh) == "v4"


@both_databases
def test_a_poisoned_event_is_kept_and_takes_no_neighbour_along(world):
    product, later = a_product(world)
    # not to be read, nor to be fetched: Stripe has no such address
    poisoned = world.event("product.updated", {**product, "id": "prod/none", "name": {"not": "a name"}}, created=later)
    other = world.stripe("GET", "/v1/products", limit=2)["data"][1]
    healthy = [world.event("product.updated", {**other, "name": f"n{n}"}, created=later + n) for n in range(5)]
    quoted = [  # what is told of them quotes what no text of PostgreSQL holds
        world.event("product.updated", {**product, "object": "space\0ship"}),
        world.event("refund.created", {"object": "refund", "id": "re_1", "charge": "ch\0"}),
    ]
    everything = [healthy[0], poisoned, *quoted, *healthy[1:]]

    with ThreadPoolExecutor(len(everything)) as pool:
        answers = list(pool.map(world.deliver, everything))

    assert [answer.status_code for answer in answers] == [200] * len(everything)
    assert name_of(world, other) == "n4"
    world.eventually(lambda: world.status_of(poisoned), "failed")
    row = world.rows("event", id=poisoned["id"])[0]
    assert row["attempts"] >= 1
    assert row["last_error"]


def test_an_unknown_type_is_recorded_as_ignored_and_answered_200(world):
    event = world.event("brand.new_thing", {"object": "thing", "id": "thing_1"})
    assert world.deliver(event).status_code == 200
    assert world.status_of(event) == "ignored"


def test_a_known_type_with_a_foreign_object_is_ignored_not_failed(world):
    event = world.event("product.updated", {"object": "spaceship", "id": "ship_1"})
    assert world.deliver(event).status_code == 200
    assert world.status_of(event) == "ignored"


def test_a_payload_that_cannot_be_read_is_fetched_instead(world):
    product, later = a_product(world)
    torn = {"object": "product", "id": product["id"], "name": "Torn"}
    for each in (torn, {**product, "name": "Torn", "metadata": None}, {**product, "name": "Torn", "metadata": "none"}):
        event = world.event("product.updated", each, created=later)
        assert world.deliver(event).status_code == 200
        world.eventually(lambda event=event: world.status_of(event), "applied")
    assert name_of(world, product) == product["name"]


MALFORMED = {
    "no JSON": (b"not json", "body_not_json"),
    "an empty body": (b"", "body_not_json"),
    "a list": (b"[]", "not_an_event"),
    "null": (b"null", "not_an_event"),
    "an empty object": (b"{}", "not_an_event"),
    "a number": (b"1", "not_an_event"),
    "an id that is none": (
        b'{"id": 5, "object": "event", "type": "a.b", "created": 1, "data": {"object": {}}}',
        "not_an_event",
    ),
    "an id with a NUL": (
        b'{"id": "evt_\\u0000", "object": "event", "type": "a.b", "created": 1, "data": {"object": {}}}',
        "not_an_event",
    ),
    "no data": (b'{"id": "evt_1", "object": "event", "type": "a.b", "created": 1}', "not_an_event"),
    "data that is a list": (
        b'{"id": "evt_1", "object": "event", "type": "a.b", "created": 1, "data": []}',
        "not_an_event",
    ),
    "a created in words": (
        b'{"id": "evt_1", "object": "event", "type": "a.b", "created": "now", "data": {"object": {}}}',
        "not_an_event",
    ),
    "a created beyond time": (
        b'{"id": "evt_1", "object": "event", "type": "a.b", "created": 99999999999999999, "data": {"object": {}}}',
        "not_an_event",
    ),
    "a lone surrogate": (b'{"id": "evt_\\ud800"}', "body_not_json"),
    "bad UTF-8": (b'{"id": "\xff"}', "body_not_utf8"),
    "JSON 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "body_not_json"),
}


@pytest.fixture(scope="module")
def quiet_world(new_sqlite):
    """A world whose state these tests do not change."""
    with make_world(new_sqlite(), fill=False) as made:
        yield made


@pytest.mark.parametrize(("body", "code"), list(MALFORMED.values()), ids=list(MALFORMED))
def test_a_signed_body_that_is_no_event_is_a_400_with_its_code(quiet_world, body, code):
    answer = quiet_world.deliver(body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


HEADERS = {
    "none": (None, "signature_missing"),
    "empty": ("", "signature_missing"),
    "nonsense": ("nonsense", "signature_invalid"),
    "only commas": (",,,,", "signature_invalid"),
    "no time": ("v1=abc", "signature_invalid"),
    "a time in words": ("t=now,v1=abc", "signature_invalid"),
    "a wrong signature": ("t=1,v1=abc", "signature_invalid"),
    "not ASCII": ("t=1,v1=\xe9", "signature_malformed"),
    "a huge number": ("t=" + "9" * 5000 + ",v1=abc", "signature_invalid"),
}


@pytest.mark.parametrize(("header", "code"), list(HEADERS.values()), ids=list(HEADERS))
def test_a_header_that_proves_nothing_is_a_400_with_its_code(quiet_world, header, code):
    headers = {} if header is None else {"Stripe-Signature": header.encode("latin-1")}
    answer = quiet_world.client.post(f"{quiet_world.url}/webhooks/stripe", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


EVENT = b'{"id": "evt_1", "object": "event", "type": "a.b", "created": 1, "data": {"object": {"name": "J\xc3\xb6rg"}}}'
NOW = int(time.time())
SECRETS = [WebhookSecret("other", SecretStr("whsec_x")), WebhookSecret("this", SecretStr(SECRET))]


def signature_of(stamp):
    return hmac.new(SECRET.encode(), b"%d." % stamp + EVENT, hashlib.sha256).hexdigest()


STAMPS = st.sampled_from(
    [f"{NOW}", f" {NOW}", f"+{NOW}", f"0{NOW}", f"-{NOW}", f"{NOW}.0", "now", "", "1_0", "9" * 5000]
)
GOOD = st.sampled_from([NOW, -NOW, 10]).map(signature_of)
PARTS = st.one_of(
    STAMPS.map("t={}".format),
    GOOD.map("v1={}".format),
    GOOD.flatmap(
        lambda good: st.sampled_from([f"v1={good}=x", f" v1={good}", f"v1 ={good}", f"v0={good}", f"v1={good} "])
    ),
    GOOD.map(lambda good: f"v1={good.upper()}"),
    st.sampled_from(["t", "v1", "v1=", "=", ""]),
    st.text(st.characters(max_codepoint=127), max_size=8),
)


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(PARTS, min_size=1, max_size=5), body=st.sampled_from([EVENT, EVENT, EVENT + b" "]))
def test_the_verdict_on_a_signature_is_that_of_stripes_own_library(parts, body):
    header = ",".join(parts)
    try:
        theirs = stripe.WebhookSignature.verify_header(body.decode(), header, SECRET)
    except stripe.SignatureVerificationError:
        theirs = False
    try:
        ours = bool(verify(body, header, SECRETS))
    except WebhookRefused as refused:
        ours = refused.reason == "timestamp_outside_tolerance"  # which is looked at only when the signature is genuine
    assert ours is theirs


@pytest.mark.parametrize("away", [-301, 310, -(10**9), 10**9])
def test_a_signature_far_from_now_is_refused_in_the_past_and_in_the_future(quiet_world, away):
    answer = quiet_world.deliver(quiet_world.event("a.b", {}), at=int(time.time()) + away)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "timestamp_outside_tolerance")


def test_a_body_larger_than_any_event_is_refused(quiet_world):
    answer = quiet_world.deliver(b"x" * (2 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_during_a_rotation_both_secrets_are_valid_and_a_third_is_not(sqlite_url):
    with make_world(sqlite_url, fill=False, stripe_webhook_secrets=f"old:{SECRET},new:whsec_new") as world:
        event = {"object": "thing", "id": "thing_1"}
        assert world.deliver(world.event("a.b", event), secret=SECRET).status_code == 200
        assert world.deliver(world.event("a.b", event), secret="whsec_new").status_code == 200
        assert world.deliver(world.event("a.b", event), secret="whsec_other").status_code == 400
        metrics = world.client.get(f"{world.url}/metrics").text
        assert 'gateway_webhook_secret_used_total{label="new"}' in metrics


def test_without_a_secret_the_route_is_not_there(sqlite_url):
    with make_world(sqlite_url, fill=False, stripe_webhook_secrets=()) as world:
        for secret in ("", SECRET):
            answer = world.deliver(world.event("a.b", {}), secret=secret)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_configured")


@both_databases
def test_an_event_that_cannot_be_recorded_is_a_503_and_stripe_sends_it_again(database_url):
    with make_world(database_url, fill=False) as world:
        event = world.event("a.b", {"object": "thing", "id": "thing_1"})
        with world.renamed("event", "event_away"):
            answer = world.deliver(event)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_recorded")
            assert int(answer.headers["retry-after"]) > 0
        assert world.deliver(event).json() == {"received": True, "duplicate": False}


@pytest.mark.postgres
def test_connections_that_postgresql_has_ended_meanwhile_cost_no_delivery(postgres_url):
    with make_world(postgres_url, fill=False) as world:
        events = [world.event("a.b", {"object": "thing", "id": f"thing_{n}"}) for n in range(20)]
        with ThreadPoolExecutor(10) as pool:
            assert {answer.status_code for answer in pool.map(world.deliver, events[:10])} == {200}
            with psycopg.connect(postgres_url, autocommit=True) as operator:
                operator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            answers = [answer.json() for answer in pool.map(world.deliver, events[10:])]
        assert answers == [{"received": True, "duplicate": False}] * 10
        assert len(world.rows("event")) == 20


BEFORE_BASIL = {
    "object": "subscription",
    "status": "active",
    "currency": "usd",
    "cancel_at_period_end": True,
    "cancel_at": None,
    "canceled_at": None,
    "ended_at": None,
    "trial_start": None,
    "trial_end": None,
    "default_payment_method": "pm_1",
    "latest_invoice": "in_1",
    "metadata": {},
    "created": 1_700_000_000,
    "start_date": 1_700_000_000,
    "current_period_start": 1_700_000_000,
    "current_period_end": 1_702_592_000,
    "plan": {"id": "price_1"},
    "quantity": 2,
}


def test_a_subscription_in_the_shape_from_before_basil_is_read_from_its_top_level_period(world):
    item = {"id": "si_old", "price": {"id": "price_1", "product": "prod_1"}, "quantity": 2, "created": 1_700_000_000}
    old = {**BEFORE_BASIL, "id": "sub_old", "customer": "cus_1", "items": {"data": [item], "has_more": False}}
    event = world.event("customer.subscription.updated", old, api_version="2024-06-20")

    assert world.deliver(event).status_code == 200
    assert world.status_of(event) == "applied"
    (row,) = world.rows("subscription_item", subscription_id="sub_old")
    assert (row["price_id"], row["quantity"]) == ("price_1", 2)
    assert str(row["current_period_end"]).startswith("2023-12-14 22:13:20")


def test_a_canceled_subscription_never_comes_back(world):
    item = {"id": "si_gone", "price": {"id": "price_1", "product": "prod_1"}, "quantity": 1, "created": 1_700_000_000}
    gone = {**BEFORE_BASIL, "id": "sub_gone", "customer": "cus_1", "items": {"data": [item], "has_more": False}}
    now = int(time.time())
    world.deliver(world.event("customer.subscription.deleted", {**gone, "status": "canceled"}, created=now))
    for offset, kind in itertools.product(
        (-5, 0, 5), ("customer.subscription.updated", "customer.subscription.created")
    ):
        assert world.deliver(world.event(kind, gone, created=now + offset)).status_code == 200

    assert world.rows("subscription", id="sub_gone")[0]["status"] == "canceled"


@both_databases
def test_a_plan_makes_a_new_row_although_it_does_not_speak_of_every_column_of_a_price(world):
    product, later = a_product(world)
    plan = {
        "object": "plan",
        "id": "price_of_a_plan",
        "product": product["id"],
        "nickname": None,
        "active": True,
        "currency": "usd",
        "amount": 500,
        "billing_scheme": "per_unit",
        "interval": "week",
        "interval_count": 1,
        "usage_type": "licensed",
        "metadata": {},
        "created": later,
    }
    assert world.deliver(world.event("plan.created", plan, created=later)).status_code == 200
    (row,) = world.rows("price", id="price_of_a_plan")
    assert (row["interval"], bool(row["custom_unit_amount"])) == ("week", False)
