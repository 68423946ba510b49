"""Who calls: nobody in particular, a signed-in user, or the application's own back end."""

import hmac
from dataclasses import dataclass

from gateway.errors import Unauthenticated
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller.

    Attributes:
        subject: the user or organisation that is the customer (`AUTH_SUBJECT_CLAIM`); None for guests and services.
        email: as the identity provider says it.
        email_verified: whether the provider has proved it.
        is_service: whether it is the application's own back end, which may act for any customer.
    """

    subject: str | None = None
    email: str | None = None
    email_verified: bool = False
    is_service: bool = False


ANONYMOUS = Principal()
SERVICE = Principal(is_service=True)


class Authenticator:
    """Tells who sends a request.

    Args:
        settings: the service tokens.
    """

    def __init__(self, settings: Settings) -> None:
        self._service_tokens = [token.get_secret_value().encode() for token in settings.service_tokens]

    async def authenticate(self, header: str | None) -> Principal:
        """The caller that an `Authorization` header names; without one, `ANONYMOUS`.

        Raises:
            Unauthenticated: when the header is there and proves nothing.
        """
        if header is None:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("the Authorization header must be `Bearer` and a token")
        presented = token.strip().encode()
        # every token is compared, in constant time, so that timing tells nothing
        if any([hmac.compare_digest(presented, token) for token in self._service_tokens]):  # noqa: C419
            return SERVICE
        raise Unauthenticated("this token is not valid here")

    async def close(self) -> None:
        """Give back what is held."""
