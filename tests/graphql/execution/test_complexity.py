"""What one document may cost: each limit holds to the last one, however the document is written, and costs little."""

import time

import pytest
from graphql import parse

from gateway.graphql.execution.complexity import Cost, cost_of
from gateway.graphql.execution.documents import Documents
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.graphql.schema import core
from gateway.settings import Settings

PRODUCT = '{ product(id: "none") { %s } }'


def prepare(text):
    """A document as a gateway in production prepares it."""
    documents = Documents(core, PersistedDocuments(Settings.load()), introspection=False)
    return documents.prepare(GraphQLRequest(text, None, {}))


def codes(text):
    """The codes of what is wrong with a document."""
    return [error["extensions"]["code"] for error in prepare(text).errors]


def nested(depth):
    """`product`, and below it prices and their product by turns, on a cyclic schema."""
    inner = "id"
    for level in range(depth - 2):
        inner = f"{('prices', 'product')[(depth - level) % 2]} {{ {inner} }}"
    return PRODUCT % inner


def costing(cost):
    """A page of 100 that costs 4,901, one of 49 that costs 99 more, and one each for the rest."""
    large = f"plans(first: 100) {{ nodes {{ {'id ' * 48} }} }}"
    return f"{{ {large} more: plans(first: 49) {{ nodes {{ id }} }} {'__typename ' * (cost - 5000)}}}"


def tokens(count):
    """40 tokens of eleven nested selections, and the rest spread over them."""
    each, rest = divmod(count - 40, 11)
    inner = "id " * (each + rest)
    for level in range(10):
        inner = f"{'id ' * each} {('product', 'prices')[level % 2]} {{ {inner} }}"
    return PRODUCT % inner


LIMITS = {
    "depth": (12, nested, "is nested {} deep"),
    "aliases": (15, lambda n: "{" + " ".join(f"a{i}: __typename" for i in range(n)) + "}", "has {} aliases"),
    "root fields": (20, lambda n: "{" + "__typename " * n + "}", "has {} root fields"),
    "fields side by side": (100, lambda n: PRODUCT % ("id " * n), "has {} fields side by side"),
    "directives": (5, lambda n: "{ __typename" + " @skip(if: false)" * n + "}", "has {} directives on one field"),
    "cost": (5000, costing, "costs {}"),
}
WRITTEN = {
    "as it is": lambda text: text,
    "in a fragment": lambda text: "{ ...All } fragment All on Query " + text,
    "inline": lambda text: "{ ... on Query " + text + " }",
    "in a fragment of a fragment": lambda text: "{ ...A } fragment A on Query { ...B } fragment B on Query " + text,
    "as one of two operations": lambda text: "query Q { __typename } query R " + text,
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("limit", LIMITS)
def test_the_last_that_is_allowed_is_allowed_and_one_more_is_not(limit, written):
    most, build, says = LIMITS[limit]

    assert "QUERY_TOO_COMPLEX" not in codes(WRITTEN[written](build(most)))
    over = prepare(WRITTEN[written](build(most + 1)))
    assert over.document is None
    assert {error["extensions"]["code"] for error in over.errors} == {"QUERY_TOO_COMPLEX"}
    assert f"{says.format(most + 1)}; at most {most} is allowed" in over.errors[0]["message"]


def test_a_page_size_in_a_variable_counts_as_the_largest():
    query = "query($n: Int!) { plans(first: $n) { nodes { product { plans { " + "id " * 60 + "} } } } }"
    assert codes(query) == ["QUERY_TOO_COMPLEX"]


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("{ __typename }", Cost(depth=0, fields=1, cost=1, total=1)),
        ("{ a: __typename b: __typename }", Cost(depth=0, aliases=2, fields=2, cost=2, total=2)),
        ('{ product(id: "x") { id name } }', Cost(depth=2, fields=1, cost=3, total=3)),
        ("{ plans { nodes { id } } }", Cost(depth=3, fields=1, cost=1 + 50 * 2, total=3)),
        ("{ plans(first: 7) { nodes { id } } }", Cost(depth=3, fields=1, cost=1 + 7 * 2, total=3)),
        ("{ plans(first: 999) { nodes { id } } }", Cost(depth=3, fields=1, cost=1 + 100 * 2, total=3)),
        ("query($n: Int!) { plans(first: $n) { nodes { id } } }", Cost(depth=3, fields=1, cost=1 + 100 * 2, total=3)),
        ("{ ...F ...F } fragment F on Query { a: __typename }", Cost(depth=0, aliases=2, fields=2, cost=2, total=2)),
        ("{ viewer { entitlements { feature limit } } }", Cost(depth=3, fields=1, cost=2 + 20 * 2, total=4)),
        ('{ viewer { accessTo(features: ["a", "b"]) { feature } } }', Cost(depth=3, fields=1, cost=2 + 2, total=3)),
        (
            "query($f: [String!]!) { viewer { accessTo(features: $f) { feature } } }",
            Cost(depth=3, fields=1, cost=2 + 100, total=3),
        ),
        ("{ nobody { knows } }", Cost(depth=2, fields=1, cost=2, total=2)),
        ("{ ...Absent }", Cost()),
    ],
)
def test_what_an_operation_costs(text, cost):
    ((_, found),) = cost_of(core, parse(text)).operations
    assert found == cost


def test_a_thousand_tokens_are_read_and_no_more():
    assert codes(tokens(1000)) == []
    over = prepare(tokens(1001))
    assert [error["extensions"]["code"] for error in over.errors] == ["GRAPHQL_PARSE_FAILED"]
    assert "more than 1000 tokens" in over.errors[0]["message"]
    assert codes("#\n" * 1001 + "{ __typename }") == ["GRAPHQL_PARSE_FAILED"], "comments count too"


def test_of_many_mistakes_ten_are_told():
    assert len(codes("{" + " ".join(f"nope{n}" for n in range(20)) + "}")) == 10


def doubling(depth):
    fragments = (f"fragment F{n} on Product {{ ...F{n + 1} ...F{n + 1} }}" for n in range(depth))
    return PRODUCT % "...F0" + " ".join(fragments) + f" fragment F{depth} on Product {{ id }}"


def everybody(count):
    """Every fragment spreads all that follow."""
    spread = [" ".join(f"...F{other}" for other in range(n + 1, count)) for n in range(count)]
    return PRODUCT % "...F0" + " ".join(f"fragment F{n} on Product {{ id {spread[n]} }}" for n in range(count))


def tree(levels):
    """Two of the same at every level, which validation has to merge."""
    if levels == 0:
        return "id"
    name = ("product", "prices")[levels % 2]
    return f"{name} {{ {tree(levels - 1)} }} " * 2


NASTY = {
    "fragments that double": (doubling(60), 50),
    "fragments that double and nest": (
        PRODUCT % "...F0"
        + " ".join(
            f"fragment F{n} on Product {{ prices {{ product {{ ...F{n + 1} ...F{n + 1} }} }} }}" for n in range(40)
        )
        + " fragment F40 on Product { id }",
        50,
    ),
    "fragments that spread each other": (everybody(14), 50),
    "a fragment within itself": ("{ ...F } fragment F on Query { ...F ...F }", 50),
    "two fragments within each other": (
        "{ ...A } fragment A on Query { ...B ...B } fragment B on Query { ...A ...A }",
        50,
    ),
    "far too deep": (nested(240), 50),
    "what fits and merges badly": (PRODUCT % tree(7), 500),
    "what fits and has a hundred at every level": (tokens(1000), 500),
    "ninety fragments side by side": (
        PRODUCT % " ".join(f"...F{n}" for n in range(90))
        + " ".join(f"fragment F{n} on Product {{ id }}" for n in range(90)),
        500,
    ),
    "sixty operations": (
        " ".join(f"query Q{n} {{ ...F0 }}" for n in range(60))
        + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(60))
        + "fragment F60 on Query { __typename }",
        500,
    ),
}


@pytest.mark.parametrize(("text", "milliseconds"), list(NASTY.values()), ids=list(NASTY))
def test_no_document_takes_long_to_refuse_or_to_accept(text, milliseconds):
    """Processor time of this thread, the least of five: what is refused costs no more than it takes to read."""
    took = []
    for _ in range(5):
        documents = Documents(core, PersistedDocuments(Settings.load()), introspection=False)
        began = time.thread_time()
        documents.prepare(GraphQLRequest(text, None, {}))
        took.append(time.thread_time() - began)
    assert min(took) * 1000 < milliseconds
