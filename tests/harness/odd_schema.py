"""A schema with everything that the compiled executor must leave alone, or look at twice."""

import asyncio
import enum
from dataclasses import field
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, NewType, TypeVar

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from gateway.graphql.base.memo import MemoizedType, SharedType, serial_number
from gateway.graphql.execution.compiler import register_compilable_fields

Node = TypeVar("Node")


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
    """As `authorization.py` does it: asks the context, and what is shown may have to be awaited."""
    info.context.append("asked")
    return "seen" if _inner(source, info, **arguments) else None


odd.type_map["Leaf"].fields["guarded"].resolve = _guard
