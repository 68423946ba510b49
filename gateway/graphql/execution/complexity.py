"""What one document may cost, computed in one pass over it, before it is validated or run.

Each fragment is counted once and remembered, so that a small document of nested fragments, which expands exponentially,
costs no more to refuse than to read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)

from gateway.billing.pagination import MAX_PAGE
from gateway.errors import QueryTooComplex

MAX_TOKENS = 1000
MAX_DEPTH = 12
MAX_ALIASES = 15
MAX_ROOT_FIELDS = 20
MAX_DIRECTIVES = 5
MAX_FIELDS = 100  # validation compares the fields of one level with each other: 240 repeated ones take it a second
MAX_COST = 5000
MAX_ERRORS = 10
LENGTHS = {"subscriptions": 10, "entitlements": 20}
"""How long lists that come whole are for a customer with much: what is selected of each counts so many times."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a selection costs, its fragments expanded.

    Attributes:
        depth: nested fields; introspection counts none (graphql-core bounds it by a rule of its own).
        aliases: fields under another name.
        fields: fields at this level.
        cost: every field, times the page size of each connection and the usual length of each list around it.
        total: every field, counted once.
    """

    depth: int = 0
    aliases: int = 0
    fields: int = 0
    cost: int = 0
    total: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            max(self.depth, other.depth),
            self.aliases + other.aliases,
            self.fields + other.fields,
            self.cost + other.cost,
            self.total + other.total,
        )


NOTHING = Cost()


@dataclass(frozen=True, slots=True)
class DocumentCost:
    """What a document costs.

    Attributes:
        operations: each with its cost.
        directives: the most on one field.
        siblings: the most fields side by side.
    """

    operations: tuple[tuple[OperationDefinitionNode, Cost], ...]
    directives: int
    siblings: int


def cost_of(schema: GraphQLSchema, document: DocumentNode) -> DocumentCost:
    """Return what a document costs. What the schema does not know costs too: validation will refuse it.

    Args:
        schema: tells what is a connection.
        document: as it was parsed.
    """
    visitor = CostVisitor(schema, document)
    operations = tuple(
        (node, visitor.selection(node.selection_set, schema.get_root_type(node.operation)))
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
    )
    return DocumentCost(operations, visitor.directives, visitor.siblings)


def check_limits(document: DocumentCost) -> Iterator[GraphQLError]:
    """Yield an error with the code QUERY_TOO_COMPLEX for each limit that an operation of the document exceeds."""
    for node, cost in document.operations:
        for what, count, most in (
            ("is nested {} deep", cost.depth, MAX_DEPTH),
            ("has {} aliases", cost.aliases, MAX_ALIASES),
            ("has {} root fields", cost.fields, MAX_ROOT_FIELDS),
            ("has {} directives on one field", document.directives, MAX_DIRECTIVES),
            ("has {} fields side by side", document.siblings, MAX_FIELDS),
            ("costs {}", cost.cost, MAX_COST),
        ):
            if count > most:
                found = what.format(count if count < MAX_COST * 1000 else "far more")
                yield GraphQLError(
                    f"the operation {found}; at most {most} is allowed. Ask for less at once.",
                    node,
                    extensions={"code": QueryTooComplex.code},
                )


class CostVisitor:
    """Adds up the selections of one document.

    Args:
        schema: tells what is a connection.
        document: its fragments.
    """

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.directives = 0
        self.siblings = 0
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._costs: dict[str, Cost] = {}

    def selection(self, node: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Cost:
        """Return what a selection on a type costs."""
        total = NOTHING
        for part in node.selections if node else ():
            self.directives = max(self.directives, len(part.directives or ()))
            if isinstance(part, FieldNode):
                total += self._field(part, parent)
            elif isinstance(part, InlineFragmentNode):
                on = self._schema.get_type(part.type_condition.name.value) if part.type_condition else parent
                total += self.selection(part.selection_set, on)
            elif isinstance(part, FragmentSpreadNode):
                total += self._fragment(part.name.value)
        self.siblings = max(self.siblings, total.fields)
        return total

    def _fragment(self, name: str) -> Cost:
        if name not in self._costs:
            self._costs[name] = NOTHING  # a fragment within itself ends here; validation refuses it
            node = self._fragments.get(name)
            if node is not None:
                on = self._schema.get_type(node.type_condition.name.value)
                self._costs[name] = self.selection(node.selection_set, on)
        return self._costs[name]

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Cost:
        name = node.name.value
        known = parent.fields.get(name) if isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType)) else None
        inner = self.selection(node.selection_set, get_named_type(known.type) if known else None)
        return Cost(
            depth=0 if name.startswith("__") else inner.depth + 1,
            aliases=inner.aliases + (node.alias is not None),
            fields=1,
            cost=1 + inner.cost * _length(node, known),
            total=1 + inner.total,
        )


def _length(node: FieldNode, field: GraphQLField | None) -> int:
    """Return how often the selection of a field may be repeated.

    That is a connection's `first`, or as many as its `features` or `representations`; of a variable the most that is
    allowed.
    """
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    if field is None:
        return 1
    for name in ("features", "representations"):
        if name in field.args:
            named = given.get(name)
            return len(named.values) if isinstance(named, ListValueNode) else MAX_PAGE
    if "first" not in field.args:
        return LENGTHS.get(node.name.value, 1)
    if (first := given.get("first")) is None:
        return int(field.args["first"].default_value)
    return min(int(first.value), MAX_PAGE) if isinstance(first, IntValueNode) else MAX_PAGE
