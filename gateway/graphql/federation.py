"""The schema as a part of a larger graph: what it has more where `GATEWAY_FEDERATION` is on.

Apollo Federation 2. The ordinary schema has none of it, because code generators would make types of it.
"""

from functools import cache
from typing import Any, Final

import strawberry
from graphql import IDLE, REMOVE, FieldDefinitionNode, GraphQLSchema, Visitor, VisitorAction, parse, print_ast, visit

from gateway.graphql.base.authorization import FEDERATION_ACCESS, FIELD_ACCESS
from gateway.graphql.base.decorators import named, object_type
from gateway.graphql.query import Query
from gateway.graphql.schema import build_schema, core_of, sdl
from gateway.graphql.types.entities import KEYS, EntityQueries

_LINK: Final = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])'
_DIRECTIVES: Final = "\n".join(
    [
        _LINK,
        *(f'extend type {name} @key(fields: "{key}")' for name, keys in KEYS.items() for key in keys),
    ]
)


@object_type
class Service:
    """This graph, as a router asks for it."""

    sdl: str = strawberry.field(description="The schema with the directives of Apollo Federation 2.")


@strawberry.type(name="Query", description="The queries.")
class FederatedQuery(Query, EntityQueries):
    """The queries, with those of a router."""

    @named("_service")
    def service(self) -> Service:
        """What this graph is, for a router."""
        return Service(sdl=federated_sdl())


@cache
def federated_core() -> GraphQLSchema:
    """Return the schema that is executed where it is a part of a larger graph."""
    return core_of(build_schema(FederatedQuery, FIELD_ACCESS | FEDERATION_ACCESS))


@cache
def federated_sdl() -> str:
    """Return the schema as it is composed with others.

    `node` is left out: a larger graph has its own, which knows the ids of all its parts.
    """
    text = print_ast(visit(parse(sdl()), _WithoutNode()))
    shared = text.replace("\ntype PageInfo {", "\ntype PageInfo @shareable {")  # other graphs have the same
    return f"{_DIRECTIVES}\n\n{shared}\n"


class _WithoutNode(Visitor):
    def enter_field_definition(self, field: FieldDefinitionNode, *_: Any) -> VisitorAction:
        """Remove the query; what an edge has by the same name takes no argument."""
        return REMOVE if field.name.value == "node" and field.arguments else IDLE
