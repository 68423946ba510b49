"""Find out what a query reads of an account before its fields are resolved, so that it can be read at once.

It may find more than is resolved (`@skip`, `@include`, fragments of other types), never less.
"""

from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import FieldNode, GraphQLError, GraphQLObjectType, get_argument_values, get_named_type

from gateway.billing.customers.account import AccountSelection

_LINKS = frozenset({"hostedInvoiceUrl", "invoicePdf"})


def asks_for_links(info: strawberry.Info[Any, None]) -> bool:
    """Return whether the links of invoices are asked for within the field being resolved."""
    raw = info._raw_info  # noqa: SLF001 - as below
    return any(not _LINKS.isdisjoint(_names(raw, node, set())) for node in raw.field_nodes)


def selection_of(info: strawberry.Info[Any, None], external_id: str, kind: str | None = None) -> AccountSelection:
    """Return what the field being resolved, an account, must read for the fields within it.

    Args:
        info: of the field.
        external_id: whose account it is.
        kind: of the account, where the field may answer other types too.
    """
    raw = info._raw_info  # noqa: SLF001 - Strawberry's own form of a selection costs more than the answer
    its: Any = raw.schema.type_map[kind] if kind else get_named_type(raw.return_type)
    ended = methods = links = False
    pages: set[tuple[int, str | None]] = set()
    for node in _fields(raw, raw.field_nodes, set()):
        name = node.name.value
        ended |= name == "subscriptions"
        methods |= name == "paymentMethod"
        if name == "invoices":
            pages.update(_page(raw, its, node))
            links = links or not _LINKS.isdisjoint(_names(raw, node, set()))
    return AccountSelection(external_id, ended, methods, frozenset(pages), links)


def _fields(raw: Any, nodes: list[Any], seen: set[str]) -> Iterator[FieldNode]:
    """Yield the fields within some nodes; those of `viewer { customer }` are fields of the same account."""
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


def _names(raw: Any, node: Any, seen: set[str]) -> Iterator[str]:
    """Yield the names of all fields within a node."""
    for each in node.selection_set.selections if node.selection_set else ():
        if isinstance(each, FieldNode):
            yield each.name.value
            yield from _names(raw, each, seen)
        elif (name := getattr(each, "name", None)) is None:
            yield from _names(raw, each, seen)
        elif name.value not in seen:
            seen.add(name.value)
            yield from _names(raw, raw.fragments[name.value], seen)


def _page(raw: Any, kind: GraphQLObjectType, node: FieldNode) -> Iterator[tuple[int, str | None]]:
    """Yield the page of invoices that a field asks for; none where its arguments will be refused."""
    try:
        given = get_argument_values(kind.fields["invoices"], node, raw.variable_values)
    except GraphQLError:
        return
    yield given["first"], given.get("after")
