"""Calls of every field that the schema has, written by walking it, so that a new field is tried unasked."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

from gateway.graphql.schema import core

ROOTS = [root for root in (core.query_type, core.mutation_type) if root]
DUMMIES = {
    "ID": "price_none",
    "String": "x",
    "Int": 1,
    "BigInt": 1,
    "Float": 1.0,
    "Boolean": True,
    "Currency": "USD",
    "DateTime": "2026-01-01T00:00:00Z",
    "JSON": {},
}

Path = tuple[str, ...]


def objects() -> list[GraphQLObjectType]:
    """Every object type of the schema that is the gateway's own."""
    kinds = [kind for kind in core.type_map.values() if isinstance(kind, GraphQLObjectType)]
    return [kind for kind in kinds if not kind.name.startswith("__")]


def ids_within(kind: Any, path: Path) -> Iterator[Path]:
    """The paths of every `ID` within an input type."""
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from ids_within(field.type, (*path, name))
    elif named.name == "ID":
        yield path


def value_of(kind: Any, ids: Mapping[Path, str], path: Path) -> Any:
    """A value that an input type takes: what is required, and what `ids` says for the path of an `ID`."""
    if isinstance(kind, GraphQLNonNull):
        return value_of(kind.of_type, ids, path)
    if is_list_type(kind):
        return [value_of(kind.of_type, ids, path)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        return {
            name: value_of(field.type, ids, (*path, name))
            for name, field in kind.fields.items()
            if is_required_input_field(field) or _leads_to((*path, name), ids)
        }
    return ids.get(path) or DUMMIES[kind.name]


def operation(kind: GraphQLObjectType, name: str, ids: Mapping[Path, str]) -> tuple[str, dict[str, Any]]:
    """A document that calls one field with all that it requires and with `ids`, and its variables."""
    field = kind.fields[name]
    wanted: dict[str, GraphQLArgument] = {
        each: argument
        for each, argument in field.args.items()
        if is_required_argument(argument) or _leads_to((each,), ids)
    }
    variables = {each: value_of(argument.type, ids, (each,)) for each, argument in wanted.items()}
    call = f"{name}({', '.join(f'{each}: ${each}' for each in wanted)})" if wanted else name
    call += _plain_fields(get_named_type(field.type))
    root, *steps = WAYS[kind.name]
    for step in reversed(steps):
        call = f"{step} {{ {call} }}"
    declared = f"({', '.join(f'${each}: {argument.type}' for each, argument in wanted.items())})" if wanted else ""
    return f"{'mutation' if root == 'Mutation' else 'query'} {declared} {{ {call} }}", variables


def _plain_fields(kind: Any) -> str:
    """A selection of all that a type tells without being asked for more."""
    if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    plain = [
        name
        for name, field in kind.fields.items()
        if is_leaf_type(get_named_type(field.type)) and not any(map(is_required_argument, field.args.values()))
    ]
    return f" {{ __typename {' '.join(plain)} }}"


def _leads_to(path: Path, ids: Mapping[Path, str]) -> bool:
    return any(each[: len(path)] == path for each in ids)


def _ways() -> dict[str, list[str]]:
    """How to come from a root to each type by fields that require nothing: the root's name, then the fields."""
    found, todo = {root.name: [root.name] for root in ROOTS}, list(ROOTS)
    while todo:
        kind = todo.pop(0)
        for name, field in kind.fields.items():
            named = get_named_type(field.type)
            plain = not any(map(is_required_argument, field.args.values()))
            if plain and isinstance(named, GraphQLObjectType) and named.name not in found:
                found[named.name] = [*found[kind.name], name]
                todo.append(named)
    return found


WAYS = _ways()
ROOT_FIELDS = [(root, name) for root in ROOTS for name in root.fields]
FIELDS = [
    (kind, name) for kind in objects() if "operator" not in WAYS.get(kind.name, ["operator"]) for name in kind.fields
]
"""Not what stands below `Query.operator`: whoever comes so far sees everything."""
NAMED = [
    (kind, name, path)
    for kind, name in FIELDS
    for argument, described in kind.fields[name].args.items()
    for path in ids_within(described.type, (argument,))
]
"""Every place in which an operation can name something by its id."""
