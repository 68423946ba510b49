"""Where a schema has what it must leave alone, the compiled executor answers as graphql-core does, to the byte."""

from dataclasses import replace

import orjson
import pytest
from graphql import DocumentNode, parse

from gateway.graphql.execution.compiler import MAX_MEMO_FIELDS, MAX_MEMOS, CompiledExecutor
from gateway.graphql.execution.documents import CompiledCode
from harness.compiled import ROOM, run
from harness.odd_schema import COINS, SHELVES, TREES, odd

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
