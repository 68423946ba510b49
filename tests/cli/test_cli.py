"""The command line."""

import asyncio
import re

import pytest

from harness.command import commands, run
from harness.databases import both_databases
from harness.gateway import SECRET, fill_mirror, make_world


def environment_of(world):
    """What an operator of this world would have set."""
    return {
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": world.stripe_url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": world.settings.database_url.get_secret_value(),
        "GATEWAY_REDIRECT_ORIGINS": "https://shop.example",
    }


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_every_command_and_option_has_help(name, command):
    assert command.help
    assert all(getattr(option, "help", None) for option in command.params)


WRONG = {
    "a webhook secret that is none": ({"STRIPE_WEBHOOK_SECRET": "abc"}, "STRIPE_WEBHOOK_SECRET"),
    "a redirect origin with a wildcard": ({"GATEWAY_REDIRECT_ORIGINS": "*"}, "GATEWAY_REDIRECT_ORIGINS"),
    "a redirect origin with a path": ({"GATEWAY_REDIRECT_ORIGINS": "https://a.example/x"}, "GATEWAY_REDIRECT_ORIGINS"),
    "a redirect origin of another scheme": (
        {"GATEWAY_REDIRECT_ORIGINS": "ftp://a.example"},
        "GATEWAY_REDIRECT_ORIGINS",
    ),
    "a database of another make": ({"DATABASE_URL": "mysql://user:hunter2@host/x"}, "DATABASE_URL"),
    "a database URL that is none": ({"DATABASE_URL": "hunter2"}, "DATABASE_URL"),
    "no key": ({"STRIPE_SECRET_KEY": ""}, "STRIPE_SECRET_KEY"),
    "a live key for another address": ({"STRIPE_SECRET_KEY": "sk_live_hunter2"}, "STRIPE_API_BASE"),
    "a manifest that is not there": ({"GATEWAY_TRUSTED_DOCUMENTS": "away.json"}, "GATEWAY_TRUSTED_DOCUMENTS"),
    "trusted documents alone, and none": ({"GATEWAY_TRUSTED_DOCUMENTS_ONLY": "on"}, "GATEWAY_TRUSTED_DOCUMENTS"),
    "a quantity of nought": ({"GATEWAY_MAX_QUANTITY": "0"}, "GATEWAY_MAX_QUANTITY"),
}


@pytest.mark.parametrize(("wrong", "named"), list(WRONG.values()), ids=list(WRONG))
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it_and_shows_no_secret(tmp_path, wrong, named):
    right = {
        "STRIPE_SECRET_KEY": "sk_test_x",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "DATABASE_URL": "sqlite:///x.db",
    }
    result = run("serve", "--port", "1", cwd=tmp_path, **right | wrong)
    assert result.returncode == 1
    assert named in result.stdout
    assert len(result.stdout.strip().splitlines()) == 1
    assert "hunter2" not in result.stdout


def test_dev_refuses_to_run_beside_a_live_key(tmp_path):
    result = run("dev", cwd=tmp_path, STRIPE_SECRET_KEY="sk_live_hunter2")
    assert result.returncode == 1
    assert "live key" in result.stdout
    assert "hunter2" not in result.stdout


@both_databases
def test_sync_fills_an_empty_mirror_and_prints_the_counts(tmp_path, database_url):
    with make_world(database_url, fill=False) as world:
        assert world.data("{ products { edges { node { id } } } }")["products"]["edges"] == []
        result = run("sync", cwd=tmp_path, **environment_of(world))
        assert result.returncode == 0, result.stdout
        at_stripe = world.stripe("GET", "/v1/products", limit=100)["data"]
        assert re.search(rf"product\s.*{len(at_stripe)}", result.stdout)
        world.eventually(lambda: bool(world.data("{ products { edges { node { id } } } }")["products"]["edges"]))


def test_an_operator_applies_a_failed_event_again(tmp_path, sqlite_url):
    with make_world(sqlite_url) as world:
        product = world.stripe("GET", "/v1/products", limit=1)["data"][0]
        unknown = {**product, "id": "prod/none", "name": {"not": "a name"}}  # to be read nowhere
        event = world.event("product.updated", unknown, created=2_000_000_000)
        world.deliver(event)
        world.eventually(lambda: world.status_of(event), "failed")
        environment = environment_of(world)

        retried = run("events", "retry", "--dead", cwd=tmp_path, **environment)
        assert (retried.returncode, "failed" in retried.stdout) == (1, True)

        healthy = world.event("product.updated", {**product, "name": "Healthy"}, created=2_000_000_001)
        world.deliver(healthy)
        replayed = run("events", "replay", healthy["id"], cwd=tmp_path, **environment)
        assert (replayed.returncode, "1 events" in replayed.stdout) == (0, True)


def test_reconcile_exits_1_where_the_copy_differs_and_0_once_it_is_repaired(tmp_path, sqlite_url):
    with make_world(sqlite_url, fill=False, event_catch_up_minutes=0) as world:
        world.client.post(f"{world.stripe_url}/_sandbox/chaos", json={"drop": 1})
        world.client.post(f"{world.stripe_url}/_sandbox/clock/advance", json={"by": 3600})  # no event is news any more
        asyncio.run(fill_mirror(world.settings))
        changed = world.stripe("GET", "/v1/products", limit=1)["data"][0]
        world._execute("UPDATE product SET unit_label = 'ounce', name = 'Wrong' WHERE id = :id", {"id": changed["id"]})
        lost = world.stripe("POST", "/v1/customers", email="ada@example.com")

        found = run("reconcile", cwd=tmp_path, **environment_of(world))
        assert found.returncode == 1, found.stdout
        assert f'product {changed["id"]}: name differs; unit_label is "ounce" here and null at Stripe' in found.stdout
        assert "1 differences" in found.stdout
        assert world.rows("customer", id=lost["id"])  # its event, which nobody delivered, was found

        mended = run("reconcile", "--repair", cwd=tmp_path, **environment_of(world))
        assert mended.returncode == 0, mended.stdout
        assert world.rows("product", id=changed["id"])[0]["name"] == changed["name"]


def test_an_unknown_event_is_said_to_be_unknown(tmp_path, sqlite_url):
    result = run("events", "show", "evt_none", cwd=tmp_path, DATABASE_URL=sqlite_url)
    assert (result.returncode, "no event evt_none" in result.stdout) == (1, True)


def test_the_doctor_finds_what_is_missing_and_says_the_mend(tmp_path, sqlite_url):
    with make_world(sqlite_url) as world:
        healthy = run("doctor", cwd=tmp_path, **environment_of(world))
        assert healthy.returncode == 0, healthy.stdout
        assert len(healthy.stdout.splitlines()) == 10  # a line each, however narrow the window
        odd = "https://a-name-that-is-longer-than-windows-are.shop.example, http://[fe80::1]:3000"
        assert odd in run("doctor", cwd=tmp_path, **environment_of(world) | {"GATEWAY_REDIRECT_ORIGINS": odd}).stdout
        ill = run("doctor", cwd=tmp_path, **environment_of(world) | {"GATEWAY_REDIRECT_ORIGINS": ""})
        assert ill.returncode == 1
        assert "GATEWAY_REDIRECT_ORIGINS" in ill.stdout
    down = run("doctor", cwd=tmp_path, **environment_of(world))
    assert (down.returncode, "cannot be reached" in down.stdout) == (1, True)


def test_the_doctor_finds_a_database_that_is_not_migrated(tmp_path):
    result = run("doctor", cwd=tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/new.db")
    assert result.returncode == 1
    assert "gateway db upgrade" in result.stdout
