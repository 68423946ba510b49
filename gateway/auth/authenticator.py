"""Who calls: nobody in particular, a signed-in user, or the application's own back end.

A user comes with a JSON Web Token of an OpenID provider (`tokens.py`). What was proved is remembered until it expires
or the provider's keys are read anew, because a proof costs as much as a short query.
"""

import hmac
import time
from collections import OrderedDict
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gateway.auth.principal import ANONYMOUS, SERVICE, Principal, is_subject
from gateway.errors import Unauthenticated
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.auth.tokens import Tokens

LEEWAY_SECONDS = 10
MAX_EMAIL = 254
MAX_PROVED = 4096  # about two megabytes


class Authenticator:
    """Tells who sends a request.

    Args:
        settings: the service tokens, and how users sign in.
    """

    def __init__(self, settings: Settings) -> None:
        self._service_tokens = [token.get_secret_value().encode() for token in settings.service_tokens]
        self._settings = settings
        self._proved = _Proved()

    @cached_property
    def _tokens(self) -> "Tokens":
        from gateway.auth.tokens import Tokens  # not before somebody signs in: its libraries take ten megabytes

        return Tokens(self._settings, LEEWAY_SECONDS)

    async def authenticate(self, header: str | None) -> Principal:
        """The caller that an `Authorization` header names; without one, `ANONYMOUS`.

        Raises:
            Unauthenticated: when the header is there and proves nothing.
        """
        if header is None:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("the Authorization header must be `Bearer` and a token")
        if self.is_service(header):
            return SERVICE
        principal = self._proved.find(token, self._tokens.keys)
        if principal is None:
            principal = self._principal(await self._tokens.claims(token))
            # nothing has waited since the key was found, so these are the keys that it is of
            self._proved.keep(token, principal, self._tokens.keys)
        return principal

    def is_service(self, header: str | None) -> bool:
        """Whether an `Authorization` header has a token of the application's own back end."""
        scheme, _, token = (header or "").partition(" ")
        presented = token.strip().encode(errors="replace")
        # every token is compared, in constant time, so that timing tells nothing
        known = [hmac.compare_digest(presented, each) for each in self._service_tokens]
        return scheme.lower() == "bearer" and any(known)

    async def close(self) -> None:
        """Give back what is held."""
        if "_tokens" in self.__dict__:
            await self._tokens.close()

    def _principal(self, claims: dict[str, Any]) -> Principal:
        name = self._settings.auth_subject_claim
        subject, email = claims.get(name), claims.get("email")
        if not is_subject(subject):
            raise Unauthenticated(f"the token's `{name}` must be a text of 1 to 200 characters")
        known = isinstance(email, str) and "@" in email and len(email) <= MAX_EMAIL
        return Principal(
            subject=subject,
            email=email if known else None,
            email_verified=known and claims.get("email_verified") is True,
            expires_at=int(claims["exp"]),
        )


class _Proved:
    """The callers whose tokens were proved lately, the one asked for last at the end.

    Only what was proved is in it, under the SHA-256 of the whole token: whoever reads this memory can sign in as
    nobody. It is of one authenticator, whose issuer, audience and secret never change, and of one reading of the
    provider's keys: the next one, whatever it brings, empties it.
    """

    def __init__(self) -> None:
        self._callers: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._keys: object = None

    def find(self, token: str, keys: object) -> Principal | None:
        """The caller, if the token is still good.

        Args:
            token: as it came.
            keys: the keys of this moment.
        """
        if keys is not self._keys:
            self._callers.clear()
            self._keys = keys
        digest = _digest(token)
        principal, proved_at = self._callers.get(digest, (None, 0.0))
        # a clock that was put back may have come before the token's `nbf`
        if principal is None or not proved_at <= time.time() < _end(principal):
            return None
        self._callers.move_to_end(digest)
        return principal

    def keep(self, token: str, principal: Principal, keys: object) -> None:
        """Remember what these keys have proved just now."""
        if keys is not self._keys:
            self._callers.clear()
            self._keys = keys
        self._callers[_digest(token)] = principal, time.time()
        if len(self._callers) > MAX_PROVED:
            self._callers.popitem(last=False)


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()


def _end(principal: Principal) -> float:
    """When a user's token is no longer taken."""
    return 0.0 if principal.expires_at is None else principal.expires_at + LEEWAY_SECONDS
