"""The compiled executor answers as graphql-core's own does, to the byte: what it can and what it must leave alone.

One long file, because half of it is schemas and queries.
"""

import asyncio
import enum
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Annotated, Any, Generic, NewType, TypeVar
from weakref import ref

import orjson
import pytest
import strawberry
from graphql import (
    ArgumentNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    execute,
    parse,
    print_ast,
    validate,
    visit,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries
from strawberry.schema.config import StrawberryConfig

from gateway.app import compose_services
from gateway.auth.principal import ANONYMOUS, SERVICE, Principal
from gateway.graphql.base.context import Context, Services
from gateway.graphql.base.memo import MemoizedType, SharedType, serial_number
from gateway.graphql.execution.compiler import (
    FUNCTION_FIELDS,
    MAX_MEMO_FIELDS,
    MAX_MEMOS,
    CompiledExecutor,
    register_compilable_fields,
)
from gateway.graphql.execution.documents import CompiledCode, Documents
from gateway.graphql.execution.executor import GatewayExecutor
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.graphql.schema import core
from gateway.runtime import compose
from gateway.settings import Settings
from harness.gateway import make_world
from harness.subscriptions import customer, subscribe

Node = TypeVar("Node")


def as_bytes(result: ExecutionResult) -> bytes:
    errors = [error.formatted for error in result.errors or ()]
    return orjson.dumps({"data": result.data, "errors": errors, "at": [error.path for error in result.errors or ()]})


async def run(schema: GraphQLSchema, document: DocumentNode, context: Any, **options: Any) -> bytes:
    result = execute(schema, document, context_value=context, **{"executor_class": GatewayExecutor, **options})
    return as_bytes(await result if asyncio.iscoroutine(result) else result)


# The real schema, over a real mirror.


ROOM = 10_000
"""Room for everything that a document could have compiled."""


@dataclass(repr=False)
class Gateway:
    """The use cases over a filled mirror, as `app.py` puts them together, and an event loop for them."""

    runner: asyncio.Runner
    services: Services
    names: dict[str, list[str]]

    def both(self, document: DocumentNode, principal: Principal, variables: dict[str, Any]) -> tuple[bytes, ...]:
        """What graphql-core answers, and the compiled executor at the first and at the second time."""
        compiled = CompiledCode(ROOM)
        mine = {"executor_class": CompiledExecutor, "compiled": compiled}
        return tuple(
            self.runner.run(
                run(core, document, Context(self.services, principal), variable_values=variables, **options)
            )
            for options in ({}, mine, mine)
        )


@pytest.fixture(scope="module")
def gateway(new_sqlite) -> Iterator[Gateway]:
    with make_world(new_sqlite()) as world, asyncio.Runner() as runner:
        ann = customer(world, "ann", name="Ann")
        for key in ("business_monthly", "pro_monthly"):
            subscribe(world, ann, key)
        subscribe(world, customer(world, "bob"))
        world.eventually(lambda: not world.rows("event", status="pending"))
        runtime = compose(world.settings)
        services = compose_services(runtime)
        names = {
            "id": [row["id"] for table in ("product", "price", "checkout_session") for row in world.rows(table)],
            "productId": [row["id"] for row in world.rows("product")],
            "priceId": [row["id"] for row in world.rows("price")],
            "subscriptionId": ["sub_of_nobody"],  # Stripe's previews have other ids each time
            "externalId": ["ann", "bob", "nobody"],
            "locale": ["en", "de-DE", "ja", "tlh"],
            "feature": ["sso", "projects", "nothing"],
        }
        yield Gateway(runner, services, names)
        runner.run(runtime.close())


class Vary(Visitor):
    """Makes a generated query likelier to find something, and gives it what the generator does not know."""

    def __init__(self, random: Random, names: dict[str, list[str]]) -> None:
        super().__init__()
        self._random = random
        self._names = names

    def leave_argument(self, node: ArgumentNode, *_) -> ArgumentNode | None:
        name = node.name.value
        if self._random.random() < 0.1:
            return None
        if isinstance(node.value, StringValueNode) and name in self._names:
            return ArgumentNode(name=node.name, value=nodes.String(self._random.choice(self._names[name])))
        if isinstance(node.value, IntValueNode) and name == "first":
            return ArgumentNode(name=node.name, value=nodes.Int(self._random.randint(1, 5)))
        return None

    def leave_field(self, node: FieldNode, *_) -> FieldNode | InlineFragmentNode | None:
        directives = parse("{ f " + self._random.choice(SWITCHES) + " }").definitions[0].selection_set.selections[0]
        match self._random.randrange(12):
            case 0 | 1:
                return replace(node, directives=directives.directives)
            case 2:
                twice = SelectionSetNode(selections=(node, node))
                return InlineFragmentNode(selection_set=twice, directives=directives.directives)
        return None


SWITCHES = ["@skip(if: $no)", "@skip(if: $yes)", "@include(if: $yes)", "@include(if: true) @skip(if: false)"]
SHOP = ("pricing", "plans", "plan", "products", "product")
SCALARS = {
    "Currency": st.sampled_from(["USD", "eur", "JPY", "nonsense"]).map(nodes.String),
    "DateTime": st.just("2026-01-01T00:00:00Z").map(nodes.String),
}
TEXTS = st.one_of(
    [queries(core, fields=fields, custom_scalars=SCALARS, allow_x00=False) for fields in (SHOP, ("viewer",), None)]
)


@settings(max_examples=40 * int(os.environ.get("TIMES", "1")), deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXTS, seed=st.integers(0, 2**64), yes=st.booleans(), caller=st.sampled_from(["ann", "bob", "", "service"]))
def test_whatever_is_asked_the_answer_is_the_same_to_the_byte(gateway, text, seed, yes, caller):
    document = visit(parse(text), Vary(Random(seed), gateway.names))  # noqa: S311
    document = parse(print_ast(document).replace("{", "query ($yes: Boolean!, $no: Boolean! = false) {", 1))
    principal = {"": ANONYMOUS, "service": SERVICE}.get(caller, Principal(subject=caller, email="a@b.example"))
    theirs, first, second = gateway.both(document, principal, {"yes": yes})
    assert first == second == theirs


EVERYTHING = """
query Everything($locale: String! = "en", $more: Boolean! = true) {
  pricing { __typename currency currencies intervals asOf
    products { product { ...P prices { ...R } plans { id } } plans { ...N } oneTime { ...R } } }
  plans(first: 4) { edges { cursor node { ...N } } nodes { id } pageInfo { ...I } }
  products(first: 4) { edges { cursor node { ...P } } nodes { id plans { ...N } } pageInfo { ...I } }
  viewer {
    id email credits { balance entries(first: 3) { nodes { id kind amount metadata { key } } } }
    subscription { ...S } subscriptions { ...S }
    invoices(first: 5) { nodes { ...V } edges { cursor node { ...V } } pageInfo { ...I } }
    paymentMethod { id brand last4 } entitlements { feature limit until source }
    access(feature: "sso") { allowed reason until limit subscription { ...S } }
    customer { id externalId email name currency delinquent createdAt }
  }
}
fragment I on PageInfo { hasNextPage hasPreviousPage startCursor endCursor }
fragment M on Money { amount currency decimal formatted(locale: $locale) plain: formatted(locale: "de") }
fragment P on Product { id name description active images features unitLabel url metadata { key value } createdAt }
fragment R on Price { id nickname lookupKey active unitAmount { ...M } unitAmountDecimal currencyOptions { ...M }
  billingScheme tiersMode tiers { upTo unitAmount { ...M } unitAmountDecimal flatAmount { ...M } } taxBehavior
  recurring { interval intervalCount usageType trialPeriodDays } metadata { key value } product { id ...P } }
fragment N on Plan { id nickname active amount { ...M } interval intervalCount trialPeriodDays usageType
  metadata { key value } price @include(if: $more) { ...R } product { name } }
fragment S on BillingSubscription { id status quantity currentPeriodEnd willCancel plan { ...N }
  items { id quantity plan { id } currentPeriodStart } access { allowed reason until subscription { id } } }
fragment V on Invoice { id number status total { ...M } tax { ...M } createdAt paidAt
  lines { id description amount { ...M } quantity proration periodStart price { ...R } } }
"""


@pytest.mark.parametrize(
    "variables",
    [{}, {"locale": "ja"}, {"locale": "tlh"}, {"more": False}, {"more": None}, {"locale": 1}, {"more": "x"}],
)
def test_a_query_that_asks_for_everything_is_answered_the_same(gateway, variables):
    document = parse(EVERYTHING)
    assert validate(core, document) == []
    theirs, first, second = gateway.both(document, Principal(subject="ann"), variables)
    assert first == second == theirs
    if not variables:
        assert len(theirs) > 20_000
        assert b'"errors":[]' in theirs


# A schema with everything that must be left alone, or looked at twice.


@strawberry.enum
class Mood(enum.Enum):
    CALM = strawberry.enum_value("c")
    CROSS = "x"


@strawberry.interface
class Animal:
    name: str
    mood: Mood = Mood.CALM

    @strawberry.field
    def loud(self) -> str:
        return self.name.upper()


@strawberry.type
class Dog(Animal):
    bones: int | None = None


@strawberry.type
class Cat(Animal):
    lives: int = 9


@strawberry.type
class Page(Generic[Node]):
    nodes: list[Node]


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Text(str):
    """A string that is no plain one."""

    __slots__ = ()


class Soon:
    """A value that has to be awaited."""

    text, must, number, share, on, moods, at, loose = "soon", "soon", 1, 1.0, True, None, NEW_YEAR, "soon"

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return Leaf(text="now", must="now")


class Failure(Exception):
    """An exception that could be taken for a leaf."""

    text, must, number, share, on, moods, at, loose = "soon", "soon", 1, 1.0, True, None, NEW_YEAR, "soon"


Loose = NewType("Loose", object)


@strawberry.type
class Leaf:
    text: str | None
    must: str
    number: int = 1
    share: float = 0.5
    on: bool = True
    moods: list[Mood | None] | None = None
    at: datetime = NEW_YEAR
    loose: Loose = "loose"

    @strawberry.field
    def picky(self, number: int = 2, word: str | None = "none", mood: Mood = Mood.CROSS) -> str:
        if number == 3:
            raise ValueError("three is not liked")
        return f"{self.must} {number!r} {word!r} {mood!r}"

    @strawberry.field
    def called(self, times: int = 2, *, word: str | None = None, share: float = 1, on: bool | None = None) -> list[str]:
        if times < 0:
            raise ValueError(f"{self.must} was called {times} times")
        return [f"{word!r} {share!r} {on!r}"] * times

    @strawberry.field
    def raising(self) -> str | None:
        raise ValueError(self.must)

    @strawberry.field
    async def later(self) -> str:
        await asyncio.sleep(0)
        return self.must

    @strawberry.field
    def informed(self, info: strawberry.Info) -> str:
        return f"{info.path.as_list()} {info.field_name}" if hasattr(info.path, "as_list") else info.field_name

    @strawberry.field
    def guarded(self) -> str | None:
        return "never seen"


@strawberry.type
class Coin(MemoizedType):
    worth: int
    name: str | None = None
    change: "Coin | None" = None
    memo: strawberry.Private[dict] = field(default_factory=dict)

    @strawberry.field
    def times(self, number: int = 2) -> int:
        return self.worth * number


@strawberry.type
class Shelf(SharedType):
    name: str
    holes: list[str | None]
    below: "Shelf | None" = None
    serial: strawberry.Private[int] = serial_number()

    @strawberry.field
    def times(self, number: int = 2) -> str:
        return self.name * number


LOWEST = Shelf(name="lowest", holes=["a", None])
SHELVES = [Shelf(name="top", holes=[], below=LOWEST), LOWEST, Shelf(name=None, holes=[])]
COINS = [
    Coin(worth=1),
    Coin(worth=2, name="two", change=Coin(worth=1, name="one")),
    Coin(worth="broken"),
    Coin(worth=2**31, name="too much"),
]


@strawberry.type
class Tree:
    leaf: Leaf
    maybe: Leaf | None
    leaves: list[Leaf]
    holes: list[Leaf | None]
    deep: list[list[Leaf]]
    animals: list[Animal]
    things: list[Annotated[Dog | Leaf, strawberry.union("Thing")]]
    dogs: Page[Dog]


def good() -> Tree:
    leaf = Leaf(text="a", must="b", moods=[Mood.CALM, None, Mood.CROSS])
    rex, tom = Dog(name="Rex", bones=2), Cat(name="Tom", mood=Mood.CROSS)
    return Tree(
        leaf=leaf,
        maybe=None,
        leaves=[leaf, Leaf(text=None, must="c")],
        holes=[leaf, None],
        deep=[[leaf], [], [leaf, leaf]],
        animals=[rex, tom],
        things=[rex, leaf],
        dogs=Page(nodes=[rex]),
    )


def bad(**broken: Any) -> Tree:
    """A tree in which one leaf of each place is broken."""
    tree, leaf = good(), Leaf(text="broken", must="d")
    for name, value in broken.items():
        setattr(leaf, name, value)
    return Tree(
        leaf=tree.leaf,
        maybe=leaf,
        leaves=[tree.leaf, leaf, tree.leaf],
        holes=[leaf, None, leaf],
        deep=[[tree.leaf, leaf]],
        animals=tree.animals,
        things=[leaf],
        dogs=tree.dogs,
    )


TREES = {
    "good": good,
    "null": lambda: bad(must=None),
    "nowhere": lambda: bad(must=strawberry.UNSET),
    "number": lambda: bad(text=7, must=8.0),
    "subclass": lambda: bad(text=Text("t"), must=Text("m")),
    "object": lambda: bad(text=[], must={}),
    "exception": lambda: bad(text=ValueError("in place of a value"), must=ValueError("in place of another")),
    "too large": lambda: bad(number=2**31),
    "bool": lambda: bad(number=True, on=1, share=2),
    "float": lambda: bad(number=3.0, share=float("nan")),
    "string": lambda: bad(number="4", share="5.5", on="yes"),
    "mood": lambda: bad(moods=["c", Mood.CALM, "nonsense"]),
    "moods": lambda: bad(moods="c"),
    "tuple": lambda: bad(moods=(Mood.CALM,)),
    "generator": lambda: bad(moods=(each for each in [Mood.CALM])),
    "moment": lambda: bad(at="2026"),
    "attribute": lambda: bad_without("text"),
    "loose": lambda: bad(loose=None),
    "loose exception": lambda: bad(loose=Failure("in place of anything")),
    "loose later": lambda: bad(loose=Soon()),
    "failures": lambda: Tree(**{**vars(good()), "leaf": Failure("a"), "leaves": [Failure("b")]}),
    "later": lambda: Tree(**{**vars(good()), "leaf": Soon(), "leaves": [Soon()]}),
    "impostor": lambda: Tree(**{**vars(good()), "dogs": Page(nodes=[Cat(name="Tom")])}),
    "classes": lambda: Tree(
        **{**vars(good()), "leaf": Dog(name="no leaf"), "leaves": [object()], "holes": [Mood.CALM]}
    ),
    "lists": lambda: Tree(**{**vars(good()), "leaves": "abc", "holes": {"a": 1}, "deep": [None], "dogs": None}),
    "strangers": lambda: Tree(**{**vars(good()), "animals": [Leaf(text="", must="")], "things": [Cat(name="Tom")]}),
}


def bad_without(name: str) -> Tree:
    tree = bad()
    delattr(tree.maybe, name)
    return tree


@strawberry.type
class Query:
    @strawberry.field
    async def tree(self, which: str = "good") -> Tree | None:
        return TREES[which]()

    @strawberry.field
    def soon(self) -> Tree:
        return good()

    @strawberry.field
    async def shelf(self, place: int = 0) -> Shelf | None:
        return SHELVES[place]

    @strawberry.field
    async def coins(self, first: int = 2) -> list[Coin | None]:
        return [*COINS[:first], None]


_config = StrawberryConfig(scalar_map={Loose: strawberry.scalar(name="Loose", serialize=lambda value: f"<{value}>")})
odd: GraphQLSchema = strawberry.Schema(query=Query, types=[Dog, Cat], config=_config)._schema
register_compilable_fields(odd)
_inner = odd.type_map["Leaf"].fields["guarded"].resolve


def _guard(source: Any, info: Any, **arguments: Any) -> Any:
    """As `ownership.py` does it: asks the context, and what is shown may have to be awaited."""
    info.context.append("asked")
    return "seen" if _inner(source, info, **arguments) else None


odd.type_map["Leaf"].fields["guarded"].resolve = _guard

LEAF = "text must number share on moods at loose __typename"
PLACES = "leaf { ...L } maybe { ...L } leaves { ...L } holes { ...L } deep { ...L } dogs { nodes { name loud } }"
ABSTRACT = (
    """animals { name mood loud ... on Dog { bones } ... on Cat { lives } } things { ... on Dog { bones } ...L }"""
)
PLAIN, MIXED, *ONE_BY_ONE = (
    f"fragment L on Leaf {{ {LEAF} }} query ($which: String!) {{ tree(which: $which) {{ {places} }} }}"
    for places in (PLACES, f"{PLACES} {ABSTRACT}", "maybe { ...L }", "leaves { ...L }", "dogs { nodes { name loud } }")
)
ODDITIES = [
    ("{ tree { leaf { text } leaf { must } ... on Tree { leaf { text number } } } }", {}),
    ("{ tree { a: leaf { x: text y: text } b: leaf { x: must } __typename } __typename }", {}),
    ("{ tree { leaf { picky } } }", {}),
    ("query ($n: Int) { tree { leaf { picky(number: $n) } } }", {}),
    ("query ($n: Int = 5) { tree { leaf { called(times: $n) } } }", {}),
    ("query ($n: Int! = 5) { tree { leaf { called(times: $n) } } }", {"n": None}),
    ("query ($n: Int! = 5) { tree { leaf { called(times: $n) } } }", {"n": 1}),
    ("query ($n: Int! = 5) { tree { leaf { called(times: $n) } } }", {"n": 2}),
    ("query ($n: Int! = 5) { tree { leaf { called(times: $n) } } }", {"n": "1"}),
    ("query ($n: Int!) { tree { leaves { must called(times: $n) } leaf { called(times: $n) } } }", {"n": -1}),
    ("query ($n: Int!) { tree { maybe { called(times: $n) } holes { called(times: $n) } } }", {"n": -1}),
    ('query ($w: String) { tree { leaf { called(times: 1, word: $w) b: called(word: "x") } } }', {}),
    ("query ($w: String) { tree { leaf { called(times: 1, word: $w) } } }", {"w": None}),
    ("query ($s: Float!) { tree { leaf { called(share: $s, on: true) } } }", {"s": 3}),
    ("query ($s: Boolean) { tree { leaf { called(on: $s) } } }", {"s": False}),
    ("{ tree { leaf { called(word: null, times: 1) } } }", {}),
    ("{ tree { leaf { called(times: -7) text } holes { called(times: -7) } } }", {}),
    ("{ tree { leaves { raising must } } }", {}),
    ("{ tree { leaves { later must } } soon { leaf { later } } }", {}),
    ("{ tree { leaves { informed } } }", {}),
    ("{ tree { leaves { guarded must } maybe { guarded } } }", {}),
    ("{ soon { leaves { must } animals { __typename name } } }", {}),
    ("{ soon { dogs { __typename nodes { __typename name mood loud } } } }", {}),
    ("query ($a: Boolean!) { soon { leaf { text @skip(if: $a) must @include(if: $a) } } }", {"a": True}),
    ("query ($a: Boolean!) { soon { leaf { text @skip(if: $a) must @include(if: $a) } } }", {"a": False}),
    ("query ($a: Boolean = true) { soon { leaf @skip(if: $a) { text } ... @include(if: $a) { maybe { text } } } }", {}),
    ("query ($a: Boolean = true) { soon { leaf { text @skip(if: $a) } } }", {"a": None}),
    ("query ($a: Boolean!) { soon { leaf { text @skip(if: $a) must } } }", {}),
    ("{ soon { leaf { text @skip(if: true) } } }", {}),
    ("{ soon { leaf { b: text a: must ...F } } } fragment F on Leaf { a: must b: text c: number }", {}),
    ("{ __schema { types { name } } soon { __typename leaf { __typename } } }", {}),
    ('{ __type(name: "Leaf") { fields { name type { ofType { name } } } } }', {}),
    ("{ coins { worth name } }", {}),
    ("{ coins { name worth } }", {}),
    ("{ coins { name: worth worth: name } }", {}),
    ("{ coins { worth a: times b: times(number: 3) } }", {}),
    ("{ coins { worth a: times(number: 3) b: times } }", {}),
    ("query ($n: Int!) { coins { worth times(number: $n) } }", {"n": 5}),
    ("query ($n: Int!) { coins { worth times(number: $n) } }", {"n": 6}),
    ("query ($a: Boolean!) { coins { worth @skip(if: $a) name } }", {"a": True}),
    ("query ($a: Boolean!) { coins { worth @skip(if: $a) name } }", {"a": False}),
    ("{ coins { ... on Coin { worth } name @skip(if: true) } }", {}),
    *(("query ($n: Int) { shelf { name below { times(number: $n) name } } }", {"n": n}) for n in (1, 3, None)),
    *(("query ($n: Int) { shelf(place: 1) { a: times(number: $n) name } }", {"n": n}) for n in (1, 3)),
    *(("query ($a: Boolean!) { shelf { name @skip(if: $a) holes } }", {"a": a}) for a in (True, False)),
    ("{ a: shelf { name holes below { name } } b: shelf(place: 1) { name times(number: 3) } c: shelf { name } }", {}),
    ("{ shelf(place: 2) { holes } again: shelf(place: 2) { holes name } }", {}),
    ("{ coins { change { ...F } } } fragment F on Coin { worth }", {}),
    ("{ coins { change { ...F } } } fragment F on Coin { name }", {}),  # another F: not what the one before has left
    ("{ coins(first: 3) { name worth } }", {}),
    ("{ coins(first: 3) { name } }", {}),
    ("{ coins(first: 4) { times worth } }", {}),
    ("{ a: coins { name worth } b: coins(first: 4) { name __typename } }", {}),
    ("query A { soon { leaf { text } } } query B { soon { leaf { must } } }", {}),
    (PLAIN, {"which": 5}),
]
ODDITIES += [(text, {"which": which}) for text in (PLAIN, MIXED, *ONE_BY_ONE) for which in TREES]
DOCUMENTS: dict[str, tuple[DocumentNode, CompiledCode]] = {
    text: (parse(text), CompiledCode(ROOM)) for text, _ in ODDITIES
}


@pytest.mark.parametrize(("text", "variables"), ODDITIES)
async def test_what_is_odd_is_answered_the_same(text, variables):
    document, compiled = DOCUMENTS[text]
    seen: list[list[str]] = [[], [], []]
    theirs = await run(odd, document, seen[0], variable_values=variables)
    for context in seen[1:]:
        options = {"executor_class": CompiledExecutor, "compiled": compiled, "variable_values": variables}
        assert await run(odd, document, context, **options) == theirs
        assert context == seen[0]  # no guard was passed by, and none asked twice


async def test_a_value_that_keeps_its_answers_keeps_only_a_few_and_never_a_failure():
    for number in range(3 * MAX_MEMOS):
        document = parse(f"{{ coins(first: 4) {{ name n{number}: worth }} }}")
        for _ in range(2):
            theirs = await run(odd, document, [])
            assert await run(odd, document, [], executor_class=CompiledExecutor, compiled=CompiledCode(ROOM)) == theirs
    many = "".join(f" n{number}: name" for number in range(MAX_MEMO_FIELDS))
    await run(
        odd, parse(f"{{ coins {{ worth{many} }} }}"), [], executor_class=CompiledExecutor, compiled=CompiledCode(ROOM)
    )
    assert not any(many in selection for selection in COINS[0].memo)
    assert all(1 <= len(coin.memo) <= MAX_MEMOS for coin in COINS[:2])
    assert not any("worth" in selection for coin in COINS[2:] for selection in coin.memo)


async def test_the_json_of_a_shared_object_is_made_once_and_never_for_a_changed_one():
    document, compiled = parse("{ shelf { name } }"), CompiledCode(ROOM)
    options = {"executor_class": CompiledExecutor, "compiled": compiled}
    first = await run(odd, document, [], **options)
    assert len(compiled.kept.found) == 1
    assert await run(odd, document, [], **options) == first
    assert len(compiled.kept.found) == 1
    before, SHELVES[0] = SHELVES[0], replace(SHELVES[0], name="another")
    try:
        assert await run(odd, document, [], **options) == first.replace(b"top", b"another")
    finally:
        SHELVES[0] = before


async def test_a_document_is_compiled_for_a_few_combinations_of_its_switches_and_right_for_all():
    names = "abcd"
    switches = " ".join(f"{name}: text @include(if: ${name})" for name in names)
    document = parse(
        f"query ({', '.join(f'${name}: Boolean!' for name in names)}) {{ soon {{ leaf {{ {switches} }} }} }}"
    )
    compiled = CompiledCode(ROOM)
    for number in range(16):
        variables = {name: bool(number >> place & 1) for place, name in enumerate(names)}
        answer = orjson.loads(
            await run(odd, document, [], executor_class=CompiledExecutor, compiled=compiled, variable_values=variables)
        )
        assert set(answer["data"]["soon"]["leaf"]) == {name for name in names if variables[name]}
    assert 1 < len(compiled.variants) < 16


def test_the_pricing_page_is_compiled_and_what_is_private_is_not(gateway):
    compiled = CompiledCode(ROOM)
    context = Context(gateway.services, Principal(subject="ann"))
    gateway.runner.run(run(core, parse(EVERYTHING), context, executor_class=CompiledExecutor, compiled=compiled))
    (found,) = compiled.variants.values()
    made = {kind.name for (kind, *_), function in found.items() if function}
    assert {"Pricing", "PlanConnection", "ProductConnection", "InvoiceConnection"} <= made
    assert not {"Viewer", "Access"} & made  # fields of theirs are guarded


def test_what_a_request_has_read_goes_with_it_and_does_not_wait_until_garbage_is_looked_for(gateway):
    context = Context(gateway.services, Principal(subject="ann"))
    request = ref(context)
    gc.disable()
    try:
        gateway.runner.run(
            run(core, parse(EVERYTHING), context, executor_class=CompiledExecutor, compiled=CompiledCode(ROOM))
        )
        assert context.loaders
        del context
        assert request() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("room", [0, 1, 3, 4, 5, 10, 20, 40, 80])
def test_without_room_the_rest_is_left_to_graphql_core(gateway, room):
    document, context = parse(EVERYTHING), Context(gateway.services, Principal(subject="ann"))
    theirs = gateway.runner.run(run(core, document, context))
    compiled = CompiledCode(room)
    for _ in range(2):
        mine = run(core, document, context, executor_class=CompiledExecutor, compiled=compiled)
        assert gateway.runner.run(mine) == theirs
    functions = [function for variant in compiled.variants.values() for function in variant.values() if function]
    assert len(functions) * FUNCTION_FIELDS <= room


ACCOUNT = """{
  pricing { currency products { product { name } plans { id amount { decimal } } oneTime { id } } }
  viewer {
    id
    subscription { id plan { id product { name } } access { allowed } }
    invoices(first: 2) { nodes { id total { decimal } lines { description price { id } } } pageInfo { hasNextPage } }
    entitlements { feature limit }
    customer { id name }
  }
  one: plan(id: "x") { id }
  other: plan(id: "y") { id }
}"""


def test_a_document_has_room_for_all_that_can_be_compiled_of_it(gateway):
    """What cannot be compiled on the way must not take it."""
    documents = Documents(core, PersistedDocuments(Settings.load()), introspection=True)
    prepared = documents.prepare(GraphQLRequest(ACCOUNT, None, {}))
    assert prepared.document is not None, prepared.errors
    ample = CompiledCode(ROOM)
    context = Context(gateway.services, Principal(subject="ann"))
    for compiled in (prepared.compiled, ample):
        gateway.runner.run(run(core, prepared.document, context, executor_class=CompiledExecutor, compiled=compiled))
    made, all_ = (
        sorted((kind.name, bool(made)) for variant in each.variants.values() for (kind, *_), made in variant.items())
        for each in (prepared.compiled, ample)
    )
    assert made == all_
    assert ("Pricing", True) in all_
