"""State: what survives a restart and a kill, scenes, the sample catalogue."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
import stripe

from gateway.sandbox import SandboxOptions, create_sandbox
from harness.waiting import answering, free_port

SERVE = """
import sys, uvicorn
from pathlib import Path
from gateway.sandbox import SandboxOptions, create_sandbox
app = create_sandbox(SandboxOptions(path=Path(sys.argv[1]), catalog=False))
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


def opened(path, **options):
    return create_sandbox(SandboxOptions(path=path, **options)).state.sandbox


def test_everything_is_there_after_a_restart(tmp_path):
    path = tmp_path / "state" / "stripe.sqlite"
    first = opened(path, catalog=False)
    customer = first.call("POST", "/v1/customers", {"email": "a@example.com"})
    first.clock.advance(first.now() + 86_400)
    later = first.now()
    first.close()
    second = opened(path, catalog=False)
    assert second.call("GET", f"/v1/customers/{customer['id']}") == customer
    assert second.now() >= later
    assert second.call("GET", "/v1/events")["data"][0]["type"] == "customer.created"
    second.close()


def test_a_kill_loses_nothing_that_was_answered(tmp_path):
    path = tmp_path / "stripe.sqlite"
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", SERVE, str(path), str(port)])
    client = stripe.StripeClient("sk_test_1", base_addresses={"api": f"http://127.0.0.1:{port}"})
    answering(f"http://127.0.0.1:{port}/_sandbox/state", server)
    answered = [client.v1.products.create({"name": str(n)}).id for n in range(25)]
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    again = opened(path, catalog=False)
    found = again.call("GET", "/v1/products", {"limit": 100})["data"]
    assert [each["id"] for each in reversed(found)] == answered
    again.close()


def test_an_unfinished_delivery_is_made_after_a_restart(tmp_path, sandbox_factory, receiver):
    path = tmp_path / "stripe.sqlite"
    asleep = opened(path, catalog=False, forward_to=receiver.url, webhook_secret="whsec_x")
    asleep.call("POST", "/v1/customers", {})
    asleep.close()
    sandbox_factory(path=path, forward_to=receiver.url)
    assert receiver.wait_for(1) == ["customer.created"]
    stripe.Webhook.construct_event(receiver.arrived[0][0], receiver.arrived[0][1]["Stripe-Signature"], "whsec_x")


def test_the_sample_catalogue_is_a_companys(sandbox_factory):
    v1 = sandbox_factory(catalog=True).client().v1
    products = v1.products.list({"active": True, "expand": ["data.default_price.currency_options"]}).data
    assert [each.name for each in products][:4] == ["Starter", "Pro", "Team", "Business"]
    assert all(each.description and each.metadata["sort_order"] for each in products)
    currencies = set(products[0].default_price.currency_options.to_dict())
    assert {"usd", "eur", "jpy"} <= currencies
    assert v1.products.list({"active": False}).data
    team = v1.prices.list({"lookup_keys": ["team_monthly"], "expand": ["data.tiers"]}).data[0]
    assert [tier.up_to for tier in team.tiers] == [10, 50, None]


def test_the_catalogue_has_the_same_ids_every_time():
    first, second = create_sandbox().state.sandbox, create_sandbox().state.sandbox
    prices = [sandbox.call("GET", "/v1/prices", {"limit": 100})["data"] for sandbox in (first, second)]
    assert [each["id"] for each in prices[0]] == [each["id"] for each in prices[1]]


def test_a_reset_begins_again(sandbox_factory):
    server = sandbox_factory(catalog=True)
    v1 = server.client().v1
    before = [each.id for each in v1.products.list({"limit": 100}).data]
    v1.customers.create({})
    v1.products.create({"name": "Mine"})
    httpx.post(f"{server.url}/_sandbox/reset", json={})
    assert [each.id for each in v1.products.list({"limit": 100}).data] == before
    assert v1.customers.list().data == []


def test_a_scene_can_be_carried_to_another_sandbox(sandbox_factory, tmp_path):
    first = sandbox_factory()
    customer = first.client().v1.customers.create({"name": "Ada", "payment_method": "pm_card_visa"})
    scene = httpx.get(f"{first.url}/_sandbox/export").json()
    path = tmp_path / "scene.json"
    path.write_text(json.dumps(scene))
    second = sandbox_factory(seed=path)
    assert second.client().v1.customers.retrieve(customer.id).name == "Ada"
    assert len(second.client().v1.customers.payment_methods.list(customer.id).data) == 1


def test_a_fixture_file_of_the_stripe_cli_fills_a_sandbox(sandbox_server):
    document = {
        "_meta": {"template_version": 0},
        "fixtures": [
            {"name": "cust", "path": "/v1/customers", "method": "post", "params": {"name": "Ada"}},
            {
                "name": "pm",
                "path": "/v1/payment_methods/pm_card_visa/attach",
                "method": "post",
                "params": {"customer": "${cust:id}"},
            },
        ],
    }
    answer = httpx.post(f"{sandbox_server.url}/_sandbox/import", json=document)
    assert answer.json() == {"loaded": 2}
    customer = sandbox_server.client().v1.customers.list().data[0]
    assert len(sandbox_server.client().v1.customers.payment_methods.list(customer.id).data) == 1


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"something": 1}, "neither `fixtures`"),
        (
            {"fixtures": [{"name": "a", "path": "/v1/products", "params": {}}]},
            "`a` was refused: Missing required param",
        ),
        ({"fixtures": [{"name": "a", "path": "/v1/products", "params": {"name": "${b:id}"}}]}, "'b' is not there"),
    ],
)
def test_a_file_that_is_no_scene_says_why_and_leaves_nothing(sandbox_server, document, complaint):
    answer = httpx.post(f"{sandbox_server.url}/_sandbox/import", json=document)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]
    assert sandbox_server.sandbox.store.count("product") == 0
