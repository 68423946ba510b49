"""The schema, its SDL, and what would break clients."""

import re
from collections.abc import Mapping
from functools import cache

import strawberry
from graphql import GraphQLError, GraphQLInputObjectType, GraphQLSchema, Undefined, find_breaking_changes
from graphql import build_schema as parse_sdl
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import HasGraphQLName, NameConverter
from strawberry.utils.str_converters import to_camel_case

from gateway.errors import BadInput
from gateway.graphql.base.authorization import FIELD_ACCESS, FieldAccess, enforce
from gateway.graphql.base.mutation_limits import limit_mutations
from gateway.graphql.base.scalars import SCALARS
from gateway.graphql.execution.compiler import register_compilable_fields
from gateway.graphql.mutation import Mutation
from gateway.graphql.query import Query
from gateway.graphql.subscription import Subscription

_camel_case = cache(to_camel_case)


class KeptNames(NameConverter):
    """Strawberry's names, each made once: it asks for those of a field's arguments whenever the field is asked for."""

    def get_graphql_name(self, obj: HasGraphQLName) -> str:
        """Return the name of an argument or a field in the schema."""
        return obj.graphql_name or _camel_case(obj.python_name)


def build_schema(query: type = Query, field_access: Mapping[str, FieldAccess] = FIELD_ACCESS) -> strawberry.Schema:
    """Build the schema. What is compilable is registered before anything is put around a resolver.

    Args:
        query: the root of all queries.
        field_access: who may call the fields of all roots.
    """
    config = StrawberryConfig(scalar_map=SCALARS, name_converter=KeptNames())
    made = strawberry.Schema(query=query, mutation=Mutation, subscription=Subscription, config=config)
    inner = core_of(made)
    register_compilable_fields(inner)
    enforce(inner, field_access)
    limit_mutations(inner)
    _drop_null_defaults(inner)
    _know_one_of(inner)
    return made


def core_of(made: strawberry.Schema) -> GraphQLSchema:
    """Return graphql-core's schema, which the engine needs."""
    return made._schema  # noqa: SLF001 - Strawberry has no public name for it


def _drop_null_defaults(core: GraphQLSchema) -> None:
    """Drop defaults of null: of an argument that may be left out, `= null` says nothing."""
    for kind in core.type_map.values():
        for field in getattr(kind, "fields", {}).values():
            for argument in (field, *getattr(field, "args", {}).values()):
                if getattr(argument, "default_value", Undefined) is None:
                    argument.default_value = Undefined


def _know_one_of(core: GraphQLSchema) -> None:
    """Let the engine know what Strawberry keeps to itself, so that `@oneOf` is validated before anything is done."""
    for kind in core.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            kind.is_one_of = kind.extensions["strawberry-definition"].is_one_of


schema = build_schema()
core = core_of(schema)


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

    Raises:
        BadInput: the text is no schema.
    """
    if text == sdl():
        return []
    drift = "schema.graphql is not the present schema: write it with `gateway schema > schema.graphql`"
    return [*(f"breaking: {change}" for change in _breaking(text)), drift]


def check_released(text: str) -> list[str]:
    """Compare the schema of the last version with this one.

    Args:
        text: its SDL. Comments of it list the breaking changes since: `# - Field A.b was removed. (why)`.

    Returns:
        a line for each breaking change that is not listed with a reason, and for each that is listed and is none.

    Raises:
        BadInput: the text is no schema.
    """
    listed, breaking = set(_LISTED.findall(text)), set(_breaking(text))
    return [
        *(f"breaking since the last version, and not listed: {each}" for each in sorted(breaking - listed)),
        *(f"listed as breaking, and is not: {each}" for each in sorted(listed - breaking)),
    ]


_LISTED = re.compile(r"^# - (.+\.) \(.+\)$", re.MULTILINE)


@cache
def _present() -> GraphQLSchema:
    """Return this schema as clients read it: with the names of its SDL."""
    return parse_sdl(sdl())


def _breaking(text: str) -> list[str]:
    """Return what has changed since an SDL and breaks clients.

    Raises:
        BadInput: the text is no schema.
    """
    try:
        published = parse_sdl(text)
    except (GraphQLError, TypeError) as error:  # it cannot be read, or names what it does not have
        raise BadInput(str(error).partition("\n")[0]) from None
    return [change.description for change in find_breaking_changes(published, _present())]
