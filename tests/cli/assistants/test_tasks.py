"""An assistant does an operator's tasks, as its program does: through the SDK's own client."""

import inspect
import json
import re
import sys

import pytest
from mcp import Client, StdioServerParameters, stdio_client

from gateway.cli.assistants import check, server
from gateway.cli.assistants.asking import Gateway, documents
from gateway.cli.assistants.confirmations import Confirmations
from gateway.cli.assistants.server import build
from gateway.errors import BadInput
from harness.gateway import make_world
from harness.paths import ROOT
from harness.subscriptions import settled, subscribe

ANN, BOB = (f"op_{letter * 40}" for letter in "ab")
CARD = {"payment_method": "pm_card_visa", "invoice_settings[default_payment_method]": "pm_card_visa"}


@pytest.fixture(scope="module")
def shop(new_sqlite, tmp_path_factory):
    """A gateway that runs trusted documents alone, with a user who pays."""
    manifest = tmp_path_factory.mktemp("trusted") / "none.json"
    manifest.write_text('{"of somebody else": "{ __typename }"}')
    trusted = {"trusted_documents_only": True, "trusted_documents": str(manifest)}
    tokens = f"ann:act:{ANN},bob:read:{BOB}"
    with make_world(new_sqlite(), console=True, operator_tokens=tokens, **trusted) as world:
        given = {"metadata[external_id]": "ada", "email": "ada@example.com", **CARD}
        world.ada = world.stripe("POST", "/v1/customers", **given)["id"]
        world.eventually(lambda: world.rows("customer", external_id="ada"))
        world.sub = subscribe(world, world.ada)["id"]
        world.invoice = settled(world, world.sub)["latest_invoice"]["id"]
        yield world


class Assistant:
    """What an assistant can do: call tools."""

    def __init__(self, client):
        self.client = client

    async def call(self, name, **arguments):
        answer = await self.client.call_tool(name, arguments)
        assert not answer.is_error, answer.content[0].text
        return json.loads(answer.content[0].text)

    async def refused(self, name, **arguments):
        answer = await self.client.call_tool(name, arguments)
        assert answer.is_error, answer.content[0].text
        return answer.content[0].text

    async def confirmed(self, name, **arguments):
        """Preview, then confirm; what the preview showed, and what was done."""
        preview = await self.call(name, **arguments)
        assert preview["nothing_was_changed_yet"] is True
        return preview, await self.confirm(preview)

    async def confirm(self, preview):
        return await self.call("confirm", confirmation=preview["confirmation"], will=preview["will"])


@pytest.fixture
async def assistant(shop):
    gateway = Gateway(shop.url, ANN)
    async with Client(build(gateway)) as client:
        yield Assistant(client)
    await gateway.close()


async def test_find_out_why_a_customer_has_no_access(shop, assistant):
    (found,) = (await assistant.call("find_customers", search=shop.invoice))["customers"]["nodes"]
    assert (found["id"], found["externalId"]) == (shop.ada, "ada")
    why = (await assistant.call("why_access", id="ada", feature="sso"))["why"]
    assert why["access"]["allowed"] is False
    assert why["steps"][0]["about"] == shop.sub
    page = await assistant.call("customer", id="ada")
    assert [each["status"] for each in page["subscriptions"]] == ["ACTIVE"]


async def test_quote_a_change(shop, assistant):
    dearer = shop.stripe("GET", "/v1/prices", **{"lookup_keys[]": "business_monthly"})["data"][0]["id"]
    quote = await assistant.call("quote_change", id="ada", subscription_id=shop.sub, price_id=dearer)
    assert quote["quoteChange"]["preview"]["dueNow"]["amount"] > 0
    assert shop.stripe("GET", f"/v1/subscriptions/{shop.sub}")["items"]["data"][0]["price"]["id"] != dearer


async def test_list_failed_payments(shop, assistant):
    cus = shop.stripe("POST", "/v1/customers", email="eve@example.com")["id"]
    shop.eventually(lambda: shop.rows("customer", id=cus))
    shop._execute("UPDATE customer SET delinquent = true WHERE id = :id", {"id": cus})
    found = await assistant.call("failed_payments")
    assert [each["id"] for each in found["customers"]["nodes"]] == [cus]
    assert found["events"]["nodes"] == []


async def test_retry_a_dead_letter(shop, assistant):
    event = shop.rows("event", object_id=shop.sub)[0]["id"]
    shop._execute("UPDATE event SET status = 'dead', last_error = 'broke' WHERE id = :id", {"id": event})
    (dead,) = (await assistant.call("events", status="DEAD"))["events"]["nodes"]
    assert (dead["id"], dead["lastError"]) == (event, "broke")
    preview = await assistant.call("retry_events", ids=[event])
    assert (preview["present"][0]["id"], shop.rows("event", id=event)[0]["status"]) == (event, "dead")
    assert (await assistant.confirm(preview))["count"] == 1
    shop.eventually(lambda: shop.rows("event", id=event)[0]["status"] in {"applied", "stale"})


async def test_give_credits_and_see_where_they_went(shop, assistant):
    preview, done = await assistant.confirmed("grant_credits", user="ada", amount=5, reason="an apology")
    assert preview["will"] == "give user ada 5 credits: an apology"
    assert (preview["present"]["credits"]["balance"] + 5, done["entry"]["amount"]) == (done["entry"]["balance"], 5)
    again = {"confirmation": preview["confirmation"], "will": preview["will"]}
    assert "used or too old" in await assistant.refused("confirm", **again)
    ledger = (await assistant.call("credit_ledger", id="ada"))["credits"]
    assert [each["reason"] for each in ledger["entries"]["nodes"]].count("an apology") == 1
    (entry,) = (await assistant.call("audit_log", user="ada", action="credits.grant"))["auditLog"]["nodes"]
    assert (entry["by"], entry["status"]) == ("operator ann", "DONE")


async def test_refund_an_invoice(shop, assistant):
    preview, done = await assistant.confirmed("refund_invoice", invoice_id=shop.invoice, amount=100)
    assert preview["present"]["invoice"]["amountPaid"]["amount"] > 100
    assert done["refunds"][0]["amount"]["amount"] == 100
    refunded = await assistant.call("invoices", id="ada")
    assert refunded["invoices"]["nodes"][0]["refunded"]["amount"] == 100


async def test_give_a_customer_to_its_user_and_take_it_back(shop, assistant):
    cus = shop.stripe("POST", "/v1/customers", email="bob@example.com")["id"]
    shop.eventually(lambda: shop.rows("customer", id=cus))
    preview, done = await assistant.confirmed("link_customer", user="bob", customer_id=cus)
    assert (preview["present"]["customer"][0]["externalId"], done["customer"]["externalId"]) == (None, "bob")
    _, done = await assistant.confirmed("unlink_customer", user="bob", customer_id=cus)
    assert done["customer"]["externalId"] is None


async def test_what_finds_somebody_in_another_way_is_no_users_id(shop, assistant):
    """The mutations know users by their own ids alone: they would make a customer for one called `cus_…`."""
    about = {"amount": 5, "reason": "no"}
    assert "is no user's id" in await assistant.refused("grant_credits", user=shop.ada, **about)
    ended = {"subscription_id": shop.sub, "when": "NOW"}
    assert "is no user's id" in await assistant.refused("cancel_subscription", user=shop.ada, **ended)
    assert "is no user's id" in await assistant.refused("unlink_customer", user=shop.ada, customer_id=shop.ada)
    assert "is not the customer of ada" in await assistant.refused("unlink_customer", user="ada", customer_id="cus_2")
    for user in (shop.ada, "cus_nobody", "Ada@example.com"):
        assert "is no user's id" in await assistant.refused("link_customer", user=user, customer_id=shop.ada)


async def test_end_a_subscription_when_its_period_ends(shop, assistant):
    asked = {"user": "ada", "subscription_id": shop.sub, "when": "AT_PERIOD_END"}
    preview, done = await assistant.confirmed("cancel_subscription", **asked)
    assert preview["present"]["subscription"]["cancelAt"] is None
    assert done["subscription"]["cancelAt"] is not None


async def test_say_how_the_gateway_stands(assistant):
    health = (await assistant.call("health"))["health"]
    assert {"inbox", "usage", "outbox"} <= {each["name"] for each in health["queues"]}
    assert {each["status"] for each in health["checks"]} <= {"ok", "warning", "failed"}


async def test_look_at_messages_and_usage_that_were_given_up(assistant):
    assert (await assistant.call("messages", status="DEAD"))["messages"]["nodes"] == []
    assert (await assistant.call("reported_usage", status="DEAD"))["usage"]["nodes"] == []
    for tool in ("retry_usage", "retry_messages"):
        assert "there is nothing to try again" in await assistant.refused(tool)
    assert "not among the latest hundred: evt_1" in await assistant.refused("retry_events", ids=["evt_1"])


async def test_nothing_is_written_without_a_confirmation_that_is_young_and_known(shop):
    clock = [0.0]
    gateway = Gateway(shop.url, ANN)
    async with Client(build(gateway, Confirmations(gateway, lambda: clock[0]))) as client:
        assistant = Assistant(client)
        before = shop.rows("credit_entry")
        preview = await assistant.call("grant_credits", user="ada", amount=5, reason="no")
        other = {"confirmation": preview["confirmation"], "will": "give user ada 1 credits: no"}
        assert "not what this confirmation does" in await assistant.refused("confirm", **other)
        clock[0] = 301
        for token in (preview["confirmation"], "", "RetryEvents"):
            assert "call the tool again" in await assistant.refused("confirm", confirmation=token, will=preview["will"])
        assert shop.rows("credit_entry") == before
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert [name for name, tool in tools.items() if not tool.annotations.read_only_hint] == ["confirm"]
        assert set(tools["grant_credits"].input_schema["properties"]) == {"user", "amount", "reason", "kind"}
        assert all(tool.description for tool in tools.values())
        page = (ROOT / "docs/assistants.md").read_text().partition("| ask | tools |")[2].partition("\n- ")[0]
        assert sorted(re.findall(r"`(\w+)`", page)) == sorted(tools)
    await gateway.close()


async def test_who_may_only_read_gets_no_further_than_the_preview(shop):
    gateway = Gateway(shop.url, BOB)
    async with Client(build(gateway)) as client:
        assistant = Assistant(client)
        preview = await assistant.call("grant_credits", user="ada", amount=5, reason="me")
        agreed = {"confirmation": preview["confirmation"], "will": preview["will"]}
        refused = await assistant.refused("confirm", **agreed)
        assert "may look at everything and change nothing (FORBIDDEN)" in refused
    await gateway.close()
    stranger = Gateway(shop.url, f"op_{'c' * 40}")
    async with Client(build(stranger)) as client:
        assert "no operator's token (UNAUTHENTICATED)" in await Assistant(client).refused("health")
    await stranger.close()


def test_every_document_has_a_use_and_a_mutation_is_never_one_of_a_reads():
    source = inspect.getsource(server)
    used = {name for name in documents() if f'"{name}"' in source}
    assert used == {*documents()} - {"Operator"}
    reads = inspect.getsource(server.Reads)
    assert not [name for name, text in documents().items() if text.startswith("mutation") and f'"{name}"' in reads]


@pytest.mark.parametrize(
    "url", ["http://billing.example.com", "ftp://localhost", "billing.example.com", "http://10.0.0.1"]
)
def test_an_operators_token_is_not_sent_in_the_clear(url):
    with pytest.raises(BadInput, match="--url"):
        check(url)
    for fine in ("https://billing.example.com", "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"):
        check(fine)


async def test_an_operators_token_goes_through_no_proxy_in_the_clear(shop, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    gateway = Gateway(shop.url, ANN)
    assert (await gateway.read("Operator"))["name"] == "ann"
    await gateway.close()


@pytest.mark.soak
async def test_the_command_serves_over_stdin_and_stdout(shop):
    asked = ["-m", "gateway", "mcp", "--url", shop.url]
    command = StdioServerParameters(command=sys.executable, args=asked, env={"OPERATOR_TOKEN": BOB})
    async with Client(stdio_client(command, errlog=sys.stderr)) as client:  # by default, the one of its first import
        (found,) = (await Assistant(client).call("find_customers", search="ada"))["customers"]["nodes"]
    assert found["id"] == shop.ada
