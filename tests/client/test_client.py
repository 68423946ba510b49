"""The client for back ends: on its page, against a gateway, and with everything else that the gateway needs missing."""

import json
import subprocess
import sys
from contextlib import closing, nullcontext
from inspect import isawaitable

import httpx
import pytest

from gateway.client import AsyncClient, BillingError, Client, Mutation, Query, Refused, Unavailable, documents
from gateway.client.decisions import Decisions
from gateway.client.documents import CONSUME, CREATE_CHECKOUT_SESSION, CUSTOMERS, UPDATE_CUSTOMER
from gateway.client.generate import generated
from gateway.web.bundle import SOURCES
from gateway.web.documents import documents as known_documents
from harness.gateway import SERVICE_TOKEN, connected, make_world
from harness.npm import needs_node
from harness.pages import blocks
from harness.rows import NOW, customer, item, product, put, subscription
from harness.subscriptions import customer as customer_at_stripe
from harness.subscriptions import price_id, subscribe
from harness.waiting import free_port

ALONE = """
import sys
KNOWN = {"gateway", "httpx", "httpcore", "h11", "anyio", "certifi", "idna", "sniffio", "typing_extensions"}
class Only:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in KNOWN and root not in sys.stdlib_module_names:
            raise ModuleNotFoundError(name, name=root)
sys.meta_path.insert(0, Only())
import gateway.client, gateway.client.documents
loaded = {name for name in sys.modules if name.startswith("gateway")}
assert all(name == "gateway" or name.startswith("gateway.client") for name in loaded), loaded
"""


def test_what_is_generated_from_the_schema_stands_in_the_files():
    stale = [path.name for path, text in generated().items() if path.read_text() != text]
    assert stale == [], "run `python -m gateway.web.generate`"


def test_it_is_imported_where_nothing_is_installed_but_httpx():
    subprocess.run([sys.executable, "-c", ALONE], check=True, timeout=60)


@pytest.fixture(params=[Client, AsyncClient], ids=["threads", "asyncio"])
def connect(request):
    """Makes clients whose methods are awaited, of either kind."""
    return lambda url, token=SERVICE_TOKEN, **options: Awaited(request.param(url, token, **options))


class Awaited:
    def __init__(self, client):
        self._client = client

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    def __getattr__(self, name):
        async def call(*given):
            answer = getattr(self._client, name)(*given)
            return await answer if isawaitable(answer) else answer

        return call


async def test_it_answers_as_the_gateway_does_and_as_it_did_last_while_it_is_away(connect, sqlite_url):
    with connected(sqlite_url) as connection:
        put(connection, product("pro", meta={"features": "boards"}), customer(external_id="au/th|ada"))
        put(connection, subscription(as_of=int(NOW.timestamp())), item("si_1", "month", "pro"))
    asked = {("au/th|ada", "boards"): True, ("au/th|ada", "sso"): False, ("bob", "boards"): False}
    with make_world(sqlite_url, fill=False) as world:
        client = connect(world.url, patience_seconds=10, pause_seconds=0)
        assert {each: await client.allowed(*each) for each in asked} == asked
        assert (await client.access("au/th|ada", "boards"))["reason"] == "ACTIVE"
        with world.renamed("customer", "elsewhere"):
            assert await client.allowed("eve", "boards")
            with pytest.raises(Unavailable, match="UNAVAILABLE"):
                await client.access("eve", "boards")
        async with connect(world.url, "a-token-that-is-wrong", patience_seconds=10) as stranger:
            for call in (stranger.allowed, stranger.access):
                with pytest.raises(BillingError, match="UNAUTHENTICATED"):
                    await call("bob", "boards")
    assert {each: await client.allowed(*each) for each in asked} == asked
    for call in (client.access("bob", "boards"), client.send(CUSTOMERS({}))):
        with pytest.raises(Unavailable, match="NETWORK"):
            await call
    await client.close()
    async with connect(f"http://127.0.0.1:{free_port()}", otherwise=False) as strict:
        assert not await strict.allowed("bob", "boards")


async def test_what_was_refused_says_what_to_mend(connect, shop):
    async with connect(shop.url) as client:
        wanted = {"externalId": "ada", "email": "ada@example.com", "idempotencyKey": "mail"}
        made = (await client.send(UPDATE_CUSTOMER(wanted)))["customer"]
        assert made["id"] in {row["id"] for row in (await client.send(CUSTOMERS({})))["nodes"]}
        with pytest.raises(Refused) as refused:
            await client.send(CREATE_CHECKOUT_SESSION({"externalId": "ada", "lineItems": [{"priceId": "price_0"}]}))
        assert {"PRICE_NOT_FOUND", "SUCCESS_URL_INVALID"} & refused.value.codes
        assert refused.value.payload["session"] is None
        with pytest.raises(BillingError, match="BAD_USER_INPUT"):
            await client.send(CONSUME({"externalId": "ada"}))
        with pytest.raises(Refused) as refused:
            await client.consume("ada", "tokens", 60)
        assert refused.value.codes == {"FEATURE_NOT_ALLOWED"}
        assert await client.execute("{ __typename }") == {"__typename": "Query"}


ANSWERS = {
    "a proxy's page": (502, {"text": "<html>"}, True),
    "a proxy's JSON": (502, {"json": {"message": "Bad Gateway"}}, True),
    "a proxy's error": (503, {"json": {"error": "Bad Gateway", "errors": None}}, True),
    "a page for everything": (200, {"json": "welcome"}, False),
    "a fault": (500, {"json": {"error": {"code": "INTERNAL", "message": "a fault"}}}, True),
    "too many": (429, {"json": {"error": {"code": "RATE_LIMITED", "message": "wait"}}}, True),
    "no such page": (404, {"text": "<html>"}, False),
    "everything instead of one": (200, {"json": {"features": {}}}, False),
}


@pytest.mark.parametrize(("status", "content", "is_away"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_no_decision_is_an_outage_or_a_mistake(status, content, is_away):
    with closing(Client("http://gateway", "token")) as client:
        transport = httpx.MockTransport(lambda _: httpx.Response(status, **content))
        client._http = httpx.Client(base_url="http://gateway", transport=transport)
        with nullcontext() if is_away else pytest.raises(BillingError):
            assert client.allowed("ada", "boards")
        with pytest.raises(Unavailable if is_away else BillingError):
            client.access("ada", "boards")
        with pytest.raises(Unavailable if status >= 500 else BillingError):
            client.execute("{ viewer { id } }")


@needs_node
def test_in_javascript_too_only_the_gateways_own_answers_count():
    cases = [[status, json.dumps(content["json"]) if "json" in content else content["text"], is_away]
             for status, content, is_away in ANSWERS.values()]  # fmt: skip
    program = """
        import { createBackend } from "SOURCE";
        console.warn = () => {};
        for (const [status, body, isAway] of CASES) {
          const fetch = async () => new Response(body, { status });
          const backend = createBackend({ url: "http://x", token: "t", fetch });
          const { ok } = await backend.consume("ada", "boards", 1);
          const said = await backend.allowed("ada", "boards").catch(() => "a mistake");
          if (ok || said !== (isAway ? true : "a mistake")) console.log(status, body, ok, said);
        }"""
    program = program.replace("SOURCE", (SOURCES / "server.js").as_uri()).replace("CASES", json.dumps(cases))
    command = ["node", "--input-type=module", "--eval", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_the_gateway_trusts_what_the_client_asks():
    asked = [each.text for each in vars(documents).values() if isinstance(each, Query | Mutation)]
    assert len(asked) > 10
    assert set(asked) <= set(known_documents().values())


def test_who_was_away_is_not_asked_for_a_while_and_the_oldest_decision_goes_first(caplog):
    now = 0.0
    decisions = Decisions(1.0, otherwise=True, most=2, clock=lambda: now)
    for _ in range(2):
        decisions.away("a timeout")
    assert [record.getMessage() for record in caplog.records] == [
        "the gateway does not answer (a timeout): what it said last holds, and others are let in"
    ]
    assert not decisions.may_ask()
    now = 1.0
    assert decisions.may_ask()
    for user in ("ada", "bob", "ada", "eve"):
        decisions.note(user, "boards", allowed=False)
    assert [decisions.last(user, "boards") for user in ("ada", "bob", "eve")] == [False, True, False]


def test_the_blocks_of_its_page_run(shop, monkeypatch, request):
    monkeypatch.setenv("BILLING_URL", shop.url)
    monkeypatch.setenv("GATEWAY_SERVICE_TOKEN", SERVICE_TOKEN)
    page: dict = {}
    request.addfinalizer(lambda: page["billing"].close())  # noqa: PLW0108 - made by the first block
    for block in blocks("python", "python"):
        exec(block, page)  # noqa: S102 - the page's own
    price = price_id(shop, "starter_monthly")
    metadata = {"features": "projects, tokens", "limit_tokens": "100", "use_tokens": "counter"}
    plan = shop.stripe("GET", f"/v1/prices/{price}")["product"]
    shop.stripe("POST", f"/v1/products/{plan}", **{f"metadata[{key}]": text for key, text in metadata.items()})
    shop.eventually(lambda: "use_tokens" in str(shop.rows("product", id=plan)[0]["meta"]))
    assert page["buy"]("grace", price).startswith(shop.stripe_url)
    assert (page["export"]("grace"), page["plan_of"]("nobody")) == ("Please choose a plan with projects.", None)
    subscribe(shop, customer_at_stripe(shop, "grace"))
    assert (page["export"]("grace"), page["plan_of"]("grace")) == ("a file", "Starter")
    assert [page["answer"]("grace", {"id": key}) for key in ("q1", "q1", "q2")] == [40, 40, "Come back next month."]
    assert page["hear"](b"{}", {}, "whsec_AAAA") == 400
