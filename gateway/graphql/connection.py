"""Relay's connections: lists that can grow, read in pages."""

from typing import Generic, TypeVar

import strawberry

from gateway.graphql.describe import output

Node = TypeVar("Node")


@output
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool = strawberry.field(description="Whether more follows.")
    has_previous_page: bool = strawberry.field(description="Whether something precedes it.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item: the next page's `after`.")


@output
class Edge(Generic[Node]):
    """An item of a page, with its cursor."""

    cursor: str = strawberry.field(description="Names this item's place; valid as `after`.")
    node: Node = strawberry.field(description="The item.")


@output
class Connection(Generic[Node]):
    """A page of a list."""

    edges: list[Edge[Node]] = strawberry.field(description="The items with their cursors.")
    nodes: list[Node] = strawberry.field(description="The items alone.")
    page_info: PageInfo = strawberry.field(description="Whether there is more, and from where.")

    @classmethod
    def of(cls, items: list[tuple[str, Node]], *, has_next: bool, has_previous: bool) -> "Connection[Node]":
        """A page of items, each given with its cursor."""
        return cls(
            edges=[Edge(cursor=cursor, node=node) for cursor, node in items],
            nodes=[node for _, node in items],
            page_info=PageInfo(
                has_next_page=has_next,
                has_previous_page=has_previous,
                start_cursor=items[0][0] if items else None,
                end_cursor=items[-1][0] if items else None,
            ),
        )
