"""Usage: what was reported reaches Stripe once, whatever happens on the way, and is read back for the period."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from gateway.stripe_api.client import StripeResponse
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.worker import Worker
from harness.checkout import opened
from harness.databases import both_databases, postgres_later, runtime_at
from harness.gateway import SERVICE, make_world
from harness.subscriptions import customer

DAY = timedelta(days=1, minutes=1)
REPORT = """mutation($input: ReportUsageInput!) { reportUsage(input: $input) {
    identifiers userErrors { code field } } }"""
USAGE = "{ viewer { usage(eventName: %s) { eventName value periodStart periodEnd } } }"


def report(world, identifier: str, value: int = 1, **more):
    wanted = {"externalId": "ada", "eventName": "api_calls", "identifier": identifier, "value": value, **more}
    return world.data(REPORT, {"input": wanted}, SERVICE)["reportUsage"]


def counted(world, customer_id: str) -> int:
    """What Stripe has counted today and yesterday."""
    (meter,) = world.stripe("GET", "/v1/billing/meters")["data"]
    now = int(datetime.now(UTC).timestamp()) // 60 * 60
    times = {"start_time": now - 2 * 86_400, "end_time": now + 120, "customer": customer_id}
    (summary,) = world.stripe("GET", f"/v1/billing/meters/{meter['id']}/event_summaries", **times)["data"]
    return int(summary["aggregated_value"])


@pytest.fixture
def ada(world):
    return customer(world, "ada")


@both_databases
def test_usage_reaches_stripe_once_however_often_it_is_reported(world, ada):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda place: report(world, f"call-{place % 10}", value=3), range(30)))
    assert all(answer["userErrors"] == [] for answer in answers)
    world.eventually(lambda: {row["status"] for row in world.rows("usage_record")}, {"sent"})
    assert counted(world, ada) == 30
    other = report(world, "call-1", value=4)
    assert other == {"identifiers": [], "userErrors": [{"code": "IDEMPOTENCY_KEY_REUSED", "field": "identifier"}]}


@postgres_later
def test_an_outage_of_stripe_loses_nothing_and_doubles_nothing(world, ada):
    chaos = f"{world.stripe_url}/_sandbox/chaos"
    world.client.post(chaos, json={"rate_limit": -1})
    for place in range(5):
        assert report(world, f"call-{place}")["userErrors"] == []
    world.eventually(lambda: any(row["attempts"] and row["last_error"] for row in world.rows("usage_record")))
    assert world.data(USAGE % '"api_calls"', headers=world.token("ada"))["viewer"]["usage"]["value"] == 5
    world.client.post(chaos, json={"rate_limit": 0})
    world.eventually(lambda: {row["status"] for row in world.rows("usage_record")}, {"sent"}, seconds=30)
    assert counted(world, ada) == 5


ADJUST = """mutation($input: AdjustUsageInput!) { adjustUsage(input: $input) {
    identifier userErrors { code field } } }"""
MODEL = """{ viewer { all: usage(eventName: "api_calls") { value }
    big: usage(eventName: "api_calls", properties: [{key: "model", value: "big"}]) { value } } }"""


@both_databases
def test_a_thousand_reports_at_once_have_properties_and_can_be_corrected(world, ada):
    def adjusted(**wanted):
        return world.data(ADJUST, {"input": wanted}, SERVICE)["adjustUsage"]

    def seen():
        return {name: usage["value"] for name, usage in world.data(MODEL, headers=world.token("ada"))["viewer"].items()}

    model = [{"key": "model", "value": "big"}]
    records = [{"externalId": "ada", "eventName": "api_calls", "identifier": f"r{n}", "value": 2} for n in range(1_000)]
    records[0] |= {"value": 50, "properties": model}
    assert seen() == {"all": 0, "big": 0}
    for _ in range(2):
        answer = world.data(REPORT, {"input": {"records": records}}, SERVICE)["reportUsage"]
        assert answer == {"identifiers": [each["identifier"] for each in records], "userErrors": []}
    assert seen() == {"all": 2_048, "big": 50}
    wrong = [{**records[0], "identifier": "new"}, {**records[5], "value": 3}, {**records[7], "externalId": "bob"}]
    answer = world.data(REPORT, {"input": {"records": wrong[:2]}}, SERVICE)["reportUsage"]
    assert answer["userErrors"] == [{"code": "IDEMPOTENCY_KEY_REUSED", "field": "records.1.identifier"}]
    answer = world.data(REPORT, {"input": {"records": wrong}}, SERVICE)["reportUsage"]
    assert answer["userErrors"] == [{"code": "NO_CUSTOMER", "field": "records.2.externalId"}]
    assert world.rows("usage_record", id="new") == []
    others = {"identifier": "x"}, {"value": 2}, {"timestamp": "2026-01-31T12:00:00Z"}, {"properties": model}
    beside = ({"records": wrong[:1], **other} for other in others)  # it would be left out of what is billed
    for broken in ({"records": [*records, records[0]]}, {"records": []}, *beside, {}):
        assert world.graphql(REPORT, {"input": broken}, SERVICE).json()["errors"][0]["extensions"]["code"] == (
            "BAD_USER_INPUT"
        )

    instead = adjusted(identifier="r0", value=30)
    assert instead == adjusted(identifier="r0", value=30)
    assert adjusted(identifier="r1") == {"identifier": None, "userErrors": []}
    assert adjusted(identifier="r0")["userErrors"] == [{"code": "IDEMPOTENCY_KEY_REUSED", "field": "identifier"}]
    for identifier in ("nothing", world.rows("usage_record", adjusts="r0")[0]["id"]):
        assert adjusted(identifier=identifier)["userErrors"] == [{"code": "USAGE_NOT_FOUND", "field": "identifier"}]
    assert seen() == {"all": 2_026, "big": 30}
    assert adjusted(identifier=instead["identifier"], value=40)["userErrors"] == []
    assert seen() == {"all": 2_036, "big": 40}

    wanted = {"r0", "r1", instead["identifier"]}

    def cancelled():
        return {event["id"] for event in world.sandbox.store.find("billing.meter_event") if event.get("_canceled")}

    # the rest is like any report, and a thousand of them take a while
    world._execute("UPDATE usage_record SET next_attempt_at = NULL, status = 'sent' WHERE value = 2 AND id <> 'r1'")
    world.eventually(lambda: {row["status"] for row in world.rows("usage_record")}, {"sent"}, seconds=30)
    assert cancelled() == wanted
    (event,) = [each for each in world.sandbox.store.find("billing.meter_event") if each["id"] == "r0"]
    assert event["payload"]["model"] == "big"
    world._execute("UPDATE usage_record SET created = :then WHERE id = 'r2'", {"then": datetime.now(UTC) - DAY})
    assert adjusted(identifier="r2")["userErrors"] == [{"code": "TIMESTAMP_INVALID", "field": "identifier"}]


def test_a_try_whose_answer_was_lost_is_not_counted_again(world, ada):
    sent = {"event_name": "api_calls", "identifier": "call-1"}
    payload = {"payload[stripe_customer_id]": ada, "payload[value]": 7}
    world.stripe("POST", "/v1/billing/meter_events", **sent, **payload)
    assert report(world, "call-1", value=7)["userErrors"] == []
    world.eventually(lambda: [row["status"] for row in world.rows("usage_record")], ["sent"])
    assert counted(world, ada) == 7


def test_a_round_that_fails_is_told_and_the_next_one_sends_what_there_is(world, ada, capsys):
    with world.renamed("usage_record", "usage_away"):
        world.eventually(lambda: re.search(r"queue_waits.* queue=usage", capsys.readouterr().out))
    assert report(world, "call-1")["userErrors"] == []
    world.eventually(lambda: [row["status"] for row in world.rows("usage_record")], ["sent"])


def test_what_stripe_refuses_for_good_waits_for_an_operator_and_is_not_counted(world, ada):
    world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})  # so that the gateway knows it too late
    (meter,) = world.stripe("GET", "/v1/billing/meters")["data"]
    world.stripe("POST", f"/v1/billing/meters/{meter['id']}/deactivate")
    report(world, "call-1")
    (row,) = world.eventually(lambda: world.rows("usage_record", status="dead"))
    assert row["last_error"]
    assert world.data(USAGE % '"api_calls"', headers=world.token("ada"))["viewer"]["usage"]["value"] == 0


@postgres_later
def test_usage_that_stripe_refused_is_sent_once_more_when_the_same_report_comes_again(world, ada):
    world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})  # so that the gateway knows it too late
    (meter,) = world.stripe("GET", "/v1/billing/meters")["data"]
    world.stripe("POST", f"/v1/billing/meters/{meter['id']}/deactivate")
    report(world, "call-1", value=3)
    world.eventually(lambda: world.rows("usage_record", status="dead"))
    world.stripe("POST", f"/v1/billing/meters/{meter['id']}/reactivate")
    other = report(world, "call-1", value=4)
    assert other["userErrors"] == [{"code": "IDEMPOTENCY_KEY_REUSED", "field": "identifier"}]
    assert world.rows("usage_record", status="dead")  # other usage under its name re-opens nothing
    assert report(world, "call-1", value=3)["userErrors"] == []
    world.eventually(lambda: [row["status"] for row in world.rows("usage_record")], ["sent"])
    assert counted(world, ada) == 3


ERRORS = {
    "developer_message_summary": "There is 1 invalid event",
    "reason": {
        "error_count": 3,
        "error_types": [
            {
                "code": "meter_event_customer_not_found",
                "error_count": 3,
                "sample_errors": [{"error_message": "no customer", "request": {"identifier": "call-1"}}],
            }
        ],
    },
}


@pytest.mark.parametrize("kind", ["error_report_triggered", "no_meter_found"])
async def test_usage_that_stripe_took_and_could_not_count_is_marked_and_the_rest_stays(world, ada, kind):
    for number in range(2):
        report(world, f"call-{number}")
    world.eventually(lambda: {row["status"] for row in world.rows("usage_record")}, {"sent"})
    related = {"id": "mtr_1", "type": "billing.meter"} if kind == "error_report_triggered" else None
    notification = {
        "id": f"evt_{kind}",
        "object": "v2.core.event",
        "type": f"v1.billing.meter.{kind}",
        "livemode": False,
        "created": "2026-09-17T06:20:52.246Z",
        "related_object": related,
    }
    asked = []

    class Events:
        """Stripe's answer for an event of its second API, whose delivery holds no data."""

        account, livemode = None, False

        async def get(self, path):
            asked.append(path)
            return StripeResponse({**notification, "data": ERRORS}, 1, 1, replayed=False)

    runtime = runtime_at(world.settings.database_url.get_secret_value())
    inbox = Inbox(runtime.mirror)
    await inbox.record([Delivery(StripeEvent.of(notification))], source="webhook")
    await Worker(inbox, Events()).retry([notification["id"]])
    await runtime.close()

    assert asked == [f"/v2/core/events/evt_{kind}"]
    assert world.status_of(notification) == "applied"
    rows = {row["id"]: (row["status"], row["last_error"]) for row in world.rows("usage_record")}
    refused = "Stripe took it and could not count it: meter_event_customer_not_found"
    assert rows == {"call-0": ("sent", None), "call-1": ("dead", refused)}
    # Stripe knows the identifier, so that sending it again counts nothing: it must not pass for sent
    report(world, "call-1")
    world.eventually(lambda: world.rows("usage_record", id="call-1")[0]["attempts"], 2)
    (row,) = world.rows("usage_record", id="call-1")
    assert row["status"] == "dead"


def test_usage_of_a_host_whose_clock_is_ten_minutes_ahead_is_counted_at_the_latest_time_that_stripe_takes(sqlite_url):
    began = int(time.time()) - 600
    with make_world(sqlite_url, clock=began) as world:
        opened(world, world.token("ada"), "starter_monthly")
        (row,) = world.rows("customer", external_id="ada")
        assert report(world, "call-1", value=2)["userErrors"] == []
        world.eventually(lambda: [each["status"] for each in world.rows("usage_record")], ["sent"])
        (event,) = world.sandbox.store.find("billing.meter_event")
        assert event["_customer"] == row["id"]
        assert began < event["timestamp"] <= began + 420


def test_the_present_period_is_the_subscriptions_and_an_unknown_meter_is_null(world, ada):
    (meter,) = world.stripe("GET", "/v1/billing/meters")["data"]
    product = world.stripe("POST", "/v1/products", name="Calls")["id"]
    metered = {"recurring[interval]": "month", "recurring[usage_type]": "metered", "recurring[meter]": meter["id"]}
    price = world.stripe("POST", "/v1/prices", product=product, currency="usd", unit_amount=1, **metered)["id"]
    world.eventually(lambda: world.rows("price", id=price))
    report(world, "before", value=5, timestamp=(datetime.now(UTC) - timedelta(days=3)).isoformat())
    (method, *_) = world.stripe("GET", "/v1/payment_methods", customer=ada)["data"]
    card = {"default_payment_method": method["id"], "items[0][price]": price}
    item = world.stripe("POST", "/v1/subscriptions", customer=ada, **card)["items"]["data"][0]
    world.eventually(lambda: world.rows("subscription_item", id=item["id"]))
    report(
        world, "within", value=2, timestamp=datetime.fromtimestamp(item["current_period_start"] + 1, UTC).isoformat()
    )
    seen = world.data(USAGE % '"api_calls"', headers=world.token("ada"))["viewer"]["usage"]
    assert seen["value"] == 2
    assert datetime.fromisoformat(seen["periodEnd"]).timestamp() == item["current_period_end"]
    assert world.data(USAGE % '"tea"', headers=world.token("ada"))["viewer"]["usage"] is None


def test_only_the_back_end_reports(world):
    wanted = {"externalId": "ada", "eventName": "api_calls", "identifier": "x"}
    answer = world.graphql(REPORT, {"input": wanted}, world.token("ada")).json()
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
