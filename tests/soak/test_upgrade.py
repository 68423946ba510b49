"""An old process and a new schema live side by side, as while machines are upgraded one after the other.

The old one is the last tagged version; where there is no tag, the commit before the newest migration, whose tables are
the ones that matter here. It is taken from this repository's history: a shallow clone lacks it, and the test says so.
"""

import io
import subprocess
import tarfile
from pathlib import Path

import httpx
import pytest

from harness.checkout import buy
from harness.command import run
from harness.databases import both_databases
from harness.gateway import SERVICE, World, make_world
from harness.paths import ROOT
from harness.servers import serving

pytestmark = pytest.mark.soak
SPEND = """mutation($key: String!) { spendCredits(input: {externalId: "ada", amount: 7, idempotencyKey: $key}) {
    entry { id balance } userErrors { code } } }"""
USE = """mutation($key: String!) { reportUsage(input: {externalId: "ada", eventName: "api_calls", value: 5,
    identifier: $key}) { userErrors { code } } }"""
MIGRATIONS = "gateway/migrations/versions"


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def old_version(tmp_path_factory) -> Path:
    """The folder of the version before."""
    try:
        tags = git("tag", "--merged", "HEAD", "--sort=-v:refname", "v*").decode().split()
        newest = git("log", "-1", "--diff-filter=A", "--format=%H", "--", MIGRATIONS).decode().strip()
        packed = git("archive", tags[0] if tags else f"{newest}^", "gateway")
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("this clone has no history before the newest migration: fetch it (git fetch --unshallow)")
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@both_databases
def test_the_version_before_goes_on_beside_the_tables_of_this_one(database_url, old_version, tmp_path):
    known = {path.name for path in (old_version / MIGRATIONS).glob("[0-9]*.py")}
    assert known < {path.name for path in (ROOT / MIGRATIONS).glob("[0-9]*.py")}
    with make_world(database_url) as new:
        settings = new.settings
        environment = new.environment() | {
            "PYTHONPATH": str(old_version),
            "GATEWAY_SERVICE_TOKEN": settings.service_tokens[0].get_secret_value(),
            "AUTH_HS256_SECRET": settings.auth_hs256_secret.get_secret_value(),
        }
        with serving(environment) as (port, _):
            old = World(f"http://127.0.0.1:{port}", new.stripe_url, new.sandbox, settings, new.client)
            assert httpx.get(f"{old.url}/readyz").json() == {"status": "ok"}
            ada = new.token("ada", email="ada@example.com")
            buy(old, ada, "business_monthly")
            buy(new, new.token("bob", email="bob@example.com"), "starter_monthly")
            for world in (old, new):
                for user in ("ada", "bob"):
                    world.eventually(lambda world=world, user=user: reason(world, user), "ACTIVE")
            new.eventually(lambda: [row["balance"] for row in new.rows("credit_account")], [10_000])
            spent = [world.data(SPEND, {"key": "same"}, SERVICE)["spendCredits"] for world in (old, new, old)]
            assert [each["entry"] for each in spent] == [{"id": spent[0]["entry"]["id"], "balance": 9_993}] * 3
            for number, world in enumerate((old, new) * 10):
                told = world.data(SPEND, {"key": f"{number}"}, SERVICE)["spendCredits"]
                assert told["entry"]["balance"] == 9_993 - 7 * (number + 1)
                assert world.data(USE, {"key": f"{number}"}, SERVICE)["reportUsage"]["userErrors"] == []
            new.eventually(lambda: {row["status"] for row in new.rows("usage_record")}, {"sent"})
            (plan,) = new.rows("subscription", customer_id=new.rows("customer", external_id="bob")[0]["id"])
            gone = new.stripe("DELETE", f"/v1/subscriptions/{plan['id']}")
            told = old.deliver(new.event("customer.subscription.deleted", gone), url=old.url)
            assert told.status_code == 200, told.text
            for world in (old, new):
                world.eventually(lambda world=world: reason(world, "bob"), "CANCELED")
            new.eventually(lambda: new.rows("event", status="pending") + new.rows("event", status="failed"), [])
        said = run("reconcile", cwd=tmp_path, **new.environment())
        assert (said.returncode, "0 differences" in said.stdout) == (0, True), said.stdout


def reason(world: World, user: str) -> str:
    """Why a user may use a feature that all plans have, or may not."""
    return str(httpx.get(f"{world.url}/access/{user}/projects", headers=SERVICE).json()["reason"])
