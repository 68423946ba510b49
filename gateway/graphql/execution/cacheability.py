"""Whether everybody gets the same answer: decided once for a document, from what it asks for.

A field is public when its root field says so in `FIELD_ACCESS` (`ownership.py`) and nothing below it can know who asks:
attributes of the catalogue's shared objects, and resolvers that do not take `info`, the only way to the caller. A new
field that takes it, or that leads to a private type, is left out by itself.
"""

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    visit,
)

from gateway.graphql.base.authorization import FIELD_ACCESS, FieldAccess, is_private


def is_cacheable(schema: GraphQLSchema, document: DocumentNode) -> bool:
    """Whether a valid document's answer depends on nothing but the catalogue, its variables and its operation's name.

    Every operation and fragment of it must be public, so that it does not matter which one is run.
    """
    types = TypeInfo(schema)
    walk = _Walk(schema, types)
    visit(document, TypeInfoVisitor(types, walk))
    return walk.public


class _Walk(Visitor):
    """Looks at every field once, fragments included."""

    def __init__(self, schema: GraphQLSchema, types: TypeInfo) -> None:
        super().__init__()
        self._roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
        self._types = types
        self.public = True

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Only a query is safe to repeat."""
        self.public &= node.operation is OperationType.QUERY

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        """A field, with the types that lead to it."""
        self.public &= node.name.value == "__typename" or self._is_same_for_all(node.name.value)

    def _is_same_for_all(self, name: str) -> bool:
        parent, field = self._types.get_parent_type(), self._types.get_field_def()
        if parent is None or field is None:
            return False
        if parent in self._roots:
            return FIELD_ACCESS.get(f"{parent.name}.{name}") is FieldAccess.PUBLIC
        definition = field.extensions.get("strawberry-definition")
        if definition is None or is_private(get_named_type(field.type)):
            return False
        return definition.base_resolver is None or definition.base_resolver.info_parameter is None
