"""What a caller can fix: the `userErrors` of every mutation's payload."""

from collections.abc import Iterable
from typing import Any, Self

import strawberry

from gateway.billing.sentences import sentence_of
from gateway.billing.user_errors import Problem, ProblemCode, Rejected
from gateway.graphql.base.arguments import Locale
from gateway.graphql.base.decorators import enum_from, object_type, resolver

__all__ = ["Payload", "ProblemCode", "UserError"]  # types take the enum from here, where it has its name

enum_from(ProblemCode, name="UserErrorCode")


@object_type
class UserError:
    """A problem that the caller can fix."""

    code: ProblemCode = strawberry.field(description="The code, for programs.")
    message: str = strawberry.field(description="What is wrong and how it is fixed, in English, for developers.")
    field: str | None = strawberry.field(
        description="Where in the input, such as lineItems.0.price.id; null when it is the whole."
    )

    @resolver
    def text(self, locale: Locale = "en") -> str:
        """What buyers read, in their language; in English where it is none of those that there are."""
        return sentence_of(self.code, locale)

    @classmethod
    def all_of(cls, problems: Iterable[Problem]) -> "list[UserError]":
        """Return the problems as clients see them."""
        return [cls(code=each.code, message=each.message, field=each.field) for each in problems]


class Payload:
    """The base of what mutations answer: nullable fields with the default None, and `user_errors`."""

    @classmethod
    def rejected(cls, rejected: Rejected, _info: Any, /) -> Self:
        """Return the payload of a rejected input. One that shows `rejected.current` overrides this.

        Args:
            rejected: what to fix.
            _info: of the mutation.
        """
        return cls(user_errors=UserError.all_of(rejected.problems))  # type: ignore[call-arg]  # each class declares it
