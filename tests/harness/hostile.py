"""Hostile traffic for hours: requests with keys that never come twice, rude connections, and ordinary requests."""

import asyncio
import contextlib
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import jwt
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness.gateway import SECRET, SIGN_IN_SECRET, stripe_signature

HEAD = "Host: x\r\nContent-Type: application/json\r\n"
WEBSOCKET = (
    "GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
BUY = """mutation($input: CreateCheckoutSessionInput!) { createCheckoutSession(input: $input) {
    session { id } userErrors { code } } }"""
DEEP = "{ products { nodes { plans { " + "product { plans { " * 40 + "id" + " } }" * 40 + " } } } }"
WIDE = "{ " + " ".join(f"a{number}: pricing {{ currency }}" for number in range(200)) + " }"
CIRCLE = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
STRANGE_PATHS = [
    "/",
    "/etc/passwd",
    "/../../x",
    "/graphql/",
    "/demo",
    "/healthz?x=%00",
    "/access/a/b",
    "/" + "x" * 5000,
]
ELSEWHERE = ["https://evil.example/", "//evil.example", "javascript:alert(1)", "https://shop.example@evil.example/"]


def resident_mb(pid: int) -> float:
    """The memory of a process (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def posted(body: object, more: str = "", path: str = "/graphql") -> bytes:
    """A POST of JSON."""
    text = json.dumps(body)
    return f"POST {path} HTTP/1.1\r\n{HEAD}{more}Content-Length: {len(text)}\r\n\r\n{text}".encode()


def bearer(subject: str, *, secret: str = SIGN_IN_SECRET, expires: int = 3600) -> str:
    """The header of a user."""
    claims = {"sub": subject, "email": f"{subject[:40]}@example.com", "exp": int(time.time()) + expires}
    return f"Authorization: Bearer {jwt.encode(claims, secret, algorithm='HS256')}\r\n"


def asked(user: str, feature: str, more: str = "") -> bytes:
    """A user's own question whether he may use a feature."""
    return f"GET /access/{user}/{feature} HTTP/1.1\r\n{HEAD}{more}{bearer(user)}\r\n".encode()


def came_from(number: int) -> str:
    """The header with which a proxy tells the client's address, another network for each number."""
    return f"X-Forwarded-For: 2001:db8:{number >> 16 & 65535:x}:{number & 65535:x}::1\r\n"


def new_keys(number: int) -> bytes:
    """One request with two to four keys that nobody has sent before: an address, a document, a token, variables."""
    address, name = came_from(number), f"q{number}"
    by_id = "query($id: ID!) { product(id: $id) { name } }"
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": name}}
    session = quote(f'{{ {name}: session(id: "cs_test_{name}") {{ id }} }}')
    kinds = (
        lambda: posted({"query": f"{{ {name} }}"}, address),  # a document that is refused
        lambda: posted({"query": f"{{ {name}" + "x" * 2000}, address),  # one that is not a document, and long
        lambda: posted({"query": f"query {name} {{ pricing {{ currency }} }}"}, address),  # an answer for everybody
        lambda: posted({"query": by_id, "variables": {"id": name * 20}}, address),
        lambda: posted({"query": "{ viewer { id } }"}, f"{address}Authorization: Bearer {name}.{'x' * 500}.y\r\n"),
        lambda: posted({"query": "{ __typename }"}, address + bearer(name * 10)),  # a token that proves a user
        lambda: posted({"query": f"query {name} {{ __typename }}", "extensions": persisted}, address),
        f"GET /graphql?query={session} HTTP/1.1\r\n{HEAD}{address}\r\n".encode,
        lambda: asked(name * 10, f"projects_{name}", address),  # a user, the token that proves him, and a feature
    )
    return kinds[number % len(kinds)]()


KEYS_OF = (2, 2, 3, 2, 2, 3, 3, 3, 4)
"""How many new keys `new_keys` sends, by its kinds: the address, the document or the token, and of some the answer, the
user, the feature, the hash or the session."""


def ordinary(number: int) -> bytes:
    """What visitors, users and Stripe send on any day, from 5,000 networks and by 500 users."""
    address, user = came_from(number % 5000), f"user_{number % 500}"
    kind = number % 10
    if kind < 4:
        return posted({"query": "{ pricing { currency products { product { id name } plans { id } } } }"}, address)
    if kind < 6:
        query = "{ viewer { id customer { id } subscription { id status } credits { balance } } }"
        return posted({"query": query}, address + bearer(user))
    if kind == 6:
        return f"GET /graphql?query=%7Bplans%7Bnodes%7Bid%7D%7D%7D HTTP/1.1\r\n{HEAD}{address}\r\n".encode()
    if kind == 7:
        return f"GET /{('healthz', 'readyz', 'metrics')[number % 3]} HTTP/1.1\r\n{HEAD}\r\n".encode()
    if kind == 8:
        given = {"lineItems": [{"lookupKey": "starter_monthly"}], "successUrl": "https://shop.example/"}
        return posted({"query": BUY, "variables": {"input": given}}, address + bearer(user))
    return delivery(number)


def delivery(number: int, secret: str = SECRET) -> bytes:
    """An event of Stripe's, by default genuine."""
    text = json.dumps(
        {
            "id": f"evt_{number}_{time.time_ns()}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "livemode": False,
            "type": "invoice.upcoming",
            "data": {"object": {"object": "invoice", "id": f"in_{number}"}},
        }
    )
    signature = f"Stripe-Signature: {stripe_signature(text.encode(), secret)}\r\n"
    head = f"POST /webhooks/stripe HTTP/1.1\r\n{HEAD}{signature}Content-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()


def abuse(number: int) -> bytes:
    """A request that is refused: documents, tokens, redirects, forged events, headers, framing."""
    address = came_from(number)
    elsewhere = {"lineItems": [{"lookupKey": "starter_monthly"}], "successUrl": ELSEWHERE[number % len(ELSEWHERE)]}
    kinds = (
        lambda: posted({"query": DEEP}, address),
        lambda: posted({"query": WIDE}, address),
        lambda: posted({"query": CIRCLE}, address),
        lambda: posted([{"query": "{ __typename }"}] * 50, address),
        lambda: posted({"query": "{ viewer { id } }"}, address + bearer(f"u{number}", secret="another" * 8)),
        lambda: posted({"query": "{ viewer { id } }"}, address + bearer(f"u{number}", expires=-60)),
        lambda: posted({"query": BUY, "variables": {"input": elsewhere}}, address),
        lambda: delivery(number, "whsec_of_somebody_else"),
        lambda: posted({"id": f"evt_{number}"}, "Stripe-Signature: t=1,v1=00\r\n", "/webhooks/stripe"),
        lambda: posted({"query": "x" * 200_000}, address),
        f"GET {STRANGE_PATHS[number % len(STRANGE_PATHS)]} HTTP/1.1\r\n{HEAD}{address}\r\n".encode,
        f"GET /graphql HTTP/1.1\r\n{HEAD}X-{number}: {'x' * 70_000}\r\n\r\n".encode,
        f"POST /graphql HTTP/1.1\r\n{HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello".encode,
        f"POST /graphql HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode,
        f"BREW /graphql HTTP/1.1\r\n{HEAD}Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc".encode,
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
    )
    return kinds[number % len(kinds)]()


async def exchange(port: int, requests: Iterable[bytes]) -> int:
    """Send requests, each when the one before is answered, and connect again where the server ends the connection.

    Returns:
        how many were sent.
    """
    reader = writer = None
    sent = 0
    for request in requests:
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
            ends = b"connection: close" in head
        except (ConnectionError, asyncio.IncompleteReadError):
            ends = True
        sent += 1
        if ends:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()
    return sent


async def crowd(port: int, count: int) -> int:
    """Open WebSockets that follow what does not exist, and leave without a word; how many."""
    url = f"ws://127.0.0.1:{port}/graphql"
    for number in range(count):
        with contextlib.suppress(ConnectionClosed, InvalidStatus, ConnectionError, TimeoutError):
            live = await connect(url, subprotocols=["graphql-transport-ws"], ping_interval=None, proxy=None)
            await live.send('{"type": "connection_init"}')
            query = f'subscription {{ sessionUpdated(id: "cs_{number}_{time.time_ns()}") {{ id }} }}'
            await live.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": query}}))
            live.transport.abort()
    return count


async def rude(port: int, count: int) -> int:
    """Open connections, send a part of something, and leave at once or never read the answer; how many."""
    parts = (
        WEBSOCKET + "\r\n",
        WEBSOCKET + "\r\n\x81\x7f",
        WEBSOCKET,
        f"POST /graphql HTTP/1.1\r\n{HEAD}Content-Length: 50000\r\n\r\n{{",
        f"POST /graphql HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        "GET /graphql HTTP/1.1\r\nX-",
        f"GET /graphql?query=%7Bpricing%7Bcurrency%7D%7D HTTP/1.1\r\n{HEAD}\r\n" * 20,
        "",
    )
    for number in range(count):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(parts[number % len(parts)].encode("latin-1"))
        await asyncio.sleep(0.001)
        writer.transport.abort()
    return count


def shared(numbers: Iterator[int], count: int, clients: int) -> list[Iterator[int]]:
    """Divide the next numbers among clients, who take them as they go."""
    return [itertools.islice(numbers, count // clients) for _ in range(clients)]
