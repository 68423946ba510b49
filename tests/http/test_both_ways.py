"""What the server answers without ASGI and what goes the ASGI way is the same, byte for byte."""

import json
import random
import re
import socket
import time
from urllib.parse import quote

import pytest

from gateway.app import create_app
from harness.gateway import SECRET, SERVICE, listening, make_world, serve
from harness.gateway import connected as writing
from harness.http_wire import delivery
from harness.rows import NOW, customer, item, product, put, subscription

QUERIES = ["{ pricing { currency products { product { name } } } }", "{ plans(first: 3) { nodes { id } } }"]
MORE = [
    b"Accept: */*",
    b"Accept: application/json",
    b"Origin: https://shop.example",
    b"Origin: https://evil.example",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-For: 203.0.113.7",
    b"If-None-Match: *",
    b'If-None-Match: W/"x", "other"',
]
LATER = int(NOW.timestamp())
TOKEN = SERVICE["Authorization"].encode()


@pytest.fixture(scope="module")
def world(new_sqlite):
    """Ada has bought boards, and Bob nothing."""
    with make_world(new_sqlite(), trusted_proxies="127.0.0.1") as made:
        with writing(made.settings.database_url.get_secret_value()) as connection:
            pro = product("pro", meta={"features": "boards"})
            put(connection, pro, customer(external_id="ada"), subscription(as_of=LATER), item("si_1", "month", "pro"))
        yield made


@pytest.fixture(scope="module")
def ports(world):
    """The same application twice: as it is, and as an application that knows nothing of the fast path."""
    app = create_app(world.settings)

    async def without_fast_path(scope, receive, send):
        await app(scope, receive, send)

    taken = []

    class Counted:
        """As it is; what was taken is counted."""

        async def __call__(self, scope, receive, send):
            await app(scope, receive, send)

        def take(self, request, respond):
            taken.append(app.take(request, respond))
            return taken[-1]

    first, first_url = listening()
    second, second_url = listening()
    with serve(Counted(), first), serve(without_fast_path, second, lifespan="off"):
        world.tokens = {user: world.token(user)["Authorization"].encode() for user in ("ada", "bob")}
        found = world.client.get(f"{first_url}/access/ada/boards", headers=SERVICE)
        assert found.status_code == 200
        world.etag = found.headers["etag"].encode()
        yield int(first_url.rpartition(":")[2]), int(second_url.rpartition(":")[2]), taken


def a_query(rng, _world):
    return b"GET", f"/graphql?query={quote(rng.choice(QUERIES))}".encode(), [], b""


def a_posted_query(rng, _world):
    kind = rng.choice([b"application/json", b"text/plain"])
    return b"POST", b"/graphql", [b"Content-Type: " + kind], json.dumps({"query": rng.choice(QUERIES)}).encode()


def an_access_check(rng, world):
    paths = [
        b"ada/boards",
        b"ada/boards",
        b"ada/sso",
        b"bob/boards",
        b"a%2Fb/c",
        b"ada",
        b"ada?features=x",
        b"/",
        b"a/b?c",
    ]
    tokens = [TOKEN] * 6 + [world.tokens[each] for each in ("ada", "ada", "bob")] + [b"Bearer wrong", b"bearer  x y"]
    headers = [b"Authorization: " + rng.choice(tokens)]
    if rng.random() < 0.3:
        headers.append(b"If-None-Match: " + rng.choice([world.etag, b"W/" + world.etag, b"*"]))
    return rng.choice([b"GET", b"GET", b"POST"]), b"/access/" + rng.choice(paths), headers, b""


def an_event(rng, world):
    head, body = delivery(world, secret=rng.choice([SECRET, "whsec_of_somebody_else"]))
    signature = [line for line in head.split(b"\r\n") if line.startswith(b"Stripe-Signature")]
    return rng.choice([b"POST", b"POST", b"GET"]), b"/webhooks/stripe", signature, body


def another(rng, _world):
    method, path = rng.choice(
        [(b"GET", b"/nothing"), (b"PUT", b"/graphql"), (b"OPTIONS", b"/demo"), (b"GET", b"/readyz")]
    )
    return method, path, [b"Access-Control-Request-Method: POST"], b""


def generate(rng, world):
    """A request to one of the routes that have a fast path, or to another."""
    method, path, headers, body = rng.choice([a_query, a_posted_query, an_access_check, an_event, another])(rng, world)
    headers += [line for line in MORE if rng.random() < 0.2]
    headers += [b"Host: x", *([b"Content-Length: %d" % len(body)] if body else [])]
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n%b" % (method, path, b"\r\n".join(headers), body)


def answer(connection, request):
    """What comes back, byte for byte, but for the request's id and the time."""
    connection.sendall(request)
    stream = connection.makefile("rb", buffering=0)
    lines = []
    while (line := stream.readline()) not in {b"\r\n", b""}:
        lines.append(line)
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    body = b""
    while len(body) < length:
        body += stream.read(length - len(body))
    fixed = [line.split(b":")[0] if line.startswith((b"x-request-id:", b"date:")) else line for line in lines]
    return b"".join(fixed) + body


def connected(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_generated_requests_are_answered_alike(world, ports):
    fast, asgi, taken = ports
    rng = random.Random(4)  # noqa: S311 - the same requests each time
    before = answered_from_memory(world, fast)  # by this process, in other tests
    with connected(fast) as one, connected(asgi) as two:
        for number in range(600):
            request = generate(rng, world)
            if b"Stripe-Signature" in request:  # the second is told that it is a copy
                answer(one, request)
            assert answer(one, request) == answer(two, request), (number, request)
        # What was heard 45 ms ago is not answered from memory: a busy machine takes more questions to see it often.
        while answered_from_memory(world, fast) - before <= 100:
            request = generate(rng, world)
            if b"Stripe-Signature" not in request:
                assert answer(one, request) == answer(two, request), request
    assert taken.count(True) > 300
    assert taken.count(False) > 50


def test_bytes_that_are_known_are_a_request_only_where_one_begins(world, ports):
    """A request that came before byte for byte is not parsed again; within another one, or in parts, it is as ever."""
    fast, asgi, _taken = ports
    known = b"GET /graphql?query=%7Bpricing%7Bcurrency%7D%7D HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n"
    posting = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    answers = []
    for port in (fast, asgi):
        with connected(port) as connection:
            found = [answer(connection, known) for _ in range(3)]  # read, made, and remembered
            connection.sendall(known[:-2])
            time.sleep(0.05)  # it comes in a segment of its own, as each below: nothing tells when the server has it
            found.append(answer(connection, known[-2:]))
            connection.sendall(posting % len(known))
            time.sleep(0.05)
            found.append(answer(connection, known))  # the body of another, and no JSON
            found.append(answer(connection, b"\r\n" + known))
            connection.sendall(b"GET /nothing HTTP/1.1\r\nX-More: ")
            time.sleep(0.05)
            found.append(answer(connection, known))  # the end of another's head
            connection.sendall(known + known)
            found += [answer(connection, b""), answer(connection, b"")]
            connection.sendall(known + known[:20])
            found += [answer(connection, b""), answer(connection, known[20:])]
        answers.append(found)
    assert answers[0] == answers[1]
    assert [each.split()[1] for each in answers[0]] == [b"200"] * 4 + [b"400", b"200", b"404"] + [b"200"] * 4


def answered_from_memory(world, port):
    """How many access checks a process has answered from memory."""
    metrics = world.client.get(f"http://127.0.0.1:{port}/metrics").text
    return float(re.search(r'cache="access",result="hit"} ([\d.]+)', metrics)[1])
