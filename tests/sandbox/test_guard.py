"""What a page of another site can do to an offline Stripe on a developer's machine: nothing."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway.sandbox.guard import Guard
from gateway.settings import Settings
from gateway.web.demo.sign_in import sign_in_routes

KEY = ("sk_test_x", "")
EVIL = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
REBOUND = {"Host": "evil.example:12111", "Origin": "http://evil.example:12111", "Sec-Fetch-Site": "same-origin"}
SENDERS = (EVIL, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, REBOUND)


def test_a_form_with_a_key_in_its_address_makes_no_endpoint(sandbox_server):
    form = {"url": "https://evil.example/hook", "enabled_events[0]": "*"}
    for sender in SENDERS:
        answer = httpx.post(f"{sandbox_server.url}/v1/webhook_endpoints", data=form, auth=KEY, headers=sender)
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "invalid_request_error"), sender
    assert sandbox_server.client().v1.webhook_endpoints.list().data == []


def test_another_site_pulls_no_lever(sandbox_server):
    product = sandbox_server.client().v1.products.create({"name": "Tea"})
    before = sandbox_server.sandbox.now()
    for lever in ("reset", "import", "clock/advance", "chaos"):
        for sender in SENDERS:
            answer = httpx.post(f"{sandbox_server.url}/_sandbox/{lever}", json={"by": 86_400}, headers=sender)
            assert answer.status_code == 403, (lever, sender)
    assert sandbox_server.sandbox.now() - before < 600
    assert sandbox_server.client().v1.products.retrieve(product.id).name == "Tea"


def test_a_rebound_name_reads_nothing_and_another_site_embeds_nothing_that_is_for_programs(sandbox_server):
    for path in ("/_sandbox/export", "/_sandbox/deliveries", "/_sandbox/clock", "/v1/customers", "/"):
        answer = httpx.get(f"{sandbox_server.url}{path}", auth=KEY, headers=REBOUND)
        assert (answer.status_code, "--allow-host evil.example" in answer.text) == (403, True), path
    for path in ("/_sandbox/export", "/v1/events"):
        assert httpx.get(f"{sandbox_server.url}{path}", auth=KEY, headers=EVIL).status_code == 403, path
    assert httpx.get(sandbox_server.url, headers=EVIL).status_code == 200  # a link to a page is no attack


def test_another_site_opens_no_socket(sandbox_server):
    made = httpx.post(f"{sandbox_server.url}/v1/stripecli/sessions", data={"device_name": "x"}, auth=KEY).json()
    headers = {"websocket-id": made["websocket_id"]}
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws{sandbox_server.url[4:]}/subscribe", origin="https://evil.example", additional_headers=headers)


def test_the_names_that_lead_to_this_machine_alone_are_its_own_and_others_are_allowed_by_name(sandbox_factory):
    given = sandbox_factory(allowed_hosts=("Stripe",), public_url="http://pay.example:12111")
    ours = ["localhost:12111", "LOCALHOST", "a.localhost", "127.0.0.1:1", "192.168.1.5", "[::1]:80", "stripe:12111"]
    for host in (*ours, "pay.example:12111"):
        same_site = {"Host": host, "Origin": f"http://{host}"}
        made = httpx.post(f"{given.url}/v1/customers", data={"name": "Ada"}, auth=KEY, headers=same_site)
        assert made.status_code == 200, host
    for host in ("another", "127.0.0.1.evil.example", "localhost.evil.example", "", "0x7f000001", "[::1"):
        answer = httpx.get(f"{given.url}/v1/customers", auth=KEY, headers={"Host": host})
        assert answer.status_code in {400, 403}, host


async def test_a_rebound_name_does_not_sign_in():
    settings = Settings.load(auth_hs256_secret="a-secret-of-the-test-with-many-characters")
    guarded = Starlette(routes=sign_in_routes(settings, [Middleware(Guard, ("shop.local",), only_names=True)]))
    body = {"email": "ada@example.com"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://127.0.0.1:8000") as client:
        assert (await client.post("/dev/sign-in", json=body, headers=REBOUND)).status_code == 403
        for host in ("127.0.0.1:8000", "localhost:8000", "shop.local"):
            answer = await client.post("/dev/sign-in", json=body, headers={"Host": host})
            assert answer.json()["user"]["email"] == body["email"], host
