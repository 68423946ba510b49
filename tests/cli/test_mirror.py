"""`gateway sync` and `gateway reconcile`."""

import asyncio
import re

from harness.command import run
from harness.databases import both_databases
from harness.gateway import fill_mirror, make_world


@both_databases
def test_sync_fills_an_empty_mirror_and_prints_the_counts(tmp_path, database_url):
    with make_world(database_url, fill=False) as world:
        assert world.data("{ products { edges { node { id } } } }")["products"]["edges"] == []
        result = run("sync", cwd=tmp_path, **world.environment())
        assert result.returncode == 0, result.stdout
        at_stripe = world.stripe("GET", "/v1/products", limit=100)["data"]
        assert re.search(rf"product\s.*{len(at_stripe)}", result.stdout)
        world.eventually(lambda: bool(world.data("{ products { edges { node { id } } } }")["products"]["edges"]))


def test_reconcile_exits_1_where_the_copy_differs_and_0_once_it_is_repaired(tmp_path, sqlite_url):
    with make_world(sqlite_url, fill=False, event_catch_up_minutes=0) as world:
        world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
        world.client.post(f"{world.stripe_url}/_sandbox/clock/advance", json={"by": 3600})  # no event is news any more
        asyncio.run(fill_mirror(world.settings))
        changed = world.stripe("GET", "/v1/products", limit=1)["data"][0]
        world._execute("UPDATE product SET unit_label = 'ounce', name = 'Wrong' WHERE id = :id", {"id": changed["id"]})
        lost = world.stripe("POST", "/v1/customers", email="ada@example.com")

        found = run("reconcile", cwd=tmp_path, **world.environment())
        assert found.returncode == 1, found.stdout
        assert re.search(r"[1-9]\d* of them were not here", found.stdout)
        assert f'product {changed["id"]}: name differs; unit_label is "ounce" here and null at Stripe' in found.stdout
        assert "1 differences" in found.stdout
        assert world.rows("customer", id=lost["id"])  # its event, which nobody delivered, was found

        world.stripe("POST", f"/v1/customers/{lost['id']}", name="Ada")  # and so recent that it may be on its way
        mended = run("reconcile", "--repair", cwd=tmp_path, **world.environment())
        assert "(on its way, or lost here): now recorded" in mended.stdout
        assert mended.returncode == 0, mended.stdout
        assert world.rows("product", id=changed["id"])[0]["name"] == changed["name"]
