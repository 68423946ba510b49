"""Requests that a proxy in front and the server might count differently: each gets one answer, its own, in order."""

import json
import socket

import pytest

from harness.fronts import FRONTS, front_of
from harness.gateway import make_world
from harness.http_fuzz import echoing, storm
from harness.http_wire import delivery, responses

HANDSHAKE = (
    b"GET /live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def served():
    with echoing() as (echo, port):
        yield echo, port


@pytest.fixture
def connection(served):
    with socket.create_connection(("127.0.0.1", served[1]), timeout=5) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened


def test_generated_requests_get_their_own_answers(served):
    echo, port = served
    assert storm(port, echo, count=300, direct=True) == []


@pytest.mark.parametrize("front", FRONTS)
def test_behind_a_proxy_nobody_gets_the_answer_to_another_request(served, front):
    echo, port = served
    with front_of(front, port) as public:
        assert storm(public, echo, count=300, seed=1) == []


UPGRADES = {
    "another protocol": b"Upgrade: foo\r\nConnection: Upgrade\r\n",
    "HTTP/2": b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "a WebSocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
}
FRAMINGS = {
    "with a length": (b"Content-Length: 52\r\n", b"%b"),
    "in chunks": (b"Transfer-Encoding: chunked\r\n", b"34\r\n%b\r\n0\r\n\r\n"),
}
INNER = b"GET /smuggled HTTP/1.1\r\nHost: x\r\nX-Filling: 1234\r\n\r\n"
assert len(INNER) == 0x34


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "in two segments"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_request_that_wants_another_protocol_is_answered_with_its_body(served, connection, upgrade, framing, apart):
    echo, _ = served
    length, body = FRAMINGS[framing]
    head = b"POST /wants HTTP/1.1\r\nHost: x\r\n" + UPGRADES[upgrade] + length + b"\r\n"
    for part in [head, body % INNER] if apart else [head + body % INNER]:
        connection.sendall(part)
        if apart:
            # the body must find the head parsed: what is sent after this answer comes in a later segment
            with socket.create_connection(connection.getpeername(), timeout=5) as other:
                other.sendall(b"GET /between HTTP/1.1\r\nHost: x\r\n\r\n")
                responses(other)
    connection.sendall(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [body for _, _, body in responses(connection, 2)] == [b"/wants 52", b"/next 0"]
    assert not echo.arrived["/smuggled"]


def test_many_requests_that_want_another_protocol_come_at_once(connection):
    one = b"POST /one HTTP/1.1\r\nHost: x\r\nUpgrade: foo\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nhi"
    connection.sendall(one * 50)
    assert [body for _, _, body in responses(connection, 50)] == [b"/one 2"] * 50


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HANDSHAKE + b"\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT other:80 HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ],
    ids=["a handshake that does not wait for its answer", "a tunnel"],
)
def test_what_cannot_be_one_request_is_refused_and_nothing_after_it_is_read(served, connection, head, status):
    echo, _ = served
    connection.sendall(head)
    [(answered, headers, _)] = responses(connection)
    assert (answered, headers["connection"]) == (status, "close")
    assert connection.recv(1) == b""
    assert not echo.arrived["/smuggled"]


def test_a_handshake_waits_for_nobody_and_comes_before_no_other_answer(connection):
    connection.sendall(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + HANDSHAKE + b"\r\n")
    [(status, headers, body)] = responses(connection)
    assert (status, body, headers["connection"]) == (200, b"/first 0", "close")
    assert connection.recv(1) == b""


@pytest.mark.parametrize("bad", [b"GET / HTTP/1.1\nHost: x\n\n", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nX : y\r\n\r\n"])
def test_what_cannot_be_read_gets_no_answer_before_that_to_an_earlier_request(connection, bad):
    connection.sendall(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + bad)
    [(status, headers, body)] = responses(connection)
    assert (status, body, headers["connection"]) == (200, b"/first 0", "close")
    assert connection.recv(1) == b""


def test_a_body_that_cannot_be_read_is_told_so_after_the_answer_to_an_earlier_request(connection):
    bad = b"POST /second HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnothing"
    connection.sendall(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + bad)
    found = responses(connection, 2)
    assert [(status, body) for status, _, body in found] == [(200, b"/first 0"), (400, b"")]
    assert connection.recv(1) == b""


def test_after_an_answer_that_did_not_wait_for_the_body_nothing_is_taken_for_it(connection):
    """A client that expects `100 Continue` may leave the body out when it is told something else (RFC 9110, 10.1.1)."""
    connection.sendall(b"POST /early/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 50\r\n\r\n")
    [(status, headers, _)] = responses(connection)
    assert (status, headers["connection"]) == (200, "close")
    assert connection.recv(1) == b""


def test_a_client_that_was_told_to_go_on_keeps_its_connection(connection):
    for _ in range(2):
        connection.sendall(b"POST /waits HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        [(_, headers, body)] = responses(connection)
        assert (body, headers.get("connection")) == (b"/waits 2", None)


@pytest.fixture(scope="module")
def world(new_sqlite):
    with make_world(new_sqlite(), fill=False, trusted_proxies="127.0.0.1", rate_limit_requests="3/minute") as made:
        yield made


@pytest.mark.parametrize("upgrade", UPGRADES)
def test_a_genuine_event_is_recorded_whatever_protocol_its_bearer_wants(world, upgrade):
    head, body = delivery(world, UPGRADES[upgrade])
    with socket.create_connection(("127.0.0.1", int(world.url.rpartition(":")[2])), timeout=5) as connection:
        connection.sendall(head)
        connection.sendall(body)
        [(status, _, answer)] = responses(connection)
    assert (status, json.loads(answer)) == (200, {"received": True, "duplicate": False})
    world.eventually(lambda: world.status_of(json.loads(body)), "ignored")


def test_a_trailer_is_no_header(world):
    """Neither an address that lifts a limit, nor a token, nor a signature (RFC 9110, 6.5.1)."""

    def ask(trailer):
        body = b'{"query": "{ viewer { id } }"}'
        head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        chunks = b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(body), body, trailer)
        with socket.create_connection(("127.0.0.1", int(world.url.rpartition(":")[2])), timeout=5) as connection:
            connection.sendall(head + b"X-Forwarded-For: 203.0.113.7\r\n\r\n" + chunks)
            [(status, _, answer)] = responses(connection)
            return status, json.loads(answer)

    token = world.token("ada")["Authorization"].encode()
    assert ask(b"Authorization: " + token) == (200, {"data": {"viewer": None}})
    assert ask(b"Content-Type: text/plain") == (200, {"data": {"viewer": None}})
    assert ask(b"Content-Encoding: gzip") == (200, {"data": {"viewer": None}})
    assert [ask(b"X-Forwarded-For: 203.0.113.%d" % number)[0] for number in range(8, 12)] == [429] * 4
