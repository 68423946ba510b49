"""graphql-core's executor, which tells our own failures from the client's."""

from typing import Any

from graphql import Executor, GraphQLError, GraphQLLeafType


class SerializationError(Exception):
    """A value of our own does not fit the type that the schema declares, such as a count above 2^31 an `Int`."""


class GatewayExecutor(Executor[Any]):
    """graphql-core's executor. It reports a value that cannot be serialized as it does a wrong argument; here it is
    our failure: masked, and logged.
    """

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
