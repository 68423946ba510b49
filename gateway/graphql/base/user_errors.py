"""What a caller can mend, as every payload of a mutation tells it."""

import strawberry

from gateway.billing.user_errors import Problem, ProblemCode
from gateway.graphql.base.decorators import coded, output

coded(ProblemCode, name="UserErrorCode")


@output
class UserError:
    """Something that the caller can mend."""

    code: ProblemCode = strawberry.field(description="For programs.")
    message: str = strawberry.field(description="For people.")
    field: str | None = strawberry.field(
        description="Where in the input, such as lineItems.0.priceId; null when it is the whole."
    )

    @classmethod
    def all_of(cls, problems: list[Problem]) -> "list[UserError]":
        """The problems as clients see them."""
        return [cls(code=each.code, message=each.message, field=each.field) for each in problems]
