"""Run a prepared document: the same for HTTP and WebSocket, and the only caller of graphql-core's `execute`."""

from inspect import isawaitable
from time import perf_counter
from typing import Any, NamedTuple

from graphql import GraphQLSchema, execute

from gateway.graphql.base.context import Context
from gateway.graphql.execution.compiler import CompiledExecutor
from gateway.graphql.execution.documents import Prepared
from gateway.graphql.execution.errors import format_errors
from gateway.graphql.execution.executor import GatewayExecutor
from gateway.graphql.execution.measured import count
from gateway.graphql.execution.request import GraphQLRequest


class Result(NamedTuple):
    """What became of an operation.

    Attributes:
        data: what it answers; None also when an error left nothing.
        errors: as clients may see them.
        ran: whether it could be run at all: its variables and its name were right.
    """

    data: dict[str, Any] | None
    errors: list[dict[str, Any]]
    ran: bool

    @property
    def body(self) -> dict[str, Any]:
        """The response; without `data` when it did not run (GraphQL, "Response Format")."""
        if not self.ran:
            return {"errors": self.errors}
        return {"errors": self.errors, "data": self.data} if self.errors else {"data": self.data}


class Engine:
    """Runs operations.

    Args:
        schema: with its authorization and limits.
        compiled: whether selections of plain objects are compiled (`compiler.py`), or all is left to graphql-core.
        suggestions: whether errors may name what the client perhaps meant.
    """

    def __init__(self, schema: GraphQLSchema, *, compiled: bool, suggestions: bool) -> None:
        self._schema = schema
        self._compiled = compiled
        self._suggestions = suggestions

    async def execute(self, prepared: Prepared, request: GraphQLRequest, context: Context, request_id: str) -> Result:
        """Run an operation, and count it.

        Args:
            prepared: its document; one that has errors does not run.
            request: its name and variables.
            context: what resolvers may reach.
            request_id: under which the log has what clients may not see.
        """
        started = perf_counter()
        result = await self._execute(prepared, request, context, request_id)
        count(prepared, request.operation_name, result.errors, started)
        return result

    async def _execute(self, prepared: Prepared, request: GraphQLRequest, context: Context, request_id: str) -> Result:
        if prepared.document is None:
            return Result(None, list(prepared.errors), ran=False)
        executor: dict[str, Any] = {"executor_class": GatewayExecutor}
        if self._compiled:
            executor = {"executor_class": CompiledExecutor, "compiled": prepared.compiled}
        result = execute(
            self._schema,
            prepared.document,
            context_value=context,
            variable_values=request.variables,
            operation_name=request.operation_name,
            hide_suggestions=not self._suggestions,
            **executor,
        )
        if isawaitable(result):
            result = await result
        errors = format_errors(result.errors, request_id)
        return Result(result.data, errors, ran=result.data is not None or any("path" in error for error in errors))
