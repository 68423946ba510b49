"""Answer an operation over a WebSocket or by events: once, or, when it is a subscription, again at every change.

A subscription is a query that is run again whenever one of its topics is published; the answer is sent if it differs
from the last one. In between it is a waiting task: no session of the database, no thread, no timer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from graphql import OperationType

from gateway.auth.principal import Principal
from gateway.graphql.base.context import Context, LiveContext, Services
from gateway.graphql.execution.documents import Prepared
from gateway.graphql.execution.engine import Engine
from gateway.graphql.execution.request import GraphQLRequest

AT_ONCE = 4  # what all subscribers hear at once must not take every connection of the database
PAUSE_SECONDS = 0.1  # a purchase is half a dozen events; whoever follows it needs no half a dozen answers

Send = Callable[[str, Any], Awaitable[None]]
"""Sends a message of the protocol: `next` and an answer, `error` and why there is none, or `complete`."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        principal: the caller.
        address: the IP address, when it is known.
        request_id: under which the log has what is not told.
    """

    principal: Principal
    address: str | None
    request_id: str


class OperationRunner:
    """Runs the operations of all connections of one process.

    Args:
        services: what the resolvers use.
        engine: runs one operation once.
    """

    def __init__(self, services: Services, engine: Engine) -> None:
        self._services = services
        self._engine = engine
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self, prepared: Prepared, request: GraphQLRequest, caller: Caller, send: Send) -> None:
        """Run an operation to its end, which for a subscription is its cancellation, or an error."""
        operation = prepared.operation(request.operation_name)
        if operation is not None and operation.operation is OperationType.SUBSCRIPTION:
            await self.subscribe(prepared, request, caller, send)
            return
        context = Context(self._services, caller.principal, caller.address)
        result = await self._engine.execute(prepared, request, context, caller.request_id)
        if result.ran:
            await send("next", result.body)
            await send("complete", None)
        else:
            await send("error", result.errors)

    async def subscribe(self, prepared: Prepared, request: GraphQLRequest, caller: Caller, send: Send) -> None:
        """Run a subscription: answer, wait for a change, answer again if the answer differs."""
        sent = b""
        with self._services.notifications.subscribe() as changed:
            while True:
                # a new one each time: what was loaded and allowed for the last reading may not hold for this
                context = LiveContext(self._services, caller.principal, caller.address, changed=changed)
                async with self._slots if changed.heard else nullcontext():  # the first reading may wait for Stripe
                    result = await self._engine.execute(prepared, request, context, caller.request_id)
                if result.data is None:
                    await send("error", result.errors)
                    return
                digest = sha256(orjson.dumps(result.body)).digest()
                if digest != sent:
                    sent = digest
                    await send("next", result.body)
                del result, context  # nobody keeps for an hour what was sent
                await asyncio.sleep(PAUSE_SECONDS)
                await changed.wait()
