"""What the gateway is measured against: servers that only check signatures, commit each event, or send ready bytes."""

import asyncio
import hashlib
import hmac
import os
import time
from pathlib import Path

import orjson
from starlette.types import Receive, Scope, Send

from gateway.observability.logging import configure_logging
from gateway.runtime import compose
from gateway.settings import Settings
from gateway.webhooks.event import Delivery, StripeEvent
from gateway.webhooks.inbox import Inbox
from gateway.webhooks.signature import verify

ANSWER = Path(os.environ["BENCH_ANSWER"]).read_bytes() if "BENCH_ANSWER" in os.environ else b""
SECRET = os.environ.get("STRIPE_WEBHOOK_SECRET", "whsec_bench").encode()


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _genuine(scope: Scope, body: bytes) -> bool:
    header = next((value for name, value in scope["headers"] if name == b"stripe-signature"), b"")
    parts = dict(part.split(b"=", 1) for part in header.split(b",") if b"=" in part)
    stamp = parts.get(b"t", b"0")
    expected = hmac.new(SECRET, stamp + b"." + body, hashlib.sha256).hexdigest().encode()
    return hmac.compare_digest(expected, parts.get(b"v1", b"")) and abs(time.time() - int(stamp)) < 300


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Check the signature with plain HMAC and answer; keep nothing."""
    if scope["type"] != "http":
        return
    good = _genuine(scope, await _body(receive)) or scope["path"] == "/healthz"
    await _answer(send, 200 if good else 400, b'{"received":true}')


async def ready(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the request and send the bytes of a file."""
    if scope["type"] == "http":
        await _body(receive)
        await _answer(send, 200, ANSWER)


class OneCommit:
    """The gateway's own steps, with a transaction for every event, as most peers do it."""

    def __init__(self) -> None:
        self._settings = Settings.load()
        runtime = compose(self._settings)
        self._inbox = Inbox(runtime.mirror)
        self._turn = asyncio.Semaphore(1 if runtime.database.is_sqlite else 20)  # SQLite has one writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if scope["path"] != "/healthz":
            header = next(value for name, value in scope["headers"] if name == b"stripe-signature")
            label = verify(body, header.decode(), self._settings.stripe_webhook_secrets)
            delivery = Delivery(StripeEvent.parse(body), label)
            async with self._turn:
                await self._inbox.record([delivery], source="webhook")
        await _answer(send, 200, orjson.dumps({"received": True}))


def one_commit() -> OneCommit:
    """For uvicorn's `--factory`."""
    configure_logging(readable=False)
    return OneCommit()
