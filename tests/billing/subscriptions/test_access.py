"""What a subscription gives right to: the rules as a table, the grace period, features and limits, the policy route."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from gateway.billing.subscriptions.access import (
    AsPaid,
    Payments,
    Reason,
    access,
    end_of,
    giving_items,
    will_cancel,
)
from gateway.models.mirrored import Subscription, SubscriptionItem
from harness.databases import both_databases
from harness.gateway import SERVICE_TOKEN
from harness.rows import item, subscription
from harness.subscriptions import applied, customer, price_id, settled, subscribe

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


def decided(status: str, *, payments: Payments | None = None, quantities: tuple[int | None, ...] = (1,), **columns):
    """The decision on a subscription whose items' periods began three days ago; the second item's ends later."""
    row = Subscription(
        id="sub_1", as_of=0, customer_id="cus_1", status=status, currency="eur", created=NOW, start_date=NOW, **columns
    )
    items = [
        SubscriptionItem(
            id=f"si_{number}",
            subscription_id="sub_1",
            price_id="price_1",
            product_id="prod_1",
            quantity=quantity,
            current_period_start=NOW - (3 + number) * DAY,
            current_period_end=NOW + (27 + number) * DAY,
            created=NOW,
        )
        for number, quantity in enumerate(quantities)
    ]
    found = access(row, items, NOW, grace=GRACE, payments=payments or Payments())
    return found.allowed, found.reason, found.until


MONTH = AsPaid("month", "cheap", 5, (NOW - 21 * DAY, NOW + 9 * DAY))


def unpaid(items: dict[str, AsPaid | None], *days: int) -> Payments:
    """What a pause has left unpaid, with what was paid before."""
    return replace(paid(*days), unpaid=items)


def paid(*days: int) -> Payments:
    """Items that are paid for some more days, one after the other; 0 is not paid."""
    ends = {f"si_{number}": NOW + end * DAY for number, end in enumerate(days) if end}
    return Payments(paid_until=ends, known=True)


def owed(since: float | None, *, ever_paid: bool = True) -> Payments:
    return Payments(known=True, ever_paid=ever_paid, unpaid_since=None if since is None else NOW - since * DAY)


def back(item: int, *, until: int | None = None, since: float | None = None) -> Payments:
    """The payment of one item's present went back; the next one is paid for some more days."""
    others = {f"si_{item + 1}": NOW + until * DAY} if until else {}
    due = None if since is None else NOW - since * DAY
    return Payments(paid_until=others, paid_back=frozenset({f"si_{item}"}), known=True, unpaid_since=due)


IN_27, IN_28 = NOW + 27 * DAY, NOW + 28 * DAY
PLANNED, FAR = NOW + 5 * DAY, NOW + 300 * DAY
GRACE_PERIOD, PAST_DUE, CANCELED = Reason.GRACE_PERIOD, Reason.PAST_DUE, Reason.CANCELED
TABLE = {
    "no invoice is known yet": (("active",), {}, (True, Reason.ACTIVE, IN_27)),
    "paid for the period": (("active",), {"payments": paid(27)}, (True, Reason.ACTIVE, IN_27)),
    "the renewal is not paid yet": (("active",), {"payments": paid(0)}, (True, Reason.ACTIVE, None)),
    "a planned end": (("active",), {"payments": paid(27), "cancel_at": PLANNED}, (True, Reason.ACTIVE, PLANNED)),
    "an end after what is paid": (("active",), {"payments": paid(27), "cancel_at": FAR}, (True, Reason.ACTIVE, IN_27)),
    "a planned end, nothing paid": (("active",), {"payments": paid(0), "cancel_at": FAR}, (True, Reason.ACTIVE, None)),
    "the earliest end of two": (("active",), {"payments": paid(27, 9), "quantities": (1, 1)},
                                (True, Reason.ACTIVE, NOW + 9 * DAY)),
    "two, no invoice is known": (("active",), {"quantities": (1, 1)}, (True, Reason.ACTIVE, IN_27)),
    "of two one is 0": (("active",), {"quantities": (0, 1)}, (True, Reason.ACTIVE, IN_28)),
    "metered": (("active",), {"quantities": (None,)}, (True, Reason.ACTIVE, IN_27)),
    "quantity 0": (("active",), {"quantities": (0,)}, (False, Reason.NOT_INCLUDED, None)),
    "quantity 0 in a trial": (("trialing",), {"quantities": (0,)}, (False, Reason.NOT_INCLUDED, None)),
    "quantity 0 after the end": (("canceled",), {"quantities": (0,), "payments": paid(9)}, (False, CANCELED, None)),
    "paid, and all of it back": (("active",), {"payments": back(0)}, (False, Reason.PAID_BACK, None)),
    "back, with a planned end": (("active",), {"payments": back(0), "cancel_at": FAR}, (False, Reason.PAID_BACK, None)),
    "of two one is back": (("active",), {"payments": back(0, until=9), "quantities": (1, 1)},
                           (True, Reason.ACTIVE, NOW + 9 * DAY)),
    "back, beside an item that is billed by use": (("active",), {"payments": back(0), "quantities": (1, None)},
                                                   (False, Reason.PAID_BACK, None)),
    "one of two is back, beside an item that is billed by use": (
        ("active",), {"payments": back(0, until=9), "quantities": (1, 1, None)}, (True, Reason.ACTIVE, NOW + 9 * DAY)),
    "back in the grace period": (("past_due",), {"payments": back(0, since=1)}, (False, Reason.PAID_BACK, None)),
    "a trial": (("trialing",), {"payments": paid(0)}, (True, Reason.TRIALING, IN_27)),
    "a trial with a planned end": (("trialing",), {"cancel_at": PLANNED}, (True, Reason.TRIALING, PLANNED)),
    "failed six days ago": (("past_due",), {"payments": owed(6)}, (True, GRACE_PERIOD, NOW + DAY)),
    "failed a second less than seven days ago": (
        ("past_due",), {"payments": owed(7 - 1 / 86400)}, (True, GRACE_PERIOD, NOW + timedelta(seconds=1))),
    "failed seven days ago": (("past_due",), {"payments": owed(7)}, (False, PAST_DUE, None)),
    "failed, ends before the grace period": (
        ("past_due",), {"payments": owed(0), "cancel_at": PLANNED}, (True, GRACE_PERIOD, PLANNED)),
    "failed, of no known invoice": (("past_due",), {}, (True, GRACE_PERIOD, NOW + 4 * DAY)),
    "the earliest start of two": (("past_due",), {"quantities": (1, 1)}, (True, GRACE_PERIOD, NOW + 3 * DAY)),
    "never paid for": (("past_due",), {"payments": owed(1, ever_paid=False)}, (False, PAST_DUE, None)),
    "ended, paid for": (("canceled",), {"payments": paid(1)}, (True, CANCELED, NOW + DAY)),
    "ended, nothing kept": (("canceled",), {"payments": paid(0)}, (False, CANCELED, None)),
    "ended, no invoice is known": (("canceled",), {}, (False, CANCELED, None)),
    "ended, of two one is paid": (("canceled",), {"payments": paid(0, 9), "quantities": (1, 1)},
                                  (True, CANCELED, NOW + 9 * DAY)),
    "ended, the earliest end of two": (("canceled",), {"payments": paid(20, 9), "quantities": (1, 1)},
                                       (True, CANCELED, NOW + 9 * DAY)),
    "unpaid": (("unpaid",), {"payments": paid(9)}, (False, Reason.UNPAID, None)),
    "incomplete": (("incomplete",), {}, (False, Reason.INCOMPLETE, None)),
    "incomplete for good": (("incomplete_expired",), {}, (False, Reason.INCOMPLETE, None)),
    "paused": (("paused",), {"payments": paid(9)}, (False, Reason.PAUSED, None)),
    "a pause, paid for": (("active",), {"payments": paid(9), "pause_behavior": "void"},
                          (True, Reason.ACTIVE, NOW + 9 * DAY)),
    "a pause, ends before": (("active",), {"payments": paid(9), "pause_behavior": "void", "cancel_at": PLANNED},
                             (True, Reason.ACTIVE, PLANNED)),
    "a pause, nothing paid": (("active",), {"payments": paid(0), "pause_behavior": "void"},
                              (False, Reason.PAUSED, None)),
    "a pause, of two one is paid": (
        ("active",), {"payments": paid(0, 9), "quantities": (1, 1), "pause_behavior": "void"},
        (True, Reason.ACTIVE, NOW + 9 * DAY)),
    "a pause of what was never had": (("active",), {"quantities": (0,), "pause_behavior": "void"},
                                      (False, Reason.NOT_INCLUDED, None)),
    "a pause in a trial": (("trialing",), {"pause_behavior": "void"}, (True, Reason.TRIALING, IN_27)),
    "a pause in which it is given": (("active",), {"payments": paid(0), "pause_behavior": "mark_uncollectible"},
                                     (True, Reason.ACTIVE, None)),
    "a pause that is over, and left it unpaid": (
        ("active",), {"payments": Payments(known=True, unpaid={"si_0": None})}, (False, Reason.PAUSED, None)),
    "a pause that is over, and left an item unpaid": (
        ("active",), {"payments": unpaid({"si_1": None}, 9), "quantities": (1, 1)},
        (True, Reason.ACTIVE, NOW + 9 * DAY)),
    "a pause that is over, and what was paid before": (
        ("active",), {"payments": unpaid({"si_0": MONTH}, 9)}, (True, Reason.ACTIVE, NOW + 9 * DAY)),
    "a status of the future": (("a_status_of_the_future",), {"payments": paid(9)}, (False, Reason.UNPAID, None)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("paid_as", "has"),
    [
        (None, None),
        (MONTH._replace(price="price_1", product=None), ("price_1", "prod_1", 5, NOW + 9 * DAY)),  # more was taken
        (MONTH, ("month", "cheap", 5, NOW + 9 * DAY)),
        (MONTH._replace(product=None), None),  # of a line that was kept before products were
        (MONTH._replace(period=(NOW - 9 * DAY, NOW + 27 * DAY)), ("month", "cheap", 5, NOW + 27 * DAY)),
    ],
)
def test_what_a_pause_has_left_unpaid_gives_what_was_paid_before(paid_as, has):
    its = item("si_0", "price_1", "prod_1", 100)
    its.current_period_start, its.current_period_end = NOW - 3 * DAY, NOW + 27 * DAY
    given = giving_items(row(), [its], unpaid({"si_0": paid_as}, 9))
    assert [(each.price_id, each.product_id, each.quantity, each.current_period_end) for each in given] == (
        [has] if has else []
    )
    starts = its.current_period_start if has and has[3] == its.current_period_end else NOW - 21 * DAY
    assert all(each.current_period_start == starts for each in given)


@pytest.mark.parametrize(
    ("told", "has"),
    [
        ({"returned": {"si_0": MONTH}}, [("month", "cheap", 5)]),
        ({"returned": {"si_0": None}, "paid_back": {"si_0"}}, []),
        ({"returned": {"si_0": None}, "paid_back": {"si_0"}, "held": {"si_0": MONTH}}, []),
        ({"returned": {"si_1": MONTH}}, [("price_1", "prod_1", 100)]),
        ({"returned": {"si_0": MONTH}, "unpaid": {"si_0": None}}, []),
        ({"returned": {"si_0": MONTH}, "held": {"si_0": MONTH._replace(quantity=9)}}, [("month", "cheap", 5)]),
    ],
)
def test_a_change_whose_payment_went_back_gives_what_was_paid_before(told, has):
    its = item("si_0", "price_1", "prod_1", 100)
    given = giving_items(row(), [its], replace(paid(9), **told))
    assert [(each.price_id, each.product_id, each.quantity) for each in given] == has


@pytest.mark.parametrize(
    ("paid_as", "has"),
    [
        (MONTH, ("month", "cheap", 5)),  # it was changed meanwhile
        (MONTH._replace(product=None), ("price_1", "prod_1", 100)),  # nobody knows what that was
        (MONTH._replace(price="price_1"), ("price_1", "cheap", 5)),  # more was taken
        (MONTH._replace(price="price_1", quantity=100), ("price_1", "prod_1", 100)),
        (MONTH._replace(price="price_1", quantity=101), ("price_1", "prod_1", 100)),
    ],
)
def test_what_is_changed_while_a_pause_runs_gives_what_was_paid(paid_as, has):
    its, told = item("si_0", "price_1", "prod_1", 100), replace(paid(9), held={"si_0": paid_as})
    given = giving_items(row(pause_behavior="void"), [its], told)
    assert [(each.price_id, each.product_id, each.quantity) for each in given] == [has]


@pytest.mark.parametrize(("status", "given", "expected"), TABLE.values(), ids=TABLE)
def test_what_a_subscription_gives_right_to(status, given, expected):
    assert decided(*status, **given) == expected


def row(**columns) -> Subscription:
    return subscription("sub_1", **columns)


@pytest.mark.parametrize(
    ("columns", "ends", "expected"),
    [
        ({}, [27, 9], 9),
        ({}, [], None),
        ({"cancel_at": PLANNED}, [27], 5),
        ({"cancel_at": PLANNED}, [], 5),
        ({"cancel_at": PLANNED, "ended_at": NOW}, [27], 0),
        ({"ended_at": NOW}, [27], 0),
    ],
)
def test_when_a_subscription_ends(columns, ends, expected):
    items = []
    for number, end in enumerate(ends):
        items.append(item(f"si_{number}", "price_1", "prod_1"))
        items[-1].current_period_end = NOW + end * DAY
    assert end_of(row(**columns), items) == (None if expected is None else NOW + expected * DAY)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, False),
        ({"cancel_at_period_end": True}, True),
        ({"cancel_at": PLANNED}, True),
        ({"cancel_at": PLANNED, "cancel_at_period_end": True}, True),
        ({"cancel_at": PLANNED, "cancel_at_period_end": True, "ended_at": NOW}, False),
        ({"ended_at": NOW}, False),
    ],
)
def test_whether_it_ends_by_itself(columns, expected):
    assert will_cancel(row(**columns)) is expected


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


@both_databases
def test_a_failed_renewal_leaves_the_grace_period_and_then_nothing_however_the_failures_arrive(world):
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
    deliver_backwards(world, [evt for evt in failures(world) if evt["data"]["object"]["id"] == invoice["id"]])
    assert subscription_access(world, "ann") == (True, "GRACE_PERIOD")
    applied(world, "ann")
    known = len(world.rows("event"))
    world.advance(to=int(first) + 7 * 86_400 + 1)  # no event tells the end: the gateway takes the time from Stripe
    world.eventually(lambda: subscription_access(world, "ann"), (False, "PAST_DUE"))
    assert len(world.rows("event")) == known


def failures(world) -> list[dict]:
    """Stripe's failed charges, the latest first."""
    return world.stripe("GET", "/v1/events", type="invoice.payment_failed")["data"]


def deliver_backwards(world, events: list[dict]) -> None:
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
    asked |= {"used": None, "remaining": None, "resetsAt": None, "overage": False}  # of a feature that is not counted
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
    described = {route: sorted(each["responses"]) for route, path in paths.items() for each in path.values()}
    assert described == {
        "/access/{external_id}": ["200", "304", "400", "401", "429", "503"],
        "/access/{external_id}/{feature}": ["200", "304", "400", "401", "403", "429", "503"],
        "/ofrep/v1/evaluate/flags": ["200", "304", "400", "401", "403", "429", "503"],
        "/ofrep/v1/evaluate/flags/{key}": ["200", "400", "401", "403", "429", "503"],
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


def test_the_back_end_may_ask_about_everybody_and_a_user_about_himself(world):
    expired = world.token("ann", exp=1)
    for path in ("ann/projects", "ann"):
        url = f"{world.url}/access/{path}"
        for headers in ({}, {"Authorization": "Bearer nonsense"}, world.token("bob"), expired):
            answer = world.client.get(url, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"] == "Bearer"
        both = [world.client.get(url, headers=headers) for headers in (SERVICE, world.token("ann"))]
        assert both[0].content == both[1].content


def test_all_features_are_told_at_once_or_those_that_are_named(world):
    give_features(world, "starter_monthly", features="projects,sso")
    subscribe(world, customer(world, "ann"))
    url = f"{world.url}/access/ann"
    found = world.client.get(url, headers=SERVICE)
    assert {name: each["allowed"] for name, each in found.json()["features"].items()} == {"projects": True, "sso": True}
    assert found.json()["features"]["sso"] == world.client.get(f"{url}/sso", headers=SERVICE).json()
    named = world.client.get(url, params={"features": "sso, other"}, headers=SERVICE).json()["features"]
    assert {name: (each["allowed"], each["reason"]) for name, each in named.items()} == {
        "sso": (True, "ACTIVE"), "other": (False, "NOT_INCLUDED"),
    }  # fmt: skip
    known = {**SERVICE, "If-None-Match": found.headers["etag"]}
    assert world.client.get(url, headers=known).status_code == 304

    query = """query($names: [String!]!) { viewer { accessTo(features: $names) {
        feature access { allowed reason subscription { status } } } } }"""
    told = world.data(query, {"names": ["sso", "other"]}, world.token("ann"))["viewer"]["accessTo"]
    assert told == [
        {"feature": "sso", "access": {"allowed": True, "reason": "ACTIVE", "subscription": {"status": "ACTIVE"}}},
        {"feature": "other", "access": {"allowed": False, "reason": "NOT_INCLUDED", "subscription": None}},
    ]
    many = world.graphql(query, {"names": ["x"] * 101}, world.token("ann")).json()
    assert many["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_without_a_database_the_policy_route_answers_503_and_does_not_guess(world):
    with world.renamed("customer", "customer_elsewhere"):
        answer = world.client.get(f"{world.url}/access/ann/projects", headers=SERVICE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
