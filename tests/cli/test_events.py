"""`gateway events`."""

import re

from harness.command import run
from harness.gateway import make_world


def test_an_operator_applies_a_failed_event_again(tmp_path, sqlite_url):
    with make_world(sqlite_url) as world:
        product = world.stripe("GET", "/v1/products", limit=1)["data"][0]
        unknown = {**product, "id": "prod/none", "name": {"not": "a name"}}  # to be read nowhere
        event = world.event("product.updated", unknown, created=2_000_000_000)
        world.deliver(event)
        world.eventually(lambda: world.status_of(event), "failed")
        environment = world.environment()

        retried = run("events", "retry", "--dead", cwd=tmp_path, **environment)
        assert (retried.returncode, "failed" in retried.stdout) == (1, True)

        healthy = world.event("product.updated", {**product, "name": "Healthy"}, created=2_000_000_001)
        world.deliver(healthy)
        replayed = run("events", "replay", healthy["id"], cwd=tmp_path, **environment)
        assert (replayed.returncode, "1 events" in replayed.stdout) == (0, True)


def test_an_unknown_event_is_said_to_be_unknown(tmp_path, sqlite_url):
    for words in (("events", "show"), ("events", "retry"), ("events", "replay"), ("outbox", "retry")):
        result = run(*words, "evt_none", cwd=tmp_path, DATABASE_URL=sqlite_url)
        assert (result.returncode, re.search("no (event|message) evt_none", result.stdout) is None) == (1, False)
