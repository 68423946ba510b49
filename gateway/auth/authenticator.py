"""Authenticate the caller of a request: a guest, a signed-in user, or the application's own back end.

A user sends a JSON Web Token of an OpenID provider (`tokens.py`). A verified token is cached until it expires or the
provider's keys are read again, because verifying one costs as much as a short query.
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
    """Authenticates requests by their `Authorization` header.

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
        """Return the caller that an `Authorization` header names; without one, `ANONYMOUS`.

        Raises:
            Unauthenticated: the header has no valid token.
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
            # nothing was awaited since the key was found, so these are the keys that verified it
            self._proved.keep(token, principal, self._tokens.keys)
        return principal

    def is_service(self, header: str | None) -> bool:
        """Return whether an `Authorization` header has a token of the application's own back end."""
        scheme, _, token = (header or "").partition(" ")
        presented = token.strip().encode(errors="replace")
        # every token is compared, in constant time, so that timing tells nothing
        known = [hmac.compare_digest(presented, each) for each in self._service_tokens]
        return scheme.lower() == "bearer" and any(known)

    async def close(self) -> None:
        """Close the connection to the provider."""
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
    """The callers whose tokens were verified lately; the least recently used goes first.

    Keys are the SHA-256 of whole tokens, so that nobody who reads this memory can sign in with it. An entry is valid
    for one reading of the provider's keys: the next reading, whatever it brings, empties the cache. Issuer, audience
    and secret of an authenticator never change.
    """

    def __init__(self) -> None:
        self._callers: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._keys: object = None

    def find(self, token: str, keys: object) -> Principal | None:
        """Return the caller, if the token is cached and has not expired.

        Args:
            token: as it was sent.
            keys: the provider's present keys.
        """
        if keys is not self._keys:
            self._callers.clear()
            self._keys = keys
        digest = _digest(token)
        principal, proved_at = self._callers.get(digest, (None, 0.0))
        # after a clock was set back, the token may not be valid yet (`nbf`)
        if principal is None or not proved_at <= time.time() < _end(principal):
            return None
        self._callers.move_to_end(digest)
        return principal

    def keep(self, token: str, principal: Principal, keys: object) -> None:
        """Add a caller whose token these keys have just verified."""
        if keys is not self._keys:
            self._callers.clear()
            self._keys = keys
        self._callers[_digest(token)] = principal, time.time()
        if len(self._callers) > MAX_PROVED:
            self._callers.popitem(last=False)


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()


def _end(principal: Principal) -> float:
    """Return when a user's token is no longer accepted, in Unix seconds."""
    return 0.0 if principal.expires_at is None else principal.expires_at + LEEWAY_SECONDS
