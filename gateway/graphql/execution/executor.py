"""graphql-core's executor, which tells our own failures from the client's, and answers a failure always the same.

graphql-core lets the first of several failures win: the first that a clock happens to bring, because fields run at the
same time. It cancels the siblings of a field that may not be null, and whatever they would have reported is lost. Here
the fields of a selection and the items of a list all run to their end. Where several of them may not be null and have
failed, the first in the selection is the one that makes their parent null, and `errors` is in the order in which the
fields stand in the document. The specification leaves both open ("Handling Execution Errors" of GraphQL: siblings may
be cancelled, not must).
"""

from collections.abc import Awaitable
from typing import Any

from graphql import Executor, GraphQLError, GraphQLLeafType, GraphQLObjectType, OperationType
from graphql.pyutils import Path


class SerializationError(Exception):
    """A value of our own does not fit the type that the schema declares, such as a count above 2^31 an `Int`."""


class GatewayExecutor(Executor[Any]):
    """graphql-core's executor. It reports a value that cannot be serialized as it does a wrong argument; here it is
    our failure: masked, and logged.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._failed: dict[Path, GraphQLError] = {}  # what may not be null and failed, until its siblings have ended

    @staticmethod
    def complete_leaf_value(return_type: GraphQLLeafType, result: Any) -> Any:
        """Serialize a value.

        Raises:
            SerializationError: the value does not fit its type.
        """
        try:
            return Executor.complete_leaf_value(return_type, result)
        except GraphQLError as error:
            raise SerializationError(str(error)) from error

    def handle_field_error(self, raw_error: Exception, return_type: Any, field_details_list: Any, path: Path) -> None:
        """Report an error, or keep it until its siblings have ended; a mutation that failed lets none run after it."""
        try:
            super().handle_field_error(raw_error, return_type, field_details_list, path)
        except GraphQLError as error:
            if path.prev is None and self.operation.operation is OperationType.MUTATION:
                raise
            self._failed[path] = error

    def execute_fields(
        self, parent_type: GraphQLObjectType, source_value: Any, path: Path | None, fields: Any, position_context: Any
    ) -> Any:
        """Execute the fields of an object: all of them, whichever fail."""
        results = super().execute_fields(parent_type, source_value, path, fields, position_context)
        return self._all_ended(results, path, parent_type.name)

    def complete_list_value(self, return_type: Any, field_details_list: Any, info: Any, path: Path, *rest: Any) -> Any:
        """Complete the items of a list: all of them, whichever fail."""
        results = super().complete_list_value(return_type, field_details_list, info, path, *rest)
        return self._all_ended(results, path, None)

    def build_response(self, data: dict[str, Any] | None) -> Any:
        """Build the answer, its errors in the order of the document."""
        self.collected_errors.errors.sort(key=lambda error: (error.positions or [], error.path or []))
        return super().build_response(data)

    def _all_ended(self, results: Any, path: Path | None, typename: str | None) -> Any:
        if self.is_awaitable(results):
            return self._when_all_ended(results, path, typename)
        if self._failed:
            keys = results if isinstance(results, dict) else range(len(results))
            failed = [error for key in keys if (error := self._failed.pop(Path(path, key, typename), None))]
            if failed:
                raise failed[0]
        return results

    async def _when_all_ended(self, results: Awaitable[Any], path: Path | None, typename: str | None) -> Any:
        return self._all_ended(await results, path, typename)
