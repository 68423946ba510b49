"""What a query wants of an account, seen before any of it is resolved: so all of it can be read at once.

It may see more than is resolved (`@skip`, `@include`, fragments of other types), never less.
"""

from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import FieldNode, GraphQLError, GraphQLObjectType, get_argument_values, get_named_type

from gateway.billing.customers.account import AccountSelection


def selection_of(info: strawberry.Info[Any, None], external_id: str) -> AccountSelection:
    """What the field being resolved, which gives an account, has to read for the fields within it.

    Args:
        info: of the field.
        external_id: whose account it is.
    """
    raw = info._raw_info  # noqa: SLF001 - what Strawberry makes of a selection costs more than its answer
    kind: Any = get_named_type(raw.return_type)
    methods = False
    pages: set[tuple[int, str | None]] = set()
    for node in _fields(raw, raw.field_nodes, set()):
        name = node.name.value
        methods |= name == "paymentMethod"
        if name == "invoices":
            pages.update(_page(raw, kind, node))
    return AccountSelection(external_id, methods, frozenset(pages))


def _fields(raw: Any, nodes: list[Any], seen: set[str]) -> Iterator[FieldNode]:
    """The fields within some nodes; those of `viewer { customer }` are fields of the same account."""
    for node in nodes:
        for each in node.selection_set.selections if node.selection_set else ():
            if isinstance(each, FieldNode):
                yield each
                if each.name.value == "customer":
                    yield from _fields(raw, [each], seen)
            elif (name := getattr(each, "name", None)) is None:
                yield from _fields(raw, [each], seen)
            elif name.value not in seen:
                seen.add(name.value)
                yield from _fields(raw, [raw.fragments[name.value]], seen)


def _page(raw: Any, kind: GraphQLObjectType, node: FieldNode) -> Iterator[tuple[int, str | None]]:
    """The page of invoices that a field asks for; none, where it will be refused for its arguments."""
    try:
        given = get_argument_values(kind.fields["invoices"], node, raw.variable_values)
    except GraphQLError:
        return
    yield given["first"], given.get("after")
