"""A document executed by graphql-core or by the compiled executor, as bytes to compare."""

import asyncio
from typing import Any

import orjson
from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute

from gateway.graphql.execution.executor import GatewayExecutor

ROOM = 10_000
"""Room for everything that a document could have compiled."""


def as_bytes(result: ExecutionResult) -> bytes:
    """Return the data, the errors and where they happened."""
    errors = [error.formatted for error in result.errors or ()]
    return orjson.dumps({"data": result.data, "errors": errors, "at": [error.path for error in result.errors or ()]})


async def run(schema: GraphQLSchema, document: DocumentNode, context: Any, **options: Any) -> bytes:
    """Execute by graphql-core, or by the `executor_class` that is named."""
    result = execute(schema, document, context_value=context, **{"executor_class": GatewayExecutor, **options})
    return as_bytes(await result if asyncio.iscoroutine(result) else result)
