"""`gateway sandbox` as a process of its own: what each of its options promises."""

import json
import socket
import time
from contextlib import contextmanager

import httpx
import pytest
import stripe

from harness.command import Command, run
from harness.waiting import answering

SECRET = "whsec_0123456789abcdef"


@contextmanager
def running(*options):
    """A client of the offline Stripe that these options start, and its address; it is killed at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = Command("sandbox", "--port", str(port), *options)
    base = f"http://127.0.0.1:{port}"
    try:
        answering(f"{base}/_sandbox/state", process)
        yield stripe.StripeClient("sk_test_1", base_addresses={"api": base}), base
    finally:
        process.kill()
        process.wait(10)


def refused(folder, *options):
    """What the command says on its way out."""
    done = run("sandbox", *options, cwd=folder)
    assert done.returncode
    return done.stdout


def test_clock_chaos_and_the_destination_of_events_are_options(receiver):
    options = ["--empty", "--clock", "2027-01-31", "--forward-to", receiver.url, "--secret", SECRET]
    options += ["--events", "product.created, product.deleted", "--chaos", "duplicate=1", "--random-seed", "7"]
    with running(*options) as (client, _):
        product = client.v1.products.create({"name": "Tea"})
        client.v1.products.update(product.id, {"name": "Green tea"})
        client.v1.products.delete(product.id)
        types = receiver.wait_for(4)
    assert sorted(types) == ["product.created"] * 2 + ["product.deleted"] * 2
    assert time.strftime("%Y-%m-%d", time.gmtime(product.created)) == "2027-01-31"
    body, headers = receiver.arrived[0]
    assert stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET).type == "product.created"


def test_the_state_survives_a_kill_and_an_export_seeds_another_sandbox(tmp_path):
    state = tmp_path / "state.db"
    with running("--state", str(state), "--random-seed", "7") as (client, base):
        customer = client.v1.customers.create({"email": "ada@example.com"})
        scene = httpx.get(f"{base}/_sandbox/export").content
    with running("--state", str(state)) as (client, _):
        assert client.v1.customers.retrieve(customer.id).email == "ada@example.com"
    (tmp_path / "scene.json").write_bytes(scene)
    with running("--seed", str(tmp_path / "scene.json")) as (client, _):
        assert client.v1.customers.retrieve(customer.id).email == "ada@example.com"


def test_the_same_random_seed_gives_the_same_ids():
    made = []
    for _ in range(2):
        with running("--empty", "--random-seed", "7") as (client, _):
            made.append(client.v1.products.create({"name": "Tea"}).id)
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--chaos", "drop"], "say NAME=SHARE, such as drop=0.1"),
        (["--chaos", "drop=2"], "a share of all deliveries"),
        (["--chaos", "thunder=1"], "Unknown chaos setting: thunder"),
        (["--clock", "soon"], "neither Unix seconds nor a date"),
        (["--after-retries", "forgive"], "forgive"),
        (["--seed", "nowhere.json"], "nowhere.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_refused_in_a_sentence(options, complaint, tmp_path):
    assert complaint in refused(tmp_path, *options)


def test_a_scene_with_a_refused_request_says_which(tmp_path):
    scene = {"fixtures": [{"name": "tea", "path": "/v1/products", "method": "post", "params": {"colour": "green"}}]}
    (tmp_path / "scene.json").write_text(json.dumps(scene))
    said = refused(tmp_path, "--seed", str(tmp_path / "scene.json"))
    assert "tea" in said
    assert "colour" in said
