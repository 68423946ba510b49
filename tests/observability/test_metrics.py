"""What `/metrics` counts, and the alerts on it."""

import json
import re
import time

import pytest
import yaml
from prometheus_client import REGISTRY

from gateway.web.documents import documents
from harness.gateway import make_world
from harness.paths import ROOT

RULES = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text())["groups"][0]["rules"]
ALERTS = [rule["expr"] for rule in RULES]
PANELS = json.loads((ROOT / "docs" / "dashboard.json").read_text())["panels"]
DASHBOARD = [target["expr"] for panel in PANELS for target in panel["targets"]]
OPERATIONS = "gateway_graphql_operations_total"


@pytest.fixture(scope="module")
def world(new_sqlite):
    with make_world(new_sqlite()) as made:
        yield made


def test_every_step_of_an_event_is_counted(world):
    product, now = world.stripe("GET", "/v1/products", limit=1)["data"][0], int(time.time()) + 10
    new = world.event("product.updated", product, created=now + 5)
    old = world.event("product.updated", product, created=now - 86_400)
    torn = world.event("product.updated", {**product, "id": "prod/none", "name": {}}, created=now)
    before = world.metrics()
    for event in (new, new, old, torn):
        assert world.deliver(event).status_code == 200
    world.deliver(b"nonsense", secret="whsec_foreign")
    world.eventually(lambda: world.status_of(torn), "failed")
    for first in (1, 2):
        world.data("query($first: Int!) { products(first: $first) { edges { node { id } } } }", {"first": first})

    now = world.metrics()
    grown = {key for key, value in now.items() if value > before.get(key, 0)}
    for expected in (
        ("gateway_deliveries_total",),
        ("gateway_events_total", ("outcome", "applied")),
        ("gateway_events_total", ("outcome", "duplicate")),
        ("gateway_events_total", ("outcome", "stale")),
        ("gateway_events_total", ("outcome", "failed")),
        ("gateway_event_lag_seconds_count",),
        ("gateway_inbox_events", ("status", "failed")),
        ("gateway_webhooks_refused_total", ("reason", "signature_invalid")),
        ("gateway_stripe_calls_total", ("method", "get"), ("outcome", "InvalidRequestError")),
        ("gateway_cache_total", ("cache", "catalog"), ("result", "hit")),
        ("gateway_cache_total", ("cache", "documents"), ("result", "hit")),
    ):
        assert expected in grown
    assert now["gateway_deliveries_total",] - before["gateway_deliveries_total",] == 4
    assert ("gateway_inbox_events", ("status", "dead")) in now
    assert now["gateway_queue_depth",] == 0


def test_operations_are_counted_by_names_that_no_client_can_invent(world):
    name, text = next((name, text) for name, text in documents().items() if text.startswith("query Session("))
    before = world.metrics()
    assert world.graphql(text, {"id": "cs_none", "locale": "en"}).is_success
    for number in range(5):
        query = f"query Session{number} {{ alias{number}: pricing {{ asOf }} }}"
        assert "errors" not in world.graphql(query).json()
        world.client.get(f"{world.url}/graphql", params={"query": query, "operationName": f"No{number}"})
    world.graphql("query Session($id: ID!) { session(id: $id) { id } pricing { asOf } }", {"id": 1.5})
    world.graphql("{ there_is_none }")
    now = world.metrics()
    labels = {key[1:] for key, value in now.items() if key[0] == OPERATIONS and value > before.get(key, 0)}
    assert {tuple(dict(each).values()) for each in labels} == {
        ("session", "Session", "ok"),
        ("pricing", "other", "ok"),
        ("several", "other", "refused"),
        ("none", "other", "refused"),
    }
    timed = ("gateway_graphql_seconds_count", ("field", "session"), ("operation", "Session"))
    assert now[timed] - before.get(timed, 0) == 1
    assert name


@pytest.mark.parametrize("expressions", [ALERTS, DASHBOARD], ids=["alerts", "dashboard"])
def test_the_alerts_and_the_dashboard_name_metrics_and_labels_that_exist(world, expressions):
    text = world.client.get(f"{world.url}/metrics").text
    families = {re.sub("_total$", "", name) for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)}
    samples = world.metrics()
    for name, labels in re.findall(r"(gateway_\w+)(?:\{([^}]*)\})?", " ".join(expressions)):
        assert re.sub("_(total|bucket|count|sum)$", "", name) in families, name
        sampled = {label for sample in samples if sample[0] == name for label, _ in sample[1:]}
        declared = getattr(REGISTRY._names_to_collectors.get(name), "_labelnames", ())  # also of what has no sample yet
        assert set(re.findall(r"(\w+)!?=", labels)) <= sampled | {*declared}, name


def test_the_dashboard_shows_every_metric_but_those_that_are_deprecated():
    shown = {re.sub("_(bucket|total)$", "", name) for name in re.findall(r"gateway_\w+", " ".join(DASHBOARD))}
    made = {family.name: family.documentation for family in REGISTRY.collect() if family.name.startswith("gateway_")}
    unseen = {name for name, told in made.items() if not told.startswith("Deprecated")} - shown
    assert unseen == {"gateway_webhook_secret_used"}  # its time says more
