"""Stripe's own entitlements: all of them, also beyond the ten of an event, gone when they are removed, in any order."""

import asyncio
import json
import shutil
import sqlite3

from pydantic import SecretStr

from harness.databases import both_databases, postgres_later
from harness.gateway import SERVICE_TOKEN, fill_mirror
from harness.subscriptions import customer, price_id, subscribe

SERVICE = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
SUMMARY = "entitlements.active_entitlement_summary"
FEATURES = "query($id: ID!) { customer(externalId: $id) { entitlements { feature source until limit } } }"


def features(world, subject: str = "ann") -> list[str]:
    """What Stripe's own entitlements give; the sample Starter also has a feature in its metadata."""
    found = world.data(FEATURES, {"id": subject}, SERVICE)["customer"]["entitlements"]
    return [each["feature"] for each in found if each["source"] == "STRIPE"]


def add_features(world, product: str, *keys: str) -> None:
    """Give a product features at Stripe."""
    path = f"/v1/products/{product}/features"
    given = {each["entitlement_feature"]["lookup_key"] for each in world.stripe("GET", path, limit=100)["data"]}
    known = {
        each["lookup_key"]: each["id"] for each in world.stripe("GET", "/v1/entitlements/features", limit=100)["data"]
    }
    for key in sorted({*keys} - given):
        made = (
            known.get(key) or world.stripe("POST", "/v1/entitlements/features", lookup_key=key, name=key.title())["id"]
        )
        world.stripe("POST", path, entitlement_feature=made)


def told(world, customer_id: str, *keys: str, created: int) -> dict:
    """Deliver a summary with these features, as of a moment."""
    data = [
        {
            "id": f"ent_{key}",
            "object": "entitlements.active_entitlement",
            "feature": f"feat_{key}",
            "livemode": False,
            "lookup_key": key,
        }
        for key in keys
    ]
    url = f"/v1/customer/{customer_id}/entitlements"
    listed = {"object": "list", "data": data, "has_more": False, "url": url}
    summary = {"object": SUMMARY, "customer": customer_id, "entitlements": listed, "livemode": False}
    event = world.event(f"{SUMMARY}.updated", summary, created=created)
    assert world.deliver(event).is_success
    return event


@both_databases
def test_a_plan_gives_its_features_and_the_next_one_takes_away_what_it_does_not_have(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "business_monthly")
    world.eventually(lambda: features(world), ["audit_log", "automation", "priority_support", "projects", "sso"])
    (item,) = bought["items"]["data"]
    world.stripe(
        "POST",
        f"/v1/subscriptions/{bought['id']}",
        **{"items[0][id]": item["id"], "items[0][price]": price_id(world, "pro_monthly")},
    )
    world.eventually(lambda: features(world), ["automation", "projects"])


def test_the_limit_of_an_entitlement_stands_in_the_metadata_of_the_plans_product(world):
    product = product_of(world, "pro_monthly")
    world.stripe("POST", f"/v1/products/{product}", **{"metadata[limit_projects]": "25"})
    subscribe(world, customer(world, "ann"), "pro_monthly")
    query = 'query($id: ID!) { customer(externalId: $id) { access(feature: "projects") { allowed limit reason } } }'
    expected = {"allowed": True, "limit": 25, "reason": "ACTIVE"}
    world.eventually(lambda: world.data(query, {"id": "ann"}, SERVICE)["customer"]["access"], expected)


def test_more_features_than_an_event_carries_are_read_page_by_page(world):
    product = product_of(world, "starter_monthly")
    keys = [f"feature_{number:03}" for number in range(123)]
    add_features(world, product, *keys)
    subscribe(world, customer(world, "ann"))
    world.eventually(lambda: features(world), keys)
    (event,) = world.stripe("GET", "/v1/events", type=f"{SUMMARY}.updated")["data"]
    assert event["data"]["object"]["entitlements"]["has_more"]


def product_of(world, lookup_key: str) -> str:
    return world.stripe("GET", f"/v1/prices/{price_id(world, lookup_key)}")["product"]


def test_an_older_summary_that_arrives_later_changes_nothing_and_a_newer_one_replaces_all(world):
    add_features(world, product_of(world, "starter_monthly"), "projects", "sso", "automation")
    ann = customer(world, "ann")
    bought = subscribe(world, ann)
    begun = bought["created"]
    told(world, ann, "projects", "sso", created=begun + 20)
    stale = told(world, ann, "automation", created=begun + 10)
    assert world.status_of(stale) == "stale"
    world.eventually(lambda: features(world), ["projects", "sso"])
    told(world, ann, "sso", created=begun + 30)
    assert features(world) == ["sso"]
    told(world, ann, created=begun + 40)
    assert features(world) == []


def test_an_entitlement_without_a_subscription_that_gives_access_gives_nothing(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann)
    add_features(world, product_of(world, "starter_monthly"), "projects")
    told(world, ann, "projects", created=bought["created"] + 20)
    world.eventually(lambda: features(world), ["projects"])
    unpaid = world.stripe("GET", f"/v1/subscriptions/{bought['id']}") | {"status": "unpaid"}
    world.deliver(world.event("customer.subscription.updated", unpaid, created=bought["created"] + 30))
    assert features(world) == []
    query = 'query($id: ID!) { customer(externalId: $id) { access(feature: "projects") { allowed reason } } }'
    refused = {"allowed": False, "reason": "UNPAID"}
    assert world.data(query, {"id": "ann"}, SERVICE)["customer"]["access"] == refused


@postgres_later
def test_a_cheap_subscription_never_opens_what_another_product_has(world):
    ann = customer(world, "ann")
    dear = subscribe(world, ann, "business_monthly")
    world.eventually(lambda: "sso" in features(world))
    subscribe(world, ann, "pro_monthly")
    late = {"status": "past_due", "items": past(dear["items"])}
    failed = world.stripe("GET", f"/v1/subscriptions/{dear['id']}") | late
    world.deliver(world.event("customer.subscription.updated", failed, created=dear["created"] + 30))
    world.eventually(lambda: features(world), ["automation", "projects"])  # what the cheap one has itself
    assert "sso" in str(world.rows("entitlement_summary", id=ann)[0]["features"])


def past(items: dict) -> dict:
    """Items whose present period began longer ago than the grace period."""
    ago = 30 * 86_400
    back = {name: items["data"][0][name] - ago for name in ("current_period_start", "current_period_end")}
    return {**items, "data": [{**items["data"][0], **back}]}


def test_what_is_paid_for_stays_usable_after_the_end_by_stripes_entitlements_as_well(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "business_monthly")
    world.eventually(lambda: "sso" in features(world))
    world.stripe("DELETE", f"/v1/subscriptions/{bought['id']}")
    world.eventually(lambda: world.rows("entitlement_summary", id=ann)[0]["features"], "[]")
    assert "sso" in features(world)


def test_a_feature_that_a_product_loses_at_stripe_is_gone(world):
    product = product_of(world, "business_monthly")
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "business_monthly")
    world.eventually(lambda: "sso" in features(world))
    (bond,) = (
        each
        for each in world.stripe("GET", f"/v1/products/{product}/features", limit=100)["data"]
        if each["entitlement_feature"]["lookup_key"] == "sso"
    )
    world.stripe("DELETE", f"/v1/products/{product}/features/{bond['id']}")
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **{"metadata[a]": "b"})
    world.eventually(lambda: "sso" not in world.rows("product", id=product)[0]["entitlements"])
    assert "sso" not in features(world)


def test_the_entitlements_of_a_customer_that_stripe_no_longer_has_are_gone(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann)
    told(world, ann, "projects", created=bought["created"] + 20)
    world.stripe("DELETE", f"/v1/customers/{ann}")
    world.eventually(lambda: world.rows("customer", id=ann)[0]["deleted"])
    assert world.data(FEATURES, {"id": "ann"}, SERVICE)["customer"] is None


def test_a_gateway_that_is_set_up_later_reads_the_entitlements_that_are_there(world, tmp_path, sqlite_template):
    ann = customer(world, "ann")
    subscribe(world, ann, "business_monthly")
    customer(world, "bob")  # no subscription, nothing to read
    later = tmp_path / "later.db"
    shutil.copy(sqlite_template, later)
    settings = world.settings.model_copy(update={"database_url": SecretStr(f"sqlite:///{later}")})
    asyncio.run(fill_mirror(settings))
    with sqlite3.connect(later) as rows:
        found = rows.execute("SELECT id, features FROM entitlement_summary").fetchall()
        (known,) = rows.execute("SELECT entitlements FROM product WHERE name = 'Business'").fetchone()
    business = ["audit_log", "automation", "priority_support", "projects", "sso"]
    assert [(customer_id, json.loads(features)) for customer_id, features in found] == [(ann, business)]
    assert json.loads(known) == business


def test_a_limit_beyond_32_bits_is_told_and_not_left_out(world):
    """Left out it would say that there is no limit."""
    ann = customer(world, "ann")
    product = world.stripe(
        "POST",
        "/v1/products",
        name="Disk",
        **{"metadata[limit_storage]": "10737418240", "metadata[features]": "storage"},
    )
    recurring = {"recurring[interval]": "month"}
    price = world.stripe(
        "POST", "/v1/prices", product=product["id"], currency="usd", unit_amount=500, lookup_key="disk", **recurring
    )
    world.eventually(lambda: bool(world.rows("price", id=price["id"])))
    subscribe(world, ann, "disk")
    query = """query($id: ID!) { customer(externalId: $id) {
        access(feature: "storage") { allowed limit } entitlements { feature limit } } }"""
    seen = world.data(query, {"id": "ann"}, SERVICE)["customer"]
    assert seen["access"] == {"allowed": True, "limit": 10_737_418_240}
    assert {"feature": "storage", "limit": 10_737_418_240} in seen["entitlements"]
