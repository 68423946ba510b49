"""Hostile traffic of a day in minutes: every memory that a client can reach is filled, and the process stays small."""

import asyncio
import contextlib
import itertools
import json
import os
import time
from pathlib import Path
from urllib.parse import quote

import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness.gateway import SIGN_IN_SECRET, put_rows, scene
from harness.servers import serving

KEYS = int(os.environ.get("HOSTILE_KEYS", "1000000"))
CONNECTIONS = 32
MAX_GROWTH_MB = 60
HEAD = "Host: x\r\nContent-Type: application/json\r\n"


def resident_mb(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def hostile(number):
    """One request with about four keys that nobody has sent before: an address, a document, a token, variables."""
    address = f"X-Forwarded-For: 2001:db8:{number >> 16 & 65535:x}:{number & 65535:x}::1\r\n"
    name = f"q{number}"
    kind = number % 8
    token = ""
    if kind == 0:  # a document that is refused
        body = {"query": f"{{ {name} }}"}
    elif kind == 1:  # one that is not a document, and long
        body = {"query": f"{{ {name}" + "x" * 2000}
    elif kind == 2:  # answers that everybody may have
        body = {"query": f"query {name} {{ pricing {{ currency }} }}"}
    elif kind == 3:
        body = {"query": "query($id: ID!) { product(id: $id) { name } }", "variables": {"id": name * 20}}
    elif kind == 4:  # a token that proves nothing
        token = f"Authorization: Bearer {name}.{'x' * 500}.{name}\r\n"
        body = {"query": "{ viewer { id } }"}
    elif kind == 5:  # one that does
        claims = {"sub": name * 10, "email": f"{name}@example.com", "exp": int(time.time()) + 3600}
        token = f"Authorization: Bearer {jwt.encode(claims, SIGN_IN_SECRET, algorithm='HS256')}\r\n"
        body = {"query": "{ __typename }"}
    elif kind == 6:  # a hash of a persisted document, and its text
        body = {
            "query": f"query {name} {{ __typename }}",
            "extensions": {"persistedQuery": {"version": 1, "sha256Hash": name}},
        }
    else:  # a mutation, a session, and by GET
        query = quote(f'{{ {name}: session(id: "cs_test_{name}") {{ id }} }}')
        return f"GET /graphql?query={query} HTTP/1.1\r\n{HEAD}{address}\r\n".encode()
    text = json.dumps(body)
    return f"POST /graphql HTTP/1.1\r\n{HEAD}{address}{token}Content-Length: {len(text)}\r\n\r\n{text}".encode()


async def flood(port, numbers):
    """Send hostile requests over one connection, each when the one before is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in numbers:
        writer.write(hostile(number))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


async def crowd(port, count):
    """Open WebSockets that follow what does not exist, and leave without a word."""
    url = f"ws://127.0.0.1:{port}/graphql"
    for number in range(count):
        with contextlib.suppress(ConnectionClosed, InvalidStatus):
            live = await connect(url, subprotocols=["graphql-transport-ws"], ping_interval=None)
            await live.send('{"type": "connection_init"}')
            query = f'subscription {{ sessionUpdated(id: "cs_{number}_{time.time_ns()}") {{ id }} }}'
            await live.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
            live.transport.abort()


@pytest.mark.soak
def test_hostile_traffic_leaves_the_memory_flat(new_sqlite):
    url = new_sqlite()
    put_rows(url, scene()[1])
    environment = {
        "DATABASE_URL": url,
        "STRIPE_SECRET_KEY": "sk_test_tests",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "AUTH_HS256_SECRET": SIGN_IN_SECRET,
        "GATEWAY_TRUSTED_PROXIES": "127.0.0.1",
        "GATEWAY_EVENT_CATCH_UP_MINUTES": "0",
    }
    with serving(environment) as (port, pid):

        async def attack(first, count):
            numbers = itertools.count(first)
            shares = [itertools.islice(numbers, count // CONNECTIONS) for _ in range(CONNECTIONS)]
            await asyncio.gather(*(flood(port, share) for share in shares), crowd(port, 200))

        asyncio.run(attack(0, 2_000))  # what every kind of request imports
        before = resident_mb(pid)
        for turn in range(10):
            asyncio.run(attack(10_000 + turn * KEYS, KEYS // 40))
            print(f"{(turn + 1) * KEYS // 10:,} keys: {resident_mb(pid) - before:+.1f} MB")  # noqa: T201 - a report
        assert resident_mb(pid) - before < MAX_GROWTH_MB
