"""What can go wrong.

BillingError
├── Refused      the input must be fixed: `problems` says where
└── Unavailable  nobody can say at the moment: send it again, a mutation under the same idempotency key
"""

from collections.abc import Sequence
from typing import TypedDict

TEMPORARY = frozenset({"UNAVAILABLE", "STRIPE_UNAVAILABLE", "RATE_LIMITED"})
"""The codes of the API after which the same may be sent again (docs/graphql.md)."""


class UserError(TypedDict):
    """What is wrong with an input."""

    code: str
    message: str
    field: str | None


class BillingError(Exception):
    """The gateway has not done what was asked.

    Attributes:
        code: `extensions.code` of the API, a `UserErrorCode`, or NETWORK where there was no answer.
        message: for developers, in English.
        retry_after: the seconds to wait, with RATE_LIMITED.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.retry_after = retry_after


class Refused(BillingError):
    """Something in the input must be fixed; nothing was done.

    Attributes:
        problems: what `userErrors` named, at least one.
        payload: the whole answer; some codes say more there, such as the session with EARLIER_SESSION_PAID.
    """

    def __init__(self, problems: Sequence[UserError], payload: object = None) -> None:
        first = problems[0]
        super().__init__(first["code"], " ".join(each["message"] for each in problems))
        self.problems = problems
        self.payload = payload

    @property
    def codes(self) -> set[str]:
        """The codes of all problems."""
        return {each["code"] for each in self.problems}


class Unavailable(BillingError):
    """Nobody can say at the moment. A mutation may have been done: send it again under the same idempotency key."""
