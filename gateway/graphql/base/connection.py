"""Relay's connections: lists that can grow, read in pages."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import strawberry

from gateway.billing.pagination import Page
from gateway.graphql.base.decorators import field, object_type

Row = TypeVar("Row")
Node = TypeVar("Node")


@object_type
class PageInfo:
    """The place of a page in its list."""

    has_next_page: bool = strawberry.field(description="Whether more items follow.")
    has_previous_page: bool = strawberry.field(description="Whether items precede it.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item: the next page's `after`.")


@object_type
class Edge(Generic[Node]):
    """An item of a page, with its cursor."""

    cursor: str = strawberry.field(description="The place of this item; valid as `after`.")
    node: Node = strawberry.field(description="The item.")


@object_type
class Connection(Generic[Node]):
    """A page of a list."""

    rows: strawberry.Private[Sequence[Any]]
    cursor_of: strawberry.Private[Callable[[Any], str]]
    has_next: strawberry.Private[bool]
    has_previous: strawberry.Private[bool]

    edges: list[Edge[Node]] = field(lambda self: self.linked(), "The items with their cursors.")
    nodes: list[Node] = strawberry.field(description="The items alone.")
    page_info: PageInfo = field(lambda self: self.place(), "Whether more pages follow, and from where.")

    @classmethod
    def of(cls, page: Page[Row], node_of: Callable[[Row], Node | None]) -> "Connection[Node]":
        """Make a connection of a page; a row of which `node_of` makes nothing is left out."""
        items = [(row, node) for row in page.rows if (node := node_of(row)) is not None]
        return cls(
            rows=[row for row, _ in items],
            nodes=[node for _, node in items],
            cursor_of=page.cursor_of,
            has_next=page.has_next,
            has_previous=page.has_previous,
        )

    def linked(self) -> list[Edge[Node]]:
        """Return the items with their cursors."""
        return [Edge(cursor=self.cursor_of(row), node=node) for row, node in zip(self.rows, self.nodes, strict=True)]

    def place(self) -> PageInfo:
        """Return the place of the page."""
        return PageInfo(
            has_next_page=self.has_next,
            has_previous_page=self.has_previous,
            start_cursor=self.cursor_of(self.rows[0]) if self.rows else None,
            end_cursor=self.cursor_of(self.rows[-1]) if self.rows else None,
        )
