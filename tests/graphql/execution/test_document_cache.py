"""What is remembered of documents is bounded by what it takes, whatever is sent: refused, run, or compiled."""

from types import SimpleNamespace

import pytest
import strawberry

from gateway.graphql.execution.compiler import register_compilable_fields
from gateway.graphql.execution.documents import Documents
from gateway.graphql.execution.engine import Engine
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.settings import Settings
from harness.memory import least, traced


@strawberry.type
class Leaf:
    """A thing with another one within."""

    text: str = "x"
    leaf: "Leaf | None" = None


@strawberry.type
class Query:
    """Things that have to be waited for, so that each is compiled by itself."""

    @strawberry.field
    async def leaves(self) -> list[Leaf]:
        """One."""
        return [Leaf(leaf=Leaf(leaf=Leaf()))]

    @strawberry.field
    def echo(self, text: str = "", numbers: list[int] | None = None) -> str:
        """What was sent."""
        return text + str(numbers)


@pytest.fixture(scope="module")
def schema():
    made = strawberry.Schema(query=Query)._schema
    register_compilable_fields(made)
    return made


def many(count, text):
    """A text so many times, with its number."""
    return " ".join(text.format(n=n) for n in range(count))


KINDS = {
    "five letters": "{{a{i}}}",
    "no query at all": "}}{i}",
    "a name of a thousand letters": "{{ " + "a" * 1000 + "{i} }}",
    "ten errors": "{{ " + many(10, "nope{n}_{{i}}") + " }}",
    "a hundred fields": "{{ leaves {{ " + "text " * 97 + "}} }} #{i}",
    "fifteen aliases": "{{ leaves {{ " + many(15, "a{n}: text") + " }} }} #{i}",
    "nested": "{{ leaves {{ leaf {{ leaf {{ leaf {{ text }} }} }} }} }} #{i}",
    "a list of numbers": "{{ echo(numbers: [" + "1 " * 400 + "]) }} #{i}",
    "variables": "query({i_}) {{ echo }}",
    "a comment": "{{ echo }} #{i}" + "x" * 5000,
    "a comment beyond Latin": "{{ echo }} #{i}" + "🜚" * 5000,
    "blanks": "{{ echo }}{i_}" + " " * 20_000,
    "fragments": "{{ ...F0 }} " + many(60, "fragment F{n} on Query {{{{ echo ...F{n}x }}}}") + " #{i}",
    "fragments that are used": "{{ leaves {{ ...A ...B }} }} fragment A on Leaf {{ text leaf {{ ...B }} }} "
    "fragment B on Leaf {{ text leaf {{ text }} }} #{i}",
    "operations": many(60, "query Q{n} {{{{ echo }}}}") + " #{i}",
    "switches": "query Q{i}($a: Boolean! = true, $b: Boolean! = true) "
    "{{ leaves {{ text @skip(if: $a) leaf {{ text @include(if: $b) }} }} }}",
    "root fields": "{{ " + many(15, "a{n}: leaves {{{{ text }}}}") + " }} #{i}",
}


DOCUMENTS = 20
VARIANTS = ({}, {"a": False}, {"b": False}, {"a": False, "b": False})
"""What may be set of the variables of `switches`."""


def text_of(kind, number):
    """The document of a kind with this number."""
    return KINDS[kind].format(i=number, i_=f"$v{number}: Int ")


async def fill(documents, engine, kind, numbers):
    """Send documents, and run those that can be run in all variants."""
    for number in numbers:
        for variables in VARIANTS if kind == "switches" else VARIANTS[:1]:
            request = GraphQLRequest(text_of(kind, number), "Q7" if kind == "operations" else None, variables)
            prepared = documents.prepare(request)
            if prepared.document is not None:
                result = await engine.execute(prepared, request, SimpleNamespace(), "")
                assert result.ran, result.errors


async def beyond_what_is_counted(schema, kind):
    """How many bytes documents of a kind take beyond what the cache counts for them."""
    documents = Documents(schema, PersistedDocuments(Settings.load()), introspection=True)
    engine = Engine(schema, compiled=True, suggestions=True)
    numbers = range(DOCUMENTS)
    with traced() as held:
        await fill(documents, engine, kind, range(10_000, 10_005))  # what the first of a kind leaves elsewhere
        before = held()
        await fill(documents, engine, kind, numbers)
        kept = held() - before
    return kept - sum(documents.prepare(GraphQLRequest(text_of(kind, n), None, {})).size for n in numbers)


@pytest.mark.parametrize("kind", KINDS)
async def test_no_document_takes_more_than_is_counted(schema, kind):
    assert await least(lambda: beyond_what_is_counted(schema, kind), 0) <= 0


async def test_the_cache_is_bounded_and_the_least_recently_used_go_first(schema):
    documents = Documents(schema, PersistedDocuments(Settings.load()), introspection=True, max_cache_bytes=100_000)
    first = documents.prepare(GraphQLRequest("{ echo }", None, {}))
    for number in range(200):
        documents.prepare(GraphQLRequest(f"{{ a{number} }}", None, {}))
        assert documents.prepare(GraphQLRequest("{ echo }", None, {})) is first
    again = documents.prepare(GraphQLRequest("{ a0 }", None, {}))
    assert documents.prepare(GraphQLRequest("{ a0 }", None, {})) is again


async def test_refused_documents_by_the_thousands_stay_within_the_bound(schema):
    """30,000 of five letters took 295 MB when they were counted by their characters."""

    async def held_bytes():
        documents = Documents(schema, PersistedDocuments(Settings.load()), introspection=False, max_cache_bytes=500_000)
        engine = Engine(schema, compiled=True, suggestions=False)
        with traced() as held:
            before = held()
            await fill(documents, engine, "five letters", range(200))
            return held() - before

    assert await least(held_bytes, 500_000) <= 500_000


async def test_what_is_larger_than_the_cache_is_prepared_and_not_remembered(schema):
    documents = Documents(schema, PersistedDocuments(Settings.load()), introspection=True, max_cache_bytes=1000)
    request = GraphQLRequest("{ echo }", None, {})
    assert documents.prepare(request).document is not None
    assert documents.prepare(request) is not documents.prepare(request)
