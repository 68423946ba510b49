"""What a use case rejects: `userErrors` of a mutation, BAD_USER_INPUT of a query."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry

from gateway.auth.principal import Principal
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.graphql.base.decorators import mutation, object_type, resolver
from gateway.graphql.base.user_errors import Payload, UserError

PROBLEMS = (
    Problem(ProblemCode.QUANTITY_INVALID, "buy at least 1", "lineItems.0.quantity"),
    Problem(ProblemCode.URL_REQUIRED, "say where to go afterwards"),
)


@object_type
class PlainPayload(Payload):
    """A thing, or what to fix."""

    thing: str | None = strawberry.field(default=None, description="It.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to fix.")


@object_type
class TellingPayload(Payload):
    """A thing, also one that stands in the way."""

    thing: str | None = strawberry.field(default=None, description="It.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to fix.")

    @classmethod
    def rejected(cls, rejected: Rejected, info: Any, /) -> "TellingPayload":
        """Return the thing as the caller may see it."""
        return cls(thing=info.context.sees(rejected.current), user_errors=UserError.all_of(rejected.problems))


@object_type
class Query:
    """What can be read."""

    @resolver
    async def thing(self) -> str | None:
        """Refuse."""
        raise Rejected(*PROBLEMS)


@object_type
class Mutation:
    """What can be done."""

    @mutation
    async def plain(self, info: strawberry.Info[Any, None], fails: bool) -> PlainPayload:  # noqa: ARG002 - the decorator hands it on
        """Do it, or refuse."""
        if fails:
            raise Rejected(*PROBLEMS, current="unseen")
        return PlainPayload(thing="made")

    @mutation
    async def telling(self, info: strawberry.Info[Any, None]) -> TellingPayload:  # noqa: ARG002 - the decorator hands it on
        """Refuse, and tell."""
        raise Rejected(PROBLEMS[0], current="seen")


SCHEMA = strawberry.Schema(query=Query, mutation=Mutation)
SERVICES = SimpleNamespace(failover=SimpleNamespace(answering=nullcontext))
CONTEXT = SimpleNamespace(sees=str.upper, principal=Principal(subject="user_1"), services=SERVICES)


async def run(text: str) -> Any:
    return await SCHEMA.execute(text, context_value=CONTEXT)


async def test_a_mutation_answers_every_problem_in_order_and_no_object() -> None:
    result = await run("mutation { plain(fails: true) { thing userErrors { code message field } } }")
    assert result.errors is None
    assert result.data == {
        "plain": {
            "thing": None,
            "userErrors": [
                {"code": "QUANTITY_INVALID", "message": "buy at least 1", "field": "lineItems.0.quantity"},
                {"code": "URL_REQUIRED", "message": "say where to go afterwards", "field": None},
            ],
        }
    }


async def test_a_mutation_that_works_has_no_problems() -> None:
    result = await run("mutation { plain(fails: false) { thing userErrors { code } } }")
    assert result.data == {"plain": {"thing": "made", "userErrors": []}}


async def test_a_payload_may_show_the_object_that_stands_in_the_way() -> None:
    result = await run("mutation { telling { thing userErrors { code } } }")
    assert result.data == {"telling": {"thing": "SEEN", "userErrors": [{"code": "QUANTITY_INVALID"}]}}


async def test_in_a_query_it_is_bad_input_with_all_the_messages() -> None:
    result = await run("{ thing }")
    assert result.errors is not None
    assert result.errors[0].message == "buy at least 1; say where to go afterwards"
    assert result.errors[0].extensions == {"code": "BAD_USER_INPUT"}


def test_a_mutation_names_its_payload() -> None:
    async def nameless(self: Any) -> None:
        """Do it."""

    del nameless.__annotations__["return"]
    with pytest.raises(KeyError, match="return"):
        mutation(nameless)
