"""Schemathesis, from the API's own descriptions: the GraphQL schema, the REST routes, and the webhook."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.gateway import SERVICE
from harness.paths import TESTS

pytestmark = pytest.mark.soak  # it takes a while
ST = Path(sys.executable).with_name("st")
WEBHOOK = {
    "post": {
        "requestBody": {"content": {"application/json": {"schema": {}}}},
        "parameters": [{"in": "header", "name": "stripe-signature", "schema": {"type": "string"}}],
        "responses": {"400": {"description": "Not genuine", "content": {"application/json": {"schema": {}}}}},
    }
}
UNSIGNED = "positive_data_acceptance"  # the check that is left out: nothing that is thrown together is signed


def fuzz(folder, headers, *arguments, **environment):
    """Let schemathesis look, on every run for the same; fail with what it finds."""
    sent = ("--header", f"Authorization: {headers['Authorization']}")
    result = subprocess.run(
        [ST, "run", *arguments, *sent, "--generation-deterministic", "--no-shrink", "--no-color"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\b(\d{2,}) generated, \1 passed", result.stdout), result.stdout


def test_nothing_is_found_on_the_rest_routes_and_the_webhook(shop, tmp_path):
    description = shop.client.get(f"{shop.url}/openapi.json").json()
    access = {"/access/{external_id}", "/access/{external_id}/{feature}"}
    flags = {"/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/{key}"}
    assert set(description["paths"]) == {"/healthz", "/readyz", "/metrics", *access, *flags}
    description["paths"]["/webhooks/stripe"] = WEBHOOK
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(description))
    fuzz(tmp_path, SERVICE, path, "--url", shop.url, "--max-examples", "15", "--exclude-checks", UNSIGNED)


def test_nothing_is_found_on_the_graphql_schema(shop, tmp_path):
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(TESTS / "harness")}
    options = ("--max-examples", "10", "--checks", "refusals_are_typed")
    fuzz(tmp_path, shop.sign_in("ada@example.com"), f"{shop.url}/graphql", *options, **hooks)
