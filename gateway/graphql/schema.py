"""The schema, its SDL, and what would break clients."""

import strawberry
from graphql import GraphQLSchema, Undefined, build_schema, find_breaking_changes
from strawberry.schema.config import StrawberryConfig

from gateway.graphql.base.authorization import enforce
from gateway.graphql.base.mutation_limits import limit
from gateway.graphql.base.scalars import SCALARS
from gateway.graphql.execution.compiler import register_compilable_fields
from gateway.graphql.mutation import Mutation
from gateway.graphql.query import Query
from gateway.graphql.subscription import Subscription

config = StrawberryConfig(scalar_map=SCALARS)
schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription, config=config)

core: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it, and the engine needs it
register_compilable_fields(core)  # before anything is put around a resolver
enforce(core)
limit(core)

# An argument that may be left out has no default worth printing: `= null` says nothing.
for _type in core.type_map.values():
    for _field in getattr(_type, "fields", {}).values():
        for _argument in (_field, *getattr(_field, "args", {}).values()):
            if getattr(_argument, "default_value", Undefined) is None:
                _argument.default_value = Undefined


def sdl() -> str:
    """Return the schema in GraphQL's schema language, as in `schema.graphql`."""
    return schema.as_str() + "\n"


def check(text: str) -> list[str]:
    """Compare a published schema with this one.

    Args:
        text: the published SDL.

    Returns:
        a line for each breaking change, and one that says how to publish the present schema; nothing when both are the
        same.
    """
    if text == sdl():
        return []
    breaking = find_breaking_changes(build_schema(text), build_schema(sdl()))
    drift = "schema.graphql is not the present schema: write it with `gateway schema > schema.graphql`"
    return [*(f"breaking: {change.description}" for change in breaking), drift]
