"""Authenticate the caller of a request: a guest, a signed-in user, or the application's own back end.

A user sends a JSON Web Token of an OpenID provider (`tokens.py`). A verified token is cached until it expires or the
provider's keys are read again, because verifying one costs as much as a short query.
"""

import hmac
import time
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from sys import getsizeof
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from gateway.auth.principal import ANONYMOUS, MAX_EMAIL, Principal, is_subject
from gateway.errors import Unauthenticated
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.auth.tokens import Tokens

LEEWAY_SECONDS = 10
LATEST_SECOND = 253_402_300_799  # the end of the year 9999: an `exp` of hundreds of digits is no number to reckon with
MAX_CACHE_BYTES = 4 * 1024 * 1024  # about 5,000 users


class Authenticator:
    """Proves who sends a request.

    Args:
        settings: the service tokens, and how users sign in.
        tokens: verifies tokens; by default as the settings say.
        max_cache_bytes: what the cache of verified tokens may take.
    """

    def __init__(
        self, settings: Settings, *, tokens: "Tokens | None" = None, max_cache_bytes: int = MAX_CACHE_BYTES
    ) -> None:
        self._service_tokens = {
            token.get_secret_value().encode(): Principal(is_service=True, credential=f"service token {place}")
            for place, token in enumerate(settings.service_tokens, 1)
        }
        self._settings = settings
        self._given_tokens = tokens
        self._cache = TokenCache(max_cache_bytes)

    @cached_property
    def _tokens(self) -> "Tokens":
        from gateway.auth.tokens import Tokens, Trust  # not before somebody signs in: its libraries take ten megabytes

        return self._given_tokens or Tokens(Trust.of_users(self._settings), LEEWAY_SECONDS)

    async def authenticate(self, header: str | None) -> Principal:
        """Return the caller that an `Authorization` header names; without one, `ANONYMOUS`.

        Raises:
            Unauthenticated: when the header is there and proves nothing.
        """
        if header is None:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("the Authorization header must be `Bearer` and a token")
        if service := self._service(header):
            return service
        principal = self._cache.find(token, await self._tokens.current_keys())
        if principal is None:
            principal = self._principal(await self._tokens.claims(token))
            # nothing was awaited since the key was found, so these are the keys that verified it
            self._cache.keep(token, principal, self._tokens.known_keys)
        return principal

    def recall(self, header: str) -> Principal | None:
        """Return the caller that an `Authorization` header names, if that can be said at once: `authenticate` says the
        same.
        """
        if service := self._service(header):
            return service
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or "_tokens" not in self.__dict__ or not self._tokens.are_keys_fresh:
            return None
        return self._cache.find(token.strip(), self._tokens.known_keys)

    def is_service(self, header: str | None) -> bool:
        """Return whether an `Authorization` header has a token of the application's own back end."""
        return self._service(header) is not None

    def _service(self, header: str | None) -> Principal | None:
        """Return the back end, if a header has one of its tokens."""
        if header is None or not self._service_tokens:
            return None
        scheme, _, token = header.partition(" ")
        presented = token.strip().encode(errors="replace")
        # every token is compared, in constant time, so that timing tells nothing
        known = [each for token, each in self._service_tokens.items() if hmac.compare_digest(presented, token)]
        return known[0] if known and scheme.lower() == "bearer" else None

    async def close(self) -> None:
        """Close the connection to the provider."""
        if "_tokens" in self.__dict__:
            await self._tokens.close()

    def _principal(self, claims: dict[str, Any]) -> Principal:
        name = self._settings.auth_subject_claim
        subject, email = claims.get(name), claims.get("email")
        if not is_subject(subject):
            raise Unauthenticated(f"the token's `{name}` must be a text of 1 to 200 characters")
        known = isinstance(email, str) and "@" in email and len(email) <= MAX_EMAIL and email.isprintable()
        return Principal(
            subject=subject,
            email=email if known else None,
            email_verified=known and claims.get("email_verified") is True,
            expires_at=min(int(claims["exp"]), LATEST_SECOND),
        )


class TokenCache:
    """The callers whose tokens were verified lately.

    Keys are the SHA-256 of whole tokens, so that nobody who reads this memory can sign in with it. An entry is valid
    for one reading of the provider's keys: the next reading, whatever it brings, empties the cache. Issuer, audience
    and secret of an authenticator never change.

    Args:
        max_bytes: what it may take; the least recently used entries go first.
        clock: returns the present moment in Unix seconds.
    """

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._callers: LRUCache[bytes, tuple[Principal, float]] = LRUCache(max_bytes, getsizeof=_size)
        self._keys: object = None

    def find(self, token: str, keys: object) -> Principal | None:
        """Return the caller, if the token is cached and has not expired.

        Args:
            token: as it was sent.
            keys: the provider's present keys.
        """
        self._empty_if_other(keys)
        principal, proved_at = self._callers.get(_digest(token), (None, 0.0))
        # after a clock was set back, the token may not be valid yet (`nbf`)
        if principal is None or not proved_at <= self._clock() < _end(principal):
            return None
        return principal

    def keep(self, token: str, principal: Principal, keys: object) -> None:
        """Add a caller whose token these keys have just verified."""
        self._empty_if_other(keys)
        self._callers[_digest(token)] = principal, self._clock()

    def _empty_if_other(self, keys: object) -> None:
        if keys is not self._keys:
            self._callers.clear()
            self._keys = keys


def _size(entry: tuple[Principal, float]) -> int:
    """Return what an entry takes: its two texts, and Python's own (measured, with its digest and both tables)."""
    principal, _ = entry
    return 600 + getsizeof(principal.subject) + getsizeof(principal.email)


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogatepass")).digest()


def _end(principal: Principal) -> float:
    """Return when a user's token is no longer taken."""
    return 0.0 if principal.expires_at is None else principal.expires_at + LEEWAY_SECONDS
