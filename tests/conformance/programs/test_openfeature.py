"""OpenFeature's own providers, for Python and for JavaScript in servers and in pages, ask the gateway."""

import json
import sys
from pathlib import Path

import pytest

from harness.gateway import SERVICE_TOKEN, connected, make_world
from harness.programs import node_packages, python_packages, run
from harness.rows import NOW, customer, item, product, put, subscription

PROJECT = Path(__file__).with_name("openfeature")
PYTHON = [
    "openfeature-provider-ofrep==0.3.0",
    "openfeature-sdk==0.10.0",
    "requests==2.34.2",
]

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them


@pytest.fixture
def world(sqlite_url):
    """Ada has bought boards; the catalogue has sso as well."""
    with connected(sqlite_url) as connection:
        pro = product("pro", meta={"features": "boards"})
        put(connection, pro, product("large", meta={"features": "sso"}), customer(external_id="ada"))
        put(connection, subscription(as_of=int(NOW.timestamp())), item("si_1", "month", "pro"))
    with make_world(sqlite_url, fill=False) as made:
        yield made


def test_the_provider_for_python(world):
    packages = python_packages("openfeature", PYTHON)
    command = [sys.executable, PROJECT / "flags.py", world.url, SERVICE_TOKEN, "ada"]
    assert json.loads(run(command, PYTHONPATH=str(packages))) == [
        [True, None, "ACTIVE"],
        [False, None, "NOT_INCLUDED"],
        [False, None, "NOT_INCLUDED"],
        [True, "TARGETING_KEY_MISSING", None],  # the default value
    ]


def test_the_providers_for_javascript(world):
    project = node_packages(PROJECT)
    token = world.token("ada")["Authorization"].removeprefix("Bearer ")
    command = ["node", project / "flags.mjs", world.url, SERVICE_TOKEN, "ada", token]
    found = json.loads(run(command, cwd=project))
    allowed = {"value": True, "reason": "TARGETING_MATCH", "variant": "allowed", "why": "ACTIVE"}
    refused = {"value": False, "reason": "TARGETING_MATCH", "variant": "refused", "why": "NOT_INCLUDED"}
    nobody = found["server"].pop("nobody")
    assert found["server"] == {"boards": allowed, "sso": refused, "nothing": refused}
    assert (nobody["value"], nobody["errorCode"]) == (False, "TARGETING_KEY_MISSING")
    assert found["page"] == {"boards": allowed, "sso": refused}
