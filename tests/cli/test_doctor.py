"""`gateway doctor`."""

import re
import time

import pytest
import sqlalchemy as sa

from gateway.operators.checks import run_checks
from gateway.runtime import open_runtime
from gateway.settings import Settings
from harness.command import run
from harness.databases import both_databases
from harness.gateway import SECRET, make_world
from harness.subscriptions import customer, price_id, settled, subscribe

NEW_SECRET = "whsec_the_next_one"


async def checks_of(world):
    async with open_runtime(world.settings) as runtime:
        return {check.name: check async for check in run_checks(runtime)}


@pytest.fixture
def rotating(sqlite_url):
    """A gateway with the old and the new secret of its endpoint."""
    with make_world(sqlite_url, stripe_webhook_secrets=f"old:{SECRET},new:{NEW_SECRET}") as made:
        yield made


async def test_during_a_rotation_the_doctor_the_metrics_and_the_log_tell_which_secret_is_in_use(rotating, capsys):
    event = rotating.event("a.b", {"object": "thing", "id": "thing_1"})
    rotating.deliver(event)
    assert f"id={event['id']}" in (logged := capsys.readouterr().out)
    assert "secret=old" in logged
    checks = await checks_of(rotating)
    assert re.fullmatch(
        r"old \(last used \d{4}-\d\d-\d\d \d\d:\d\d UTC\), new \(never used\)", checks["webhook secrets"].finding
    )

    rotating.deliver(rotating.event("a.b", {"object": "thing", "id": "thing_1"}), secret=NEW_SECRET)
    checks = await checks_of(rotating)
    assert "new (last used" in checks["webhook secrets"].finding
    used = rotating.metrics()
    for label in ("old", "new"):
        assert time.time() - used["gateway_webhook_secret_last_used_seconds", ("label", label)] < 60


async def test_the_doctor_says_that_an_offline_stripes_time_was_moved(world):
    world.advance(to=world.sandbox.now() + 32 * 86_400)
    clock = (await checks_of(world))["clock"]
    assert re.search(r"its time was moved: .* is 3[12] days, .* ahead of this machine's", clock.finding)
    assert clock.fix is None


@both_databases
async def test_the_doctor_names_a_balance_of_time_that_was_paid_back(world):
    ann = customer(world, "ann")
    bought = subscribe(world, ann, "starter_yearly")
    (charge,) = world.stripe("GET", "/v1/charges", customer=ann)["data"]
    changed = {"items[0][id]": bought["items"]["data"][0]["id"], "items[0][price]": price_id(world, "starter_monthly")}
    world.stripe("POST", f"/v1/subscriptions/{bought['id']}", **changed, proration_behavior="always_invoice")
    left = -world.stripe("GET", f"/v1/customers/{ann}")["balance"]
    assert left > 0
    assert (await checks_of(world))["balances"].fix is None
    world.stripe("POST", "/v1/refunds", charge=charge["id"])
    settled(world, bought["id"])
    world.eventually(lambda: world.rows("charge", id=charge["id"])[0]["amount_refunded"], charge["amount"])
    told = (await checks_of(world))["balances"]
    assert told.finding == f"credit for time that was paid back, in minor units: {ann} {left}"
    assert told.warning
    world.stripe("POST", f"/v1/customers/{ann}", balance=0)  # as the seller would
    assert (await checks_of(world))["balances"].fix is None


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("more", "finding", "fix"),
    [
        ({}, "none: backups are what is left when this server is lost", None),
        ({"options": "-csynchronous_commit=off"}, "synchronous_commit is off: a crash loses what was", "set synchr"),
        ({"host": "/nowhere"}, "DATABASE_URL names several servers, and none follows this one", "let one follow"),
    ],
)
async def test_the_doctor_says_what_is_left_of_answers_when_postgresqls_server_is_lost(
    postgres_url, more, finding, fix
):
    url = sa.make_url(postgres_url)
    hosts = [more.pop("host"), url.query["host"]] if "host" in more else url.query["host"]
    settings = Settings.load(database_url=url.set(query={**more, "host": hosts}).render_as_string(hide_password=False))
    async with open_runtime(settings) as runtime:
        checks = {check.name: check async for check in run_checks(runtime)}
    found = checks["standby"]
    assert found.finding.startswith(finding)
    assert (found.fix or "").startswith(fix or "")
    assert found.warning == (found.fix is not None) == (fix is not None)


def test_the_doctor_finds_what_is_missing_and_says_the_fix(tmp_path, sqlite_url):
    with make_world(sqlite_url) as world:
        healthy = run("doctor", cwd=tmp_path, **world.environment())
        assert healthy.returncode == 0, healthy.stdout
        assert len(healthy.stdout.splitlines()) == 14  # a line each, however narrow the window
        odd = "https://a-name-that-is-longer-than-windows-are.shop.example, http://[fe80::1]:3000"
        assert odd in run("doctor", cwd=tmp_path, **world.environment() | {"GATEWAY_REDIRECT_ORIGINS": odd}).stdout
        ill = run("doctor", cwd=tmp_path, **world.environment() | {"GATEWAY_REDIRECT_ORIGINS": ""})
        assert ill.returncode == 1
        assert "GATEWAY_REDIRECT_ORIGINS" in ill.stdout
    down = run("doctor", cwd=tmp_path, **world.environment())
    assert (down.returncode, "cannot be reached" in down.stdout) == (1, True)


def test_the_doctor_finds_a_database_that_is_not_migrated(tmp_path):
    result = run("doctor", cwd=tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/new.db")
    assert result.returncode == 1
    assert "gateway db upgrade" in result.stdout
