"""What an operation is answered with over a WebSocket: once, or, when it is a subscription, again at every change.

A subscription is a query that is run again whenever something was told of that it follows; the answer is sent if it
differs from the last one. In between it is a waiting task: no session of the database, no thread, no timer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import sha256
from inspect import isawaitable
from typing import Any

import orjson
from graphql import DocumentNode, OperationType, execute, get_operation_ast

from gateway.auth.principal import Principal
from gateway.graphql.base.context import Context, LiveContext, Services
from gateway.graphql.execution.errors import format_errors
from gateway.graphql.execution.request import GraphQLRequest
from gateway.graphql.schema import core

AT_ONCE = 4  # what all subscribers hear at once must not take every connection of the database
PAUSE_SECONDS = 0.1  # a purchase is half a dozen events; whoever follows it needs no half a dozen answers

Tell = Callable[[str, Any], Awaitable[None]]
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


def kind_of(document: DocumentNode, name: str | None) -> OperationType:
    """What is to be run; a query, where the document does not say: the answer is an error then."""
    node = get_operation_ast(document, name)
    return node.operation if node else OperationType.QUERY


class OperationRunner:
    """Runs the operations of all connections of one process.

    Args:
        services: what the resolvers use.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self, document: DocumentNode, operation: GraphQLRequest, caller: Caller, tell: Tell) -> None:
        """Run an operation to its end, which for a subscription is its cancellation, or an error."""
        if kind_of(document, operation.name) is OperationType.SUBSCRIPTION:
            await self.subscribe(document, operation, caller, tell)
            return
        context = Context(self._services, caller.principal, caller.address)
        answer = await self._answer(document, operation, caller, context)
        if "data" in answer:
            await tell("next", answer)
            await tell("complete", None)
        else:
            await tell("error", answer["errors"])

    async def subscribe(self, document: DocumentNode, operation: GraphQLRequest, caller: Caller, tell: Tell) -> None:
        """Run a subscription: answer, wait for a change, answer again if the answer differs."""
        sent = b""
        with self._services.notifications.subscribe() as changed:
            while True:
                # a new one each time: what was loaded and allowed for the last reading may not hold for this
                context = LiveContext(self._services, caller.principal, caller.address, changed=changed)
                async with self._turns if changed.heard else nullcontext():  # the first reading may wait for Stripe
                    answer = await self._answer(document, operation, caller, context)
                if answer.get("data") is None:
                    await tell("error", answer["errors"])
                    return
                digest = sha256(orjson.dumps(answer)).digest()
                if digest != sent:
                    sent = digest
                    await tell("next", answer)
                del answer, context  # nobody keeps for an hour what was sent
                await asyncio.sleep(PAUSE_SECONDS)
                await changed.wait()

    async def _answer(
        self, document: DocumentNode, operation: GraphQLRequest, caller: Caller, context: Context
    ) -> dict[str, Any]:
        """One answer, as over HTTP; without `data` if it could not even be run."""
        result = execute(
            core,
            document,
            context_value=context,
            variable_values=operation.variables,
            operation_name=operation.name,
            hide_suggestions=not self._services.settings.graphiql,
        )
        if isawaitable(result):
            result = await result
        errors = format_errors(result.errors, caller.request_id)
        if result.data is None and not any("path" in error for error in errors):
            return {"errors": errors}
        return {"errors": errors, "data": result.data} if errors else {"data": result.data}
