"""Counts and amounts beyond 32 bits, and values of our own that do not fit."""

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from gateway.graphql.base.scalars import SCALARS, BigInt
from gateway.graphql.execution.documents import Documents
from gateway.graphql.execution.engine import Engine
from gateway.graphql.execution.persisted import PersistedDocuments
from gateway.graphql.execution.request import GraphQLRequest
from gateway.settings import Settings


@strawberry.type
class Query:
    """Numbers."""

    @strawberry.field
    def twice(self, value: BigInt) -> BigInt:
        """Twice a number."""
        return BigInt(2 * value)

    @strawberry.field
    def small(self, value: BigInt) -> int | None:
        """Half a number, which may be too large for the type."""
        return value // 2

    @strawberry.field
    def odd(self) -> bool | None:
        """What is no Boolean."""
        return "yes"  # type: ignore[return-value]


SCHEMA = strawberry.Schema(query=Query, config=StrawberryConfig(scalar_map=SCALARS))._schema


@pytest.fixture(params=[True, False], ids=["compiled", "not compiled"])
def engine(request):
    return Engine(SCHEMA, compiled=request.param, suggestions=False)


async def ask(engine, query, **variables):
    request = GraphQLRequest(query, None, variables)
    prepared = Documents(SCHEMA, PersistedDocuments(Settings.load()), introspection=False).prepare(request)
    return await engine.execute(prepared, request, None, "request-1")


@pytest.mark.parametrize("value", [0, -1, 2**31, 10_737_418_240, -(2**51)])
async def test_a_count_beyond_32_bits_is_taken_and_given(engine, value):
    by_variable = await ask(engine, "query($value: BigInt!) { twice(value: $value) }", value=value)
    as_literal = await ask(engine, f"{{ twice(value: {value}) }}")
    assert by_variable.body == as_literal.body == {"data": {"twice": 2 * value}}


@pytest.mark.parametrize("value", [2**53, -(2**53), 1.5, "1", True])
async def test_what_is_no_such_number_is_the_clients_mistake(engine, value):
    result = await ask(engine, "query($value: BigInt!) { twice(value: $value) }", value=value)
    assert [error["extensions"]["code"] for error in result.errors] == ["BAD_USER_INPUT"]
    assert not result.ran


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("{ small(value: 6442450944) }", {"small": None}),
        ("{ odd }", {"odd": None}),
        (f"{{ twice(value: {2**53 - 1}) }}", None),
    ],
    ids=["an Int above 2^31", "a Boolean that is a text", "a BigInt above 2^53"],
)
async def test_a_value_of_ours_that_does_not_fit_is_our_failure(engine, query, left):
    result = await ask(engine, query)
    assert result.data == left
    (error,) = result.errors
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "request-1"}
    assert error["message"] == "the gateway failed on its side; its log has more under request-1"
    assert result.ran
