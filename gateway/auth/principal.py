"""Who calls, and for whom."""

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, TypeGuard

from gateway.errors import BadInput, Forbidden

MAX_SUBJECT: Final = 200
"""Characters of a subject: Stripe keeps it as `client_reference_id` (documented: at most 200 characters)."""
MAX_EMAIL: Final = 254
"""Characters of an e-mail address (RFC 5321, without the angle brackets)."""

_SUBJECT = re.compile(f"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{MAX_SUBJECT}}}")


def is_subject(value: Any) -> TypeGuard[str]:
    """Return whether a user can be called so: a text of 1 to 200 characters, of which one can be seen.

    Half a surrogate pair, which JSON can spell and UTF-8 cannot, is refused, and so is a name of blanks alone.
    """
    if not isinstance(value, str) or _SUBJECT.fullmatch(value) is None:
        return False
    return any(character.isprintable() and character != " " for character in value)


class Role(Enum):
    """What an operator may do; each value says what it means."""

    READ = "Look at everything, and change nothing."
    ACT = "Look at everything, and change it."


@dataclass(frozen=True, slots=True)
class Operator:
    """Who runs the gateway.

    Attributes:
        name: by which the audit log names the operator.
        role: what the operator may do.
    """

    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller.

    Attributes:
        subject: the user or organisation that is the customer (`AUTH_SUBJECT_CLAIM`); None for guests and services.
        email: as the identity provider says it.
        email_verified: whether the provider has proved it.
        is_service: whether it is the application's own back end, which may act for any customer.
        expires_at: when the token ends, in Unix seconds; None when it does not.
        credential: which of the back end's tokens it has, for the audit log; it makes no other caller.
        operator: who runs the gateway, and is nobody's user; None for everybody else.
        customer: the customer at Stripe for whom an operator acts, also where it is no user's.
    """

    subject: str | None = None
    email: str | None = None
    email_verified: bool = False
    is_service: bool = False
    expires_at: int | None = None
    credential: str | None = field(default=None, compare=False)
    operator: Operator | None = None
    customer: str | None = None

    @property
    def sees_all(self) -> bool:
        """Whether everybody's objects may be seen: where a field lets this caller in at all."""
        return self.is_service or self.operator is not None

    def acting_as(self, external_id: str | None, email: str | None = None) -> "Principal":
        """Return the caller, or, for the back end, the user that it names.

        Args:
            external_id: the user; None is the caller.
            email: the user's address as the back end knows it.

        Raises:
            Forbidden: the caller is not the back end.
            BadInput: no user can be called so.
        """
        if external_id is None:
            return self
        if not self.is_service:
            raise Forbidden("only the application's own back end names a user; leave `externalId` out")
        if not is_subject(external_id):
            raise BadInput("`externalId` must be a text of 1 to 200 characters")
        return replace(self, subject=external_id, email=email)

    def acting_for(self, customer_id: str) -> "Principal":
        """Return an operator who acts for a customer at Stripe, whether it is a user's or nobody's.

        Raises:
            Forbidden: the caller is no operator.
        """
        if self.operator is None:
            raise Forbidden("only operators name a customer at Stripe")
        return replace(self, customer=customer_id)


ANONYMOUS = Principal()
SERVICE = Principal(is_service=True)
