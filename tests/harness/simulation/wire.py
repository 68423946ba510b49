"""The network, simulated: requests of a process to Stripe and to the application."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson

from harness.simulation.crossings import Crossings, Pace
from harness.simulation.loop import copy_context_outside

STRIPE, SHOP = "127.0.0.1", "shop.test"
"""Stripe's is a real address, of a port where nobody listens: what would go past this wire is refused."""

Server = Callable[[httpx.Request], Awaitable[httpx.Response]]
PACE = Pace((0.005, 0.04), (0.1, 1.0), (3.0, 9.0))
LATER = 3600.0


class SimulatedWire(httpx.AsyncBaseTransport):
    """Brings requests to whoever serves a host.

    Args:
        crossings: what becomes of each.
        servers: who serves which host; the others refuse to be connected to.
    """

    def __init__(self, crossings: Crossings, servers: dict[str, Server]) -> None:
        self._crossings, self._servers = crossings, servers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        crossings, troubles = self._crossings, self._crossings.troubles
        is_stripe = request.url.host == STRIPE
        slow = troubles.stripe_slow if is_stripe else troubles.application_fails / 3
        refuses = troubles.stripe_refuses if is_stripe else troubles.application_fails
        loses = troubles.stripe_answer_lost if is_stripe else troubles.application_fails
        await crossings.cross(crossings.delay(PACE, slow))
        if crossings.happens(refuses) or (is_stripe and crossings.is_away("Stripe", troubles.stripe_away)):
            return await self._refuse(request)
        response = await self._servers[request.url.host](request)
        await crossings.cross(crossings.delay(PACE, slow))
        if crossings.happens(loses):
            raise httpx.ReadError("the connection was reset", request=request)
        return response

    async def _refuse(self, request: httpx.Request) -> httpx.Response:
        crossings = self._crossings
        if crossings.happens(0.3):
            raise httpx.ConnectError("the connection was refused", request=request)
        if crossings.happens(0.2):
            await crossings.cross(LATER)  # whoever waits gives up before
        status = 429 if crossings.happens(0.5) else 500
        kind = "rate_limit" if status == 429 else "api_error"
        body = {"error": {"type": "invalid_request_error" if status == 429 else kind, "code": kind, "message": kind}}
        headers = {"Stripe-Should-Retry": "true"} if crossings.happens(0.5) else {}
        return httpx.Response(status, stream=httpx.ByteStream(orjson.dumps(body)), headers=headers, request=request)


def asgi_server(app: Any) -> Server:
    """Return the server of an ASGI application, which answers at one moment."""

    async def serve(request: httpx.Request) -> httpx.Response:
        body, sent = await request.aread(), []
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "server": (request.url.host, 80),
            "client": ("10.0.0.1", 40_000),
            "root_path": "",
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        loop = asyncio.get_running_loop()
        await asyncio.shield(loop.create_task(app(scope, receive, send), context=copy_context_outside()))
        start, content = sent[0], b"".join(each.get("body", b"") for each in sent[1:])
        return httpx.Response(start["status"], headers=start["headers"], content=content, request=request)

    return serve
