"""Clients that take their time, send without end, or come in crowds: on real sockets, with a shorter patience."""

import asyncio
import contextlib
import gc
import socket
import struct
import threading
import time
import tracemalloc
from pathlib import Path

import httpx
import pytest
from uvicorn.importer import import_from_string
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from websockets.exceptions import InvalidMessage
from websockets.sync.client import connect

from gateway.http.options import OPTIONS
from gateway.http.request import Response
from gateway.http.server import HardenedHttpProtocol
from gateway.http.server_websocket import HardenedWebSocketProtocol
from harness.gateway import listening, serve
from harness.waiting import eventually

SECONDS = 0.6
CONNECTIONS = 8


class Hurried(HardenedHttpProtocol):
    """The same with less patience."""

    seconds = SECONDS
    answer_seconds = SECONDS
    max_connections = CONNECTIONS


class HurriedWebSocket(HardenedWebSocketProtocol):
    """The same."""

    seconds = SECONDS

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.close_timeout = SECONDS


async def echo(scope, receive, send):
    """Answers with what was sent; /early without reading it, /8 with 8 bytes, /never not at all, a WebSocket word for
    word, until it hears "bye".
    """
    if scope["type"] == "websocket":
        await receive()
        if scope["path"] == "/never":
            await asyncio.sleep(60)
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message["text"].startswith("bye"):
                await send({"type": "websocket.send", "text": "x" * int(message["text"][4:])})
                await send({"type": "websocket.close"})
                return
            await send({"type": "websocket.send", "text": message["text"]})
        return
    if scope["path"] == "/never":
        await asyncio.sleep(60)
    body = b"x" * int(size) if (size := scope["path"][1:]).isdigit() else b""
    while scope["path"] == "/":
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body"})  # waits while the client does not read
    sent.set()


sent = threading.Event()


class Application:
    """The same, with a fast path to /short: it answers what is not "no"."""

    async def __call__(self, scope, receive, send):
        await echo(scope, receive, send)

    def take(self, request, respond):
        if request.path == "/fast":
            respond(Response(200, [(b"content-length", b"1000000")], bytes(bytearray(1_000_000))))
            return True
        takes = request.path == "/short" and request.body != b"no"
        if takes:
            respond(Response(200, [(b"content-length", b"5")], b"short"))
        return takes


application = Application()


@pytest.fixture(scope="module")
def address():
    listener, url = listening()
    with serve(application, listener, lifespan="off", http=Hurried, ws=HurriedWebSocket, timeout_keep_alive=2):
        yield ("127.0.0.1", int(url.rpartition(":")[2]))


@pytest.fixture
def connection(address):
    with socket.create_connection(address, timeout=10) as opened:
        yield opened


def dribble(connection, text, every=0.05):
    """Send a text byte for byte, again and again, until the other side has had enough; what it said."""
    stop = threading.Event()

    def send():
        with contextlib.suppress(OSError):
            while not stop.wait(every):
                connection.sendall(text)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        return read(connection)
    finally:
        stop.set()
        thread.join()


def read(connection):
    """All that comes until the connection ends."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            said += part
    return said


def answered(connection, request):
    """Send a request and read one short answer."""
    connection.sendall(request)
    return connection.recv(65536)


def segments_received(connection):
    """How many segments with data have come (`tcpi_data_segs_in` of Linux' `struct tcp_info`)."""
    return struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 152)[0]


POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
HEAD = b"x-more: 1\r\n"
EARLY = POST.replace(b" / ", b" /early ") + b"content-length: 90000\r\n\r\n" + b"1" * 70_000  # more than is held
SLOW = {
    "no request at all": (b"", b""),
    "a request's line": (b"GET /", b"1"),
    "headers": (POST, HEAD),
    "one header": (POST + b"x-long: ", b"1"),
    "a body": (POST + b"content-length: 90000\r\n\r\n", b"1"),
    "a body for the fast path": (POST.replace(b" / ", b" /short ") + b"content-length: 90000\r\n\r\n", b"1"),
    "a body in chunks": (POST + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n1\r\n"),
    "one chunk": (POST + b"transfer-encoding: chunked\r\n\r\nffff\r\n", b"1"),
    "trailers": (POST + b"transfer-encoding: chunked\r\n\r\n0\r\n", HEAD),
    "a body after it was answered": (EARLY, b"1"),
    "a body, and the wish for a WebSocket": (
        POST + b"upgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 90000\r\n\r\n",
        b"1",
    ),
    "a WebSocket's handshake": (b"GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n", HEAD),
}


@pytest.mark.parametrize("before", [0, 2], ids=["first", "kept alive"])
@pytest.mark.parametrize(("start", "rest"), list(SLOW.values()), ids=list(SLOW))
def test_what_does_not_arrive_in_time_is_cut_off(connection, before, start, rest):
    if before and not start:
        rest = rest or b"\r\n"  # blank lines between requests are none
    for _ in range(before):
        assert answered(connection, POST + b"content-length: 2\r\n\r\nok").endswith(b"ok")
    began = time.monotonic()
    connection.sendall(start)
    said = dribble(connection, rest) if rest else read(connection)

    assert SECONDS * 0.8 < time.monotonic() - began < SECONDS + 8
    if b"/early" in start:
        assert said.startswith(b"HTTP/1.1 200")
    elif start:
        assert said.startswith(b"HTTP/1.1 408") or said == b""  # a reset may overtake it


def test_a_request_in_two_parts_a_pause_and_a_second_request_are_answered(connection):
    for _ in range(3):
        connection.sendall(POST + b"content-length: 4\r\n\r\nfi")
        time.sleep(SECONDS * 0.25)  # less than a request may take
        assert answered(connection, b"ne").endswith(b"\r\n\r\nfine")
    time.sleep(SECONDS * 2)  # idle between requests is another limit's matter
    assert answered(connection, POST + b"content-length: 2\r\n\r\nok").endswith(b"ok")


def test_a_responses_head_and_body_come_in_one_segment(connection):
    for count in range(1, 4):
        assert answered(connection, POST + b"content-length: 2\r\n\r\nok").endswith(b"ok")
        assert segments_received(connection) == count


def test_a_response_without_a_body_is_sent_and_the_connection_goes_on(connection):
    assert answered(connection, b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").endswith(b"\r\n\r\n")
    assert answered(connection, POST + b"content-length: 2\r\n\r\nok").endswith(b"ok")


def test_two_requests_at_once_are_answered_in_turn(connection):
    connection.sendall((POST + b"content-length: 2\r\n\r\nok") * 2)
    said = b""
    while said.count(b"ok") < 2:
        said += connection.recv(65536)
    assert said.count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize(
    ("start", "rest", "status"),
    [
        (POST + b"x-long: ", b"1" * 1000, b"431"),
        (b"GET /", b"1" * 1000, b"431"),
        (POST + b"transfer-encoding: chunked\r\n\r\n0\r\n", HEAD * 20_000, b"413"),
        (POST + b"transfer-encoding: chunked\r\n\r\n1;x=", b"1" * 200_000, b"413"),
    ],
    ids=["a header", "a path", "trailers", "a chunk's extension"],
)
def test_what_has_no_end_is_cut_off_before_it_fills_the_memory(connection, start, rest, status):
    connection.sendall(start)
    said = dribble(connection, rest, every=0.0001)
    assert said[9:12] in {status, b""}  # a reset may overtake it


def test_a_client_that_does_not_read_its_answer_is_cut_off(connection):
    sent.clear()
    connection.sendall(b"GET /8000000 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert connection.recv(12) == b"HTTP/1.1 200"
    assert not sent.wait(SECONDS * 0.3), "the answer is larger than what the system takes"
    assert sent.wait(10), "whoever answers must not wait for ever"


def test_what_is_not_answered_in_time_is_cut_off(connection):
    began = time.monotonic()
    connection.sendall(b"GET /never HTTP/1.1\r\nhost: x\r\n\r\n")
    assert read(connection) == b""
    assert SECONDS * 0.8 < time.monotonic() - began < SECONDS + 8


SIZES = range(20_000, 420_000, 16_000)
"""Of answers; the system takes some of them whole, and of others it leaves the server too little to wait for."""


@pytest.mark.parametrize("last", ["close", "keep-alive"])
def test_clients_that_leave_the_end_of_their_answers_unread_are_cut_off(small_address, last):
    with contextlib.ExitStack() as stack:
        for size in SIZES:
            connection = stack.enter_context(slow_reader(small_address))
            connection.sendall(f"GET /{size} HTTP/1.1\r\nhost: x\r\nconnection: {last}\r\n\r\n".encode())
        wait_for_no_connection(small_address)


def test_websockets_whose_clients_read_nothing_before_they_are_closed_are_cut_off(small_address):
    with contextlib.ExitStack() as stack:
        for size in SIZES:
            connection = stack.enter_context(slow_reader(small_address))
            shake_hands(connection)
            connection.sendall(frame(1, f"bye {size}".encode()))
        wait_for_no_connection(small_address)


@pytest.fixture(scope="module")
def small_address():
    """A server for which the system keeps little of what it sends."""
    listener, url = listening()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    options = {"timeout_keep_alive": 1, "ws_ping_interval": SECONDS, "ws_ping_timeout": SECONDS}
    with serve(application, listener, lifespan="off", http=Patient, ws=HurriedWebSocket, **options):
        yield ("127.0.0.1", int(url.rpartition(":")[2]))


class Patient(Hurried):
    """The same with room for more."""

    max_connections = 100


@contextlib.contextmanager
def slow_reader(address):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(address)
        connection.settimeout(10)
        yield connection


def wait_for_no_connection(address):
    eventually(lambda: open_connections(address), 0)


def open_connections(address):
    """How many connections the server holds, by what the system knows of its port."""
    port = f":{address[1]:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[1].endswith(port) and line.split()[3] == "01" for line in lines)


def test_a_connection_that_was_answered_before_its_body_came_ends_when_it_stays_idle(connection):
    connection.sendall(EARLY)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    connection.sendall(b"1" * 20_000)
    assert read(connection) == b""


def test_a_websocket_that_is_not_answered_in_time_is_cut_off(address):
    began = time.monotonic()
    with pytest.raises((InvalidMessage, ConnectionResetError, EOFError)), connect(f"ws://127.0.0.1:{address[1]}/never"):
        pass
    assert SECONDS * 0.8 < time.monotonic() - began < SECONDS + 8


def test_a_websocket_whose_client_sends_pings_and_reads_no_pongs_fills_no_memory(address):
    with slow_reader(address) as connection:
        shake_hands(connection)
        connection.settimeout(10)
        pings, sent = frame(9, b"x" * 125) * 1000, 0
        tracemalloc.start()
        try:
            with contextlib.suppress(TimeoutError, ConnectionError):
                while sent < 6_000_000:
                    sent += connection.send(pings)
            assert tracemalloc.get_traced_memory()[0] < 3_000_000
        finally:
            tracemalloc.stop()


def test_a_websockets_message_has_an_end_even_if_its_parts_are_empty(address):
    with slow_reader(address) as connection:
        shake_hands(connection)
        connection.sendall(frame(1, b"", fin=False))
        said = dribble(connection, frame(0, b"", fin=False) * 100, every=0.001)
        assert b"fragments" in said


def shake_hands(connection):
    key = b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n" + key + b"\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 101")


def frame(opcode, payload, *, fin=True):
    """A frame as a client sends it, under a mask of zeros (RFC 6455, 5.2)."""
    return bytes([0x80 * fin + opcode, 0x80 + len(payload)]) + b"\0\0\0\0" + payload


def test_a_websocket_may_be_silent_for_longer(address):
    with connect(f"ws://127.0.0.1:{address[1]}/") as live:
        time.sleep(SECONDS * 2)  # longer than a request may take
        live.send("still there")
        assert live.recv(timeout=5) == "still there"


def test_one_connection_too_many_is_told_so_and_the_others_go_on(address):
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(CONNECTIONS)]
        eventually(lambda: open_connections(address), CONNECTIONS)
        assert read(stack.enter_context(socket.create_connection(address, timeout=10))).startswith(b"HTTP/1.1 503")
        assert answered(crowd[-1], POST + b"content-length: 2\r\n\r\nok").endswith(b"ok")
    eventually(lambda: httpx.get(f"http://{address[0]}:{address[1]}/", timeout=5).status_code, 200)  # room again


@pytest.mark.parametrize(
    ("method", "body", "answer"),
    [
        ("POST", b"yes", b"short"),
        ("GET", b"", b"short"),
        ("POST", b"no", b""),
        ("PUT", b"yes", b""),
        ("POST", b"x" * 70_000, b""),
    ],
    ids=["a POST", "a GET", "what it does not take", "another method", "what is too large to be held"],
)
def test_the_fast_path_answers_what_it_takes_and_the_application_the_rest(address, method, body, answer):
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}") as client:
        for _ in range(2):
            assert client.request(method, "/short", content=body).content == answer


def test_answers_of_the_fast_path_that_nobody_reads_fill_no_memory(address):
    with slow_reader(address) as connection:
        tracemalloc.start()
        try:
            connection.sendall(b"GET /fast HTTP/1.1\r\nhost: x\r\n\r\n" * 1000)
            wait_for_no_connection(address)  # it does not read, and is cut off
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()


def test_what_was_answered_is_let_go_at_once(address):
    gc.disable()
    try:
        with httpx.Client() as client:
            for _ in range(10):
                client.post(f"http://{address[0]}:{address[1]}/", content=b"once")
        left = [each for each in gc.get_objects() if type(each) is RequestResponseCycle]
        assert len([cycle for cycle in left if cycle.scope["method"] == "POST"]) < 5  # a connection keeps its last
    finally:
        gc.enable()


def test_a_connection_that_the_client_resets_is_let_go_at_once():
    """Not when it would have been idle for too long: what was still to be answered is kept with it."""

    class Reset(HardenedHttpProtocol):
        """A class of its own, to be counted."""

    def left():
        gc.collect()
        return sum(type(each) is Reset for each in gc.get_objects())

    listener, _ = listening()
    with serve(echo, listener, lifespan="off", http=Reset, timeout_keep_alive=60):
        for _ in range(5):
            with socket.create_connection(listener.getsockname(), timeout=5) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"GET /early HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(100)
        eventually(left, 0, 5)


def test_the_patience_of_the_gateway_is_what_the_manual_says():
    assert import_from_string(OPTIONS["http"]) is HardenedHttpProtocol
    assert HardenedHttpProtocol.seconds == 15
