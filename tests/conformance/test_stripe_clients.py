"""Judges that nobody here wrote: the real Stripe CLI and the official Node SDK, only with another base address."""

import json
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import stripe
from conformance.triggers import TRIGGERS, out_of_scope

from harness.npm import install
from harness.waiting import eventually

JUDGES = Path(__file__).parent / "stripe_clients"
KEY = "sk_test_1234567890123456"

pytestmark = pytest.mark.soak  # it takes a while


@pytest.fixture(scope="session")
def judges() -> Path:
    return install(JUDGES, "the judgement of the Stripe CLI and of the Node SDK is")


@pytest.fixture
def cli(judges, sandbox_server, tmp_path):
    """Run the real Stripe CLI against the sandbox: its exit code and everything that it printed."""
    binary = judges / "@stripe/cli-linux-x64/bin/stripe"

    def run(*arguments, check=True):
        result = subprocess.run(
            [binary, *arguments, "--api-key", KEY, "--api-base", sandbox_server.url],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert not check or result.returncode == 0, result.stdout
        return result.stdout

    return run


def test_every_trigger_of_the_cli_is_either_played_or_has_a_reason(cli):
    listed = re.findall(r"^  ([a-z_0-9]+\.[a-z_.0-9]+)$", cli("trigger", "--help"), re.MULTILINE)
    assert set(TRIGGERS) <= set(listed)
    assert [event for event in listed if event not in TRIGGERS and not out_of_scope(event)] == []


@pytest.mark.parametrize("event", TRIGGERS)
def test_the_cli_triggers(cli, sandbox_server, event):
    output = cli("trigger", event)
    assert "Trigger succeeded" in output
    # What a bank answers later (asynchronous payments) comes now.
    httpx.post(f"{sandbox_server.url}/_sandbox/clock/advance", json={"by": 3600}).raise_for_status()
    # `subscription.payment_failed` and its like are names of the CLI's own, not event types
    if not event.startswith("subscription."):
        kinds = {found["type"] for found in sandbox_server.sandbox.store.find("event")}
        assert event in kinds, f"the trigger ran, but the sandbox sent only {sorted(kinds)}"


def test_what_is_out_of_scope_is_refused_as_stripe_refuses_it(cli):
    with ThreadPoolExecutor(2) as pool:
        events = ["reporting.report_run.succeeded", "topup.created", "identity.verification_session.created"]
        for event, output in zip(events, pool.map(lambda name: cli("trigger", name, check=False), events), strict=True):
            assert "Trigger succeeded" not in output, f"{event} works now: move it to TRIGGERS"
            assert "Unrecognized request URL" in output


def test_get_post_and_the_resource_commands(cli):
    created = json.loads(cli("post", "/v1/customers", "-d", "email=ada@example.com", "-d", "metadata[plan]=pro"))
    assert (created["email"], created["metadata"]) == ("ada@example.com", {"plan": "pro"})
    assert json.loads(cli("get", f"/v1/customers/{created['id']}"))["id"] == created["id"]
    assert json.loads(cli("customers", "retrieve", created["id"]))["id"] == created["id"]
    product = json.loads(cli("products", "create", "--name", "Tea"))
    listed = json.loads(cli("products", "list", "--limit", "3"))
    assert [found["id"] for found in listed["data"]] == [product["id"]]
    updated = json.loads(cli("products", "update", product["id"], "--name", "Green tea"))
    assert updated["name"] == "Green tea"
    deleted = cli("products", "delete", product["id"], "--confirm")
    assert '"deleted": true' in deleted  # behind a line of the CLI's own


def test_a_checkout_from_the_command_line(cli):
    price = json.loads(
        cli("prices", "create", "--currency", "usd", "--unit-amount", "1200", "-d", "product_data[name]=Tea")
    )
    session = json.loads(
        cli(
            *("checkout", "sessions", "create", "--mode", "payment", "--success-url", "https://shop.example/ok"),
            *("-d", f"line_items[0][price]={price['id']}", "-d", "line_items[0][quantity]=2"),
        )
    )
    assert (session["amount_total"], session["status"], session["payment_status"]) == (2400, "open", "unpaid")


def test_a_fixture_file_runs_with_its_references(cli, sandbox_server, tmp_path):
    scene = {
        "_meta": {"template_version": 0},
        "fixtures": [
            {"name": "who", "path": "/v1/customers", "method": "post", "params": {"email": "grace@example.com"}},
            {"name": "what", "path": "/v1/products", "method": "post", "params": {"name": "Tea"}},
            {
                "name": "how_much",
                "path": "/v1/prices",
                "method": "post",
                "params": {"product": "${what:id}", "currency": "eur", "unit_amount": 900},
            },
        ],
    }
    (tmp_path / "scene.json").write_text(json.dumps(scene))
    cli("fixtures", str(tmp_path / "scene.json"))
    (price,) = sandbox_server.sandbox.store.find("price")
    (product,) = sandbox_server.sandbox.store.find("product")
    assert (price["product"], price["unit_amount"]) == (product["id"], 900)


def test_listen_forwards_every_event_signed(judges, sandbox_server, receiver, tmp_path):
    listening = subprocess.Popen(
        [
            *(judges / "@stripe/cli-linux-x64/bin/stripe", "listen", "--no-wss", "--skip-update"),
            *("--all-snapshot", "--forward-to", receiver.url, "--api-key", KEY, "--api-base", sandbox_server.url),
        ],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines, ready = [], threading.Event()

    def follow():
        for line in listening.stdout:
            lines.append(line)
            if "Ready!" in line:
                ready.set()

    following = threading.Thread(target=follow, daemon=True)
    following.start()
    try:
        assert ready.wait(20), "".join(lines)
        sandbox_server.client().v1.customers.create({"email": "ada@example.com"})
        assert receiver.wait_for(1) == ["customer.created"]
        body, headers = receiver.arrived[0][:2]
        secret = re.search(r"whsec_\w+", "".join(lines))[0]
        assert stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret).type == "customer.created"
        sandbox = sandbox_server.sandbox
        assert eventually(lambda: sandbox.deliveries.find(status="delivered"))[0]["attempts"][0]["status"] == 200
        assert sandbox_server.client().v1.webhook_endpoints.list().data == []
    finally:
        listening.terminate()
        listening.wait(10)
        following.join(10)
        listening.stdout.close()
    eventually(lambda: sandbox.store.count("webhook_endpoint"), 0)  # the CLI is gone


def test_the_node_sdk_lives_through_a_subscription(judges, sandbox_server):
    script = JUDGES / "life.mjs"
    result = subprocess.run(
        ["node", script, sandbox_server.url], cwd=JUDGES, text=True, capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the Node SDK is content" in result.stdout
