"""What a subscription gives right to: the rules as a table, the grace period, features and limits, the policy route."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from gateway.billing.subscriptions.access import Payments, Reason, access
from gateway.models.mirrored import Subscription, SubscriptionItem
from harness.databases import both_databases
from harness.gateway import SERVICE_TOKEN, make_world
from harness.subscriptions import customer, price_id, settled, subscribe

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GRACE = 7 * DAY
SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
ACCESS = """
query Access($id: ID!, $feature: String!) {
  customer(externalId: $id) {
    access(feature: $feature) { allowed reason until limit subscription { id status access { allowed reason until } } }
    entitlements { feature limit source }
  }
}
"""


def decided(status: str, *, payments: Payments | None = None, **columns):
    """The decision on a subscription whose period began three days ago."""
    row = Subscription(
        id="sub_1", as_of=0, customer_id="cus_1", status=status, currency="eur", created=NOW, start_date=NOW, **columns
    )
    item = SubscriptionItem(
        id="si_1",
        subscription_id="sub_1",
        price_id="price_1",
        product_id="prod_1",
        current_period_start=NOW - 3 * DAY,
        current_period_end=NOW + 27 * DAY,
        created=NOW,
    )
    found = access(row, [item], NOW, grace=GRACE, payments=payments or Payments())
    return found.allowed, found.reason, found.until


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("unpaid", Reason.UNPAID),
        ("incomplete", Reason.INCOMPLETE),
        ("incomplete_expired", Reason.INCOMPLETE),
        ("paused", Reason.PAUSED),
        ("canceled", Reason.CANCELED),
        ("a_status_of_the_future", Reason.UNPAID),
    ],
)
def test_without_a_payment_there_is_no_access(status, reason):
    assert decided(status) == (False, reason, None)


@pytest.mark.parametrize(("status", "reason"), [("active", Reason.ACTIVE), ("trialing", Reason.TRIALING)])
def test_a_running_subscription_gives_access_to_the_end_of_its_period_or_to_its_planned_end(status, reason):
    assert decided(status) == (True, reason, NOW + 27 * DAY)
    assert decided(status, cancel_at=NOW + 5 * DAY) == (True, reason, NOW + 5 * DAY)


def test_the_grace_period_runs_from_the_first_failed_charge_and_then_ends():
    def since(failed):
        return decided("past_due", payments=Payments(unpaid_since=failed))

    assert since(NOW - 6 * DAY) == (True, Reason.GRACE_PERIOD, NOW + DAY)
    assert since(NOW - 7 * DAY) == (False, Reason.PAST_DUE, None)
    assert decided("past_due") == (True, Reason.GRACE_PERIOD, NOW + 4 * DAY)  # from the period that was not paid


def test_a_canceled_subscription_gives_access_to_the_end_of_what_was_paid_and_not_of_its_period():
    assert decided("canceled", payments=Payments(paid_until=NOW + DAY)) == (True, Reason.CANCELED, NOW + DAY)
    assert decided("canceled", payments=Payments(paid_until=NOW)) == (False, Reason.CANCELED, None)


def access_of(world, subject: str, feature: str = "sso") -> dict:
    return world.data(ACCESS, {"id": subject, "feature": feature}, SERVICE)["customer"]


def subscription_access(world, subject: str) -> tuple[bool, str]:
    """The access that the only subscription of a user gives."""
    query = "query($id: ID!) { customer(externalId: $id) { subscriptions { access { allowed reason } } } }"
    (only,) = world.data(query, {"id": subject}, SERVICE)["customer"]["subscriptions"]
    return only["access"]["allowed"], only["access"]["reason"]


def give_features(world, lookup_key: str, **metadata: str) -> None:
    """Name features in the metadata of a plan's product, and wait until the gateway serves them."""
    product = world.stripe("GET", f"/v1/prices/{price_id(world, lookup_key)}")["product"]
    world.stripe("POST", f"/v1/products/{product}", **{f"metadata[{key}]": text for key, text in metadata.items()})
    query = "query($id: ID!) { product(id: $id) { metadata { key value } } }"

    def served():
        entries = world.data(query, {"id": product})["product"]["metadata"]
        return metadata.items() <= {entry["key"]: entry["value"] for entry in entries}.items()

    world.eventually(served)


@both_databases
def test_features_of_the_plans_metadata_are_given_with_their_limits(world):
    give_features(world, "starter_monthly", features="projects , exports", limit_projects="3", limit_exports="many")
    bought = subscribe(world, customer(world, "ann"))
    found = access_of(world, "ann", "projects")
    assert (found["access"]["allowed"], found["access"]["reason"], found["access"]["limit"]) == (True, "ACTIVE", 3)
    assert found["access"]["subscription"]["id"] == bought["id"]
    assert found["entitlements"] == [
        {"feature": "exports", "limit": 0, "source": "PLAN"},  # "many" is no number: nothing is given without bound
        {"feature": "projects", "limit": 3, "source": "PLAN"},
    ]
    assert access_of(world, "ann", "sso")["access"] == {
        "allowed": False,
        "reason": "NOT_INCLUDED",
        "until": None,
        "limit": None,
        "subscription": None,
    }


def test_of_two_plans_with_a_feature_the_one_with_the_higher_limit_decides(world):
    give_features(world, "starter_monthly", features="projects", limit_projects="3")
    give_features(world, "business_monthly", features="projects")
    ann = customer(world, "ann")
    small = subscribe(world, ann)
    assert access_of(world, "ann", "projects")["access"]["limit"] == 3
    large = subscribe(world, ann, "business_monthly")
    found = access_of(world, "ann", "projects")["access"]
    assert (found["limit"], found["subscription"]["id"]) == (None, large["id"])
    world.stripe("DELETE", f"/v1/subscriptions/{large['id']}")
    settled(world, large["id"])
    found = access_of(world, "ann", "projects")["access"]
    assert (found["limit"], found["reason"]) == (None, "CANCELED")  # paid for, so still the better one
    assert found["subscription"]["id"] != small["id"]


def past_world(database_url: str, days: int):
    """A world whose Stripe lives some days ago, so that its present can come to ours."""
    return make_world(database_url, clock=int(time.time()) - days * 86_400)


@both_databases
def test_a_failed_renewal_leaves_the_grace_period_and_then_nothing_however_the_failures_arrive(database_url):
    with past_world(database_url, 40) as world:
        ann = customer(world, "ann")
        bought = subscribe(world, ann)
        decline_from_now_on(world, ann, bought["id"])
        renewal = bought["items"]["data"][0]["current_period_end"]
        world.advance(to=renewal + 4 * 86_400)  # renewed, failed an hour later, failed again after 3 days
        settled(world, bought["id"])
        world.eventually(lambda: [row["attempt_count"] for row in world.rows("invoice", status="open")], [2])
        (invoice,) = world.rows("invoice", status="open")
        first = datetime.fromisoformat(str(invoice["first_failed_at"])).replace(tzinfo=UTC).timestamp()
        assert renewal <= first <= renewal + 2 * 3600
        told_backwards(world, [evt for evt in failures(world) if evt["data"]["object"]["id"] == invoice["id"]])
        allowed = first + 7 * 86_400 > time.time()
        expected = (True, "GRACE_PERIOD") if allowed else (False, "PAST_DUE")
        assert subscription_access(world, "ann") == expected
        assert not allowed  # ten days have passed by now


def failures(world) -> list[dict]:
    """Stripe's failed charges, the latest first."""
    return world.stripe("GET", "/v1/events", type="invoice.payment_failed")["data"]


def told_backwards(world, events: list[dict]) -> None:
    """The same failures of another invoice, the later told first: since when it is unpaid does not depend on that."""
    assert len(events) == 2
    for event in events:
        obj = {**event["data"]["object"], "id": "in_backwards", "subscription": None, "parent": None}
        world.deliver({**event, "id": f"{event['id']}_backwards", "data": {"object": obj}})
    (invoice,) = world.rows("invoice", id="in_backwards")
    (original,) = world.rows("invoice", id=events[0]["data"]["object"]["id"])
    assert (invoice["first_failed_at"], invoice["attempt_count"]) == (original["first_failed_at"], 2)


def decline_from_now_on(world, customer_id: str, subscription_id: str) -> None:
    """Make the next charge of a subscription fail."""
    bad = world.stripe("POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer=customer_id)
    world.stripe("POST", f"/v1/subscriptions/{subscription_id}", default_payment_method=bad["id"])


def test_the_policy_route_says_in_its_status_what_graphql_says_in_its_answer(world):
    give_features(world, "starter_monthly", features="projects", limit_projects="3")
    bought = subscribe(world, customer(world, "auth0|ann/1"))
    asked = access_of(world, "auth0|ann/1", "projects")["access"]
    answer = world.client.get(f"{world.url}/access/auth0|ann/1/projects", headers=SERVICE)
    asked["subscription"] = {"id": bought["id"], "status": "ACTIVE"}
    assert (answer.status_code, answer.json()) == (200, asked)
    refused = world.client.get(f"{world.url}/access/auth0|ann/1/sso", headers=SERVICE)
    assert (refused.status_code, refused.json()["reason"]) == (403, "NOT_INCLUDED")
    nobody = world.client.get(f"{world.url}/access/nobody/projects", headers=SERVICE)
    assert (nobody.status_code, nobody.json()["reason"]) == (403, "NO_SUBSCRIPTION")


@pytest.mark.parametrize(
    ("route", "url", "headers", "status"),
    [
        ("/access/{external_id}/{feature}", "/access/auth0|ann/2/projects", SERVICE, 200),
        ("/access/{external_id}/{feature}", "/access/nobody/projects", SERVICE, 403),
        ("/access/{external_id}/{feature}", "/access/nobody/projects", {}, 401),
        ("/healthz", "/healthz", {}, 200),
        ("/readyz", "/readyz", {}, 200),
        ("/metrics", "/metrics", {}, 200),
    ],
)
def test_every_answer_of_the_rest_routes_is_one_that_openapi_describes(world, route, url, headers, status):
    if status == 200 and headers:
        give_features(world, "starter_monthly", features="projects", limit_projects="3")
        subscribe(world, customer(world, "auth0|ann/2"))
    description = world.client.get(f"{world.url}/openapi.json").json()
    described = description["paths"][route]["get"]["responses"]
    answer = world.client.get(f"{world.url}{url}", headers=headers)
    assert answer.status_code == status, answer.text
    content = described[str(status)]["content"]
    (media_type,) = content
    assert answer.headers["content-type"].split(";")[0] == media_type
    body = answer.json() if media_type == "application/json" else answer.text
    schema = content[media_type]["schema"] | {"components": description["components"]}
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(body)
    if media_type == "application/json":
        assert not Draft202012Validator(schema).is_valid({}), "it says nothing"


def test_openapi_describes_no_answer_that_never_comes(world):
    paths = world.client.get(f"{world.url}/openapi.json").json()["paths"]
    described = {route: sorted(path["get"]["responses"]) for route, path in paths.items()}
    assert described == {
        "/access/{external_id}/{feature}": ["200", "304", "400", "401", "403", "503"],
        "/healthz": ["200"],
        "/readyz": ["200", "503"],
        "/metrics": ["200"],
    }
    parameters = paths["/access/{external_id}/{feature}"]["get"]["parameters"]
    assert [each["name"] for each in parameters if each["required"]] == ["external_id", "feature"]


def test_an_allowed_decision_that_is_known_is_answered_304_and_a_refusal_never(world):
    give_features(world, "starter_monthly", features="projects")
    subscribe(world, customer(world, "ann"))

    def ask(feature: str, etag: str | None = None):
        headers = SERVICE | ({"If-None-Match": etag} if etag else {})
        return world.client.get(f"{world.url}/access/ann/{feature}", headers=headers)

    first = ask("projects")
    assert ask("projects", first.headers["etag"]).status_code == 304
    assert ask("projects", f'W/{first.headers["etag"]}, "other"').status_code == 304
    assert ask("projects", '"other"').status_code == 200
    assert ask("sso", ask("sso").headers["etag"]).status_code == 403
    assert first.headers["cache-control"] == "private, no-cache"


def test_only_the_back_end_may_ask_the_policy_route(world):
    url = f"{world.url}/access/ann/projects"
    for headers in ({}, {"Authorization": "Bearer nonsense"}, world.token("ann")):
        answer = world.client.get(url, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_without_a_database_the_policy_route_answers_503_and_does_not_guess(world):
    with world.renamed("customer", "customer_elsewhere"):
        answer = world.client.get(f"{world.url}/access/ann/projects", headers=SERVICE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
