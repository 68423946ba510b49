"""Live updates with clients as their authors ship them."""

import json
import subprocess
import threading

import pytest
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from harness.checkout import opened, pay
from harness.gateway import SIGN_IN_SECRET
from harness.npm import install
from harness.paths import TESTS
from harness.subscriptions import price_id

pytestmark = pytest.mark.soak
CLIENTS = TESTS / "clients"
FOLLOW = "subscription Follow($id: ID!) { sessionUpdated(id: $id) { id status } }"


@pytest.fixture(scope="module")
def got(shop):
    """What each client for browsers was told of a checkout that was paid once all of them had seen it open."""
    install(CLIENTS, "the clients for browsers are")
    session = opened(shop, None, "starter_monthly")
    arguments = [f"{shop.url}/graphql", SIGN_IN_SECRET, session["id"], price_id(shop, "starter_monthly")]
    command = ["node", "live.mjs", *arguments]
    with subprocess.Popen(command, cwd=CLIENTS, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        if process.stdout.readline() == "open\n":
            pay(shop, session)
        answer, errors = process.communicate()
        watchdog.cancel()
    assert process.returncode == 0, errors
    return json.loads(answer)


@pytest.mark.parametrize("name", ["graphql-ws", "Apollo", "urql", "Relay", "graphql-sse", "urql by events"])
def test_a_client_for_browsers_follows_a_checkout_unmodified(got, name):
    assert "failed" not in got[name], got[name]["failed"]
    assert got[name]["states"] == ["OPEN", "COMPLETE"]


def test_graphql_ws_sends_queries_and_mutations_over_the_socket_too(got, shop):
    found = got["graphql-ws"]
    assert len(found["query"]["plans"]["nodes"]) == 2
    assert found["mutation"]["createCheckoutSession"]["session"]["status"] == "OPEN"
    assert found["refused"] == "GRAPHQL_VALIDATION_FAILED"


def test_graphql_ws_comes_back_with_another_token_when_its_own_has_run_out_and_misses_nothing(got):
    found = got["graphql-ws renewing"]
    assert "failed" not in found, found["failed"]
    assert found["closed"] == [[4403, "Forbidden: the token has expired; sign in again"]]
    assert found["states"] == ["OPEN", "OPEN", "COMPLETE"]


def test_graphql_sse_asks_and_is_refused_by_events_and_comes_back_with_another_token(got):
    found, renewed = got["graphql-sse"], got["graphql-sse renewing"]
    assert len(found["query"]["plans"]["nodes"]) == 2
    assert found["refused"] == "GRAPHQL_VALIDATION_FAILED"
    assert "failed" not in renewed, renewed["failed"]
    assert renewed == {"states": ["OPEN", "OPEN", "COMPLETE"], "tokens": 2}


async def test_the_client_for_python_follows_a_checkout_unmodified(shop):
    headers = shop.token("user_python")
    session = opened(shop, headers, "starter_monthly")
    transport = WebsocketsTransport(f"{shop.url.replace('http', 'ws')}/graphql", init_payload=headers)
    states = []
    async with Client(transport=transport) as client:
        async for data in client.subscribe(GraphQLRequest(FOLLOW, variable_values={"id": session["id"]})):
            states.append(data["sessionUpdated"]["status"])
            if states == ["OPEN"]:
                pay(shop, session)
            if states[-1] == "COMPLETE":
                break
        assert (await client.execute(GraphQLRequest("{ viewer { id } }")))["viewer"] == {"id": "user_python"}
        with pytest.raises(TransportQueryError, match="there is no such object"):
            async for _ in client.subscribe(GraphQLRequest(FOLLOW, variable_values={"id": "cs_test_nothing"})):
                pass
    assert states == ["OPEN", "COMPLETE"]


async def test_the_client_for_python_is_told_that_its_token_is_not_valid(shop):
    transport = WebsocketsTransport(
        f"{shop.url.replace('http', 'ws')}/graphql", init_payload={"Authorization": "Bearer nonsense"}
    )
    with pytest.raises(TransportConnectionFailed) as refused:
        async with Client(transport=transport):
            pass
    assert refused.value.__cause__.rcvd.code == 4403
