"""What fails is answered the same whoever fails first: which error makes a parent null, and the order of all."""

import asyncio
from itertools import permutations

import pytest
from graphql import build_schema, execute, parse

from gateway.graphql.execution.compiler import CompiledExecutor
from gateway.graphql.execution.documents import CompiledCode
from gateway.graphql.execution.executor import GatewayExecutor

SCHEMA = build_schema("""
type Query { may(at: Int!): String must(at: Int!): String! part(at: Int!): Part parts: [Part!] now: String! }
type Part { may(at: Int!): String must(at: Int!): String! }
type Mutation { must(at: Int!): String! }
""")


class Failing:
    """Fields that fail with what they are called, after so many turns of the event loop."""

    def __init__(self, name: str = "", ran: list[int] | None = None) -> None:
        self.name = name
        self.ran: list[int] = [] if ran is None else ran

    async def may(self, _info, at: int) -> str:
        for _ in range(at):
            await asyncio.sleep(0)
        self.ran.append(at)
        raise ValueError(self.name)

    must = may

    async def part(self, _info, at: int) -> "Failing":
        await asyncio.sleep(0)
        return Failing(str(at), self.ran)

    def parts(self, _info) -> "list[Failing]":
        return [Failing("0", self.ran), Failing("1", self.ran)]

    def now(self, _info) -> str:
        raise ValueError("now")


def answer(text: str, turns: dict[str, int], executor: dict) -> tuple:
    document = parse(text)
    failing = Failing()

    async def run():
        return await execute(SCHEMA, document, failing, variable_values=turns, **executor)

    result = asyncio.run(run())
    return result.data, [error.path for error in result.errors], failing.ran


ENGINES = [{"executor_class": GatewayExecutor}, {"executor_class": CompiledExecutor, "compiled": CompiledCode(10_000)}]


@pytest.mark.parametrize("executor", ENGINES, ids=["graphql-core", "compiled"])
@pytest.mark.parametrize(
    ("text", "data", "errors"),
    [
        ("{ a: may(at: $x) b: may(at: $y) c: may(at: $z) }", dict.fromkeys("abc"), [["a"], ["b"], ["c"]]),
        ("{ a: may(at: $x) b: must(at: $y) c: must(at: $z) }", None, [["a"], ["b"]]),
        ("{ a: must(at: $x) now c: may(at: $z) d: may(at: $y) }", None, [["a"], ["c"], ["d"]]),
        (
            "{ p: part(at: 1) { a: must(at: $x) b: must(at: $y) } q: part(at: 2) { c: may(at: $z) } }",
            {"p": None, "q": {"c": None}},
            [["p", "a"], ["q", "c"]],
        ),
        (
            "{ parts { a: must(at: $x) b: must(at: $y) } c: may(at: $z) }",
            {"parts": None, "c": None},
            [["parts", 0, "a"], ["c"]],
        ),
        (
            "{ parts { ...F } c: may(at: $z) } fragment F on Part { a: may(at: $x) b: must(at: $y) }",
            {"parts": None, "c": None},
            [["c"], ["parts", 0, "a"], ["parts", 1, "a"], ["parts", 0, "b"]],
        ),
    ],
)
def test_errors_stand_in_the_order_of_the_document_whichever_field_fails_first(text, data, errors, executor):
    text = f"query ($x: Int! $y: Int! $z: Int!) {text}"
    for turns in permutations((0, 1, 5)):
        got, paths, _ = answer(text, dict(zip("xyz", turns, strict=True)), executor)
        assert (got, paths) == (data, errors), turns


def test_a_mutation_that_fails_lets_none_run_after_it():
    text = "mutation ($x: Int! $y: Int!) { a: must(at: $x) b: must(at: $y) }"
    assert answer(text, {"x": 1, "y": 0}, ENGINES[0]) == (None, [["a"]], [1])
