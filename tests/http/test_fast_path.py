"""Deliveries over raw sockets: what the server takes without ASGI and what goes the ordinary way is answered alike."""

import asyncio
import json
import socket
import time
import uuid

import httpx
import pytest

from gateway.app import create_app
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.receiver import Receiver
from harness.databases import runtime_at
from harness.gateway import listening, make_world, serve
from harness.http_wire import WEBHOOKS, delivery, responses


@pytest.fixture(scope="module")
def world(new_sqlite):
    with make_world(new_sqlite(), fill=False) as made:
        yield made


@pytest.fixture
def connection(world):
    with socket.create_connection(("127.0.0.1", int(world.url.rpartition(":")[2])), timeout=10) as opened:
        yield opened


def answers(connection, count=1):
    """So many answers, each as its status, its headers and its JSON, in their order."""
    return [(status, headers, json.loads(body)) for status, headers, body in responses(connection, count)]


WAYS = {
    "as Stripe sends it": {},
    "in chunks": {"chunks": 100},
    "as large as Stripe's largest": {"size": 250_000},
    "by a client that waits for a word": {"more": b"Expect: 100-continue\r\n"},
    "by a client that wants nothing more": {"more": b"Connection: close\r\n"},
    "by a client of another age": {"start": f"POST {WEBHOOKS} HTTP/1.0"},
    "with a query": {"start": f"POST {WEBHOOKS}?from=stripe HTTP/1.1"},
}


@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
def test_a_delivery_is_taken_and_a_copy_is_known_whatever_way_it_goes(world, connection, way):
    head, body = delivery(world, **way)
    for duplicate in (False, True):
        with socket.create_connection(connection.getpeername(), timeout=10) as one:
            one.sendall(head + body)
            ((status, headers, answer),) = answers(one)
        assert (status, answer) == (200, {"received": True, "duplicate": duplicate})
        assert headers["content-type"] == "application/json"
        assert {"date", "content-length"} < headers.keys()


@pytest.mark.parametrize("way", list(WAYS.values()), ids=list(WAYS))
def test_a_forged_delivery_is_told_so_once_with_the_headers_of_every_answer(world, connection, way):
    refused = 'gateway_webhooks_refused_total{reason="signature_invalid"}'
    before = counted(world, refused)
    connection.sendall(b"".join(delivery(world, **{**way, "secret": "whsec_of_somebody_else"})))
    ((status, headers, answer),) = answers(connection)
    assert (status, answer["error"]["code"]) == (400, "signature_invalid")
    assert headers["x-content-type-options"] == "nosniff"
    assert counted(world, refused) == before + 1


def counted(world, sample):
    lines = world.client.get(f"{world.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample))


def test_a_connection_is_used_again_and_again_for_whatever_comes(world, connection):
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for request, expected in [
        (b"".join(delivery(world)), 200),
        (get, 200),
        (b"".join(delivery(world, secret="whsec_of_somebody_else")), 400),
        (b"".join(delivery(world)), 200),
        (f"GET {WEBHOOKS} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 405),
        (b"".join(delivery(world, chunks=7)), 200),
    ]:
        connection.sendall(request)
        assert [status for status, _, _ in answers(connection)] == [expected]
    upgrade = b"GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    connection.sendall(upgrade + key + b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 101 ")


def test_requests_that_are_sent_without_waiting_are_answered_in_their_order(world, connection):
    forged = delivery(world, secret="whsec_of_somebody_else")
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    one = b"".join(delivery(world))
    sent = [one, get, b"".join(delivery(world)), b"".join(forged), one, b"".join(delivery(world))]
    connection.sendall(b"".join(sent))
    found = answers(connection, len(sent))
    assert [status for status, _, _ in found] == [200, 200, 200, 400, 200, 200]
    assert [answer.get("duplicate") for _, _, answer in found] == [False, None, False, None, True, False]


def test_a_delivery_may_arrive_byte_by_byte(world, connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"".join(delivery(world)):
        connection.sendall(bytes((byte,)))
    assert [answer for _, _, answer in answers(connection)] == [{"received": True, "duplicate": False}]


def test_an_event_whose_sender_hangs_up_is_recorded_all_the_same(world, connection):
    _, body = request = delivery(world)
    connection.sendall(b"".join(request))
    connection.close()
    world.eventually(lambda: world.status_of(json.loads(body)), "ignored")


def test_what_cannot_be_recorded_is_told_when_to_come_again(world, connection):
    request = b"".join(delivery(world))
    with world.renamed("event", "away"):
        connection.sendall(request)
        ((status, headers, answer),) = answers(connection)
    assert (status, answer["error"]["code"], headers["retry-after"]) == (503, "not_recorded", "5")
    connection.sendall(request)
    assert [answer for _, _, answer in answers(connection)] == [{"received": True, "duplicate": False}]


async def test_a_sender_who_cannot_be_told_keeps_no_other_from_being_told(new_sqlite):
    def gone(_outcome):
        raise OSError("the connection is broken")

    def a_delivery():
        event = {"id": f"evt_{uuid.uuid4().hex}", "object": "event", "type": "a.b", "created": int(time.time())}
        event["data"] = {"object": {"id": "x_1"}}
        return Delivery(StripeEvent.of(event), "1")

    runtime = runtime_at(new_sqlite())
    receiver = Receiver(Inbox(runtime.mirror))
    serving = asyncio.create_task(receiver.run())
    for _ in range(2):  # the receiver goes on
        receiver.submit(a_delivery(), gone)
        assert await receiver.receive(a_delivery()) is True
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    await runtime.close()


def test_under_another_server_deliveries_come_by_asgi(world):
    listener, url = listening()
    with serve(create_app(world.settings), listener, http="h11"), httpx.Client(base_url=url, timeout=10) as client:
        head, body = delivery(world)
        headers = dict(line.split(": ", 1) for line in head.decode().strip().split("\r\n")[1:])
        answer = [client.post(WEBHOOKS, content=body, headers=headers).json() for _ in range(2)]
    assert answer == [{"received": True, "duplicate": duplicate} for duplicate in (False, True)]
