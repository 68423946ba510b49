"""What `/metrics` counts, and the alerts on it."""

import re
import time

import pytest

from harness.gateway import make_world
from harness.paths import ROOT

ALERTS = (ROOT / "docs" / "alerts.yml").read_text()


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


def test_the_alerts_name_metrics_and_labels_that_exist(world):
    text = world.client.get(f"{world.url}/metrics").text
    families = {re.sub("_total$", "", name) for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)}
    samples = world.metrics()
    expressions = re.findall(r"expr: (.*)", ALERTS)
    assert len(expressions) == ALERTS.count("- alert:")
    for name, labels in re.findall(r"(gateway_\w+)(?:\{([^}]*)\})?", " ".join(expressions)):
        assert re.sub("_(total|bucket|count|sum)$", "", name) in families, name
        known = {label for sample in samples if sample[0] == name for label, _ in sample[1:]}
        assert set(re.findall(r"(\w+)!?=", labels)) <= known or not known
