"""Whether everybody gets the same answer: decided once for a document, from what it asks for.

A field is cacheable when its root field is PUBLIC in `FIELD_ACCESS` and nothing below it can know who asks: attributes
of the catalogue's shared objects, and resolvers that do not take `info`, the only way to the caller. A new field that
takes it, or that leads to a private type, is left out by itself.
"""

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    IDLE,
    SKIP,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    VisitorAction,
    get_named_type,
    visit,
)

from gateway.graphql.base.authorization import FIELD_ACCESS, FieldAccess, is_private

NULL_FOR_GUESTS: Final = {"Plan.viewer"}
"""Fields of the catalogue that are null where nobody is signed in: only what a guest was answered is kept."""


def is_cacheable(
    schema: GraphQLSchema, document: DocumentNode, field_access: Mapping[str, FieldAccess] = FIELD_ACCESS
) -> bool:
    """Return whether the answer depends on nothing but the catalogue, the variables and the operation's name.

    Every operation and fragment must be cacheable, so that it does not matter which one is run.

    Args:
        schema: as it is executed.
        document: a valid one.
        field_access: who may call each root field.
    """
    types = TypeInfo(schema)
    visitor = _Visitor(schema, types, field_access)
    visit(document, TypeInfoVisitor(types, visitor))
    return visitor.cacheable


class _Visitor(Visitor):
    """Looks at every field once, fragments included."""

    def __init__(self, schema: GraphQLSchema, types: TypeInfo, field_access: Mapping[str, FieldAccess]) -> None:
        super().__init__()
        self._roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
        self._types = types
        self._field_access = field_access
        self.cacheable = True

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Accept queries alone: only they are safe to repeat."""
        self.cacheable &= node.operation is OperationType.QUERY

    def enter_field(self, node: FieldNode, *_: Any) -> VisitorAction:
        """Accept a field that is the same for all; nothing below one that is null for whoever is nobody matters."""
        parent = self._types.get_parent_type()
        if parent is not None and f"{parent.name}.{node.name.value}" in NULL_FOR_GUESTS:
            return SKIP
        self.cacheable &= node.name.value == "__typename" or self._is_same_for_all(node.name.value)
        return IDLE

    def _is_same_for_all(self, name: str) -> bool:
        parent, field = self._types.get_parent_type(), self._types.get_field_def()
        if parent is None or field is None:
            return False
        if parent in self._roots:
            return self._field_access.get(f"{parent.name}.{name}") is FieldAccess.PUBLIC
        definition = field.extensions.get("strawberry-definition")
        if definition is None or is_private(get_named_type(field.type)):
            return False
        return definition.base_resolver is None or definition.base_resolver.info_parameter is None
