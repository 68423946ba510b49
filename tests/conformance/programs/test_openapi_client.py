"""A client that openapi-python-client generates from `/openapi.json`, without a warning, asks the gateway."""

import json
import os
import sys

import pytest

from harness.gateway import SERVICE_TOKEN
from harness.programs import python_packages, run

PINNED = ["openapi-python-client==0.29.1"]

pytestmark = pytest.mark.soak  # other people's programs are installed; `make programs` runs them

ASK = """
import json, sys
from billing_gateway_client import AuthenticatedClient, Client
from billing_gateway_client.api.access import access, access_of_all
from billing_gateway_client.api.open_feature import evaluate_flag, evaluate_flags
from billing_gateway_client.api.operations import healthz
from billing_gateway_client.models import Evaluation, EvaluationContext
url, token = sys.argv[1:]
client, stranger = (AuthenticatedClient(base_url=url, token=each) for each in (token, "wrong"))
wanted = Evaluation(context=EvaluationContext(targeting_key="ada"))
answers = [
    access.sync(client=client, external_id="ada", feature="sso"),
    access_of_all.sync(client=client, external_id="ada", features="sso,projects"),
    evaluate_flag.sync(client=client, key="sso", body=wanted),
    evaluate_flags.sync(client=client, body=wanted),
    access.sync(client=stranger, external_id="ada", feature="sso"),
    healthz.sync(client=Client(base_url=url)),
]
print(json.dumps([each.to_dict() for each in answers]))
"""


def test_a_generated_client_asks_for_access(shop, tmp_path):
    packages = python_packages("openapi-python-client", PINNED)
    description = tmp_path / "openapi.json"
    description.write_text(shop.client.get(f"{shop.url}/openapi.json").text)
    where = {"PYTHONPATH": f"{packages}:{tmp_path}", "PATH": f"{packages / 'bin'}:{os.environ['PATH']}"}
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--path", description]
    options = ["--output-path", tmp_path / "billing_gateway_client", "--meta", "none", "--fail-on-warning"]
    run([*generate, *options], cwd=tmp_path, **where)
    answers = json.loads(run([sys.executable, "-c", ASK, shop.url, SERVICE_TOKEN], **where))
    decided, several, flag, flags, refused, health = answers
    assert (decided["allowed"], decided["reason"], decided["subscription"]) == (False, "NO_SUBSCRIPTION", None)
    assert several["features"].keys() == {"sso", "projects"}
    assert (flag["key"], flag["value"], flag["metadata"]["reason"]) == ("sso", False, "NO_SUBSCRIPTION")
    assert flag in flags["flags"]
    assert refused["error"]["code"] == "UNAUTHENTICATED"
    assert health == {"status": "ok"}
