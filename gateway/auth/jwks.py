"""The public keys of an OpenID provider: fetched when needed, kept during an outage, requested at a bounded rate.

Source: RFC 7517 (JSON Web Key).
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import orjson
import structlog

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 256 * 1024
FRESH_SECONDS = 600.0
"""After this the keys are read again in the background, so that a withdrawn key is not trusted for ever."""

COLD_PAUSE_SECONDS = 2.0
"""Pause between two attempts while no key is known: nobody can sign in then."""

FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
"""The `kty` of the keys for an algorithm, by its first two letters."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Key:
    """A public key for signatures.

    Attributes:
        kid: its id.
        family: its `kty`.
        algorithm: the only algorithm that it may be used with, if the provider names one.
        public: the key as PyJWT uses it.
    """

    kid: str | None
    family: str
    algorithm: str | None
    public: Any

    def fits(self, kid: Any, algorithm: str) -> bool:
        """Return whether a token with this header may be signed with this key."""
        return (
            self.family == FAMILIES[algorithm[:2]]
            and self.algorithm in {None, algorithm}
            and (kid is None or kid == self.kid)
        )


class KeySet:
    """A provider's keys.

    Args:
        url: its JSON Web Key Set.
        pause: least number of seconds between two requests to it, whatever tokens arrive.
    """

    def __init__(self, url: str, pause: float) -> None:
        self._url = url
        self._pause = pause
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._keys: tuple[Key, ...] = ()
        self._tried = self._fetched = float("-inf")
        self._lock = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def present(self) -> tuple[Key, ...]:
        """The keys that are known, a new tuple after each reading. Old ones are read again in the background."""
        if self._keys and time.monotonic() - self._fetched > FRESH_SECONDS:
            self._refresh_beside()
        return self._keys

    async def find(self, kid: Any, algorithm: str) -> Any:
        """Return the key that a token's header names.

        Args:
            kid: its `kid`; without one the set must have a single key for the algorithm.
            algorithm: its `alg`, an asymmetric one.

        Raises:
            jwt.PyJWKClientConnectionError: the keys have never been read, and cannot be read now.
            jwt.InvalidKeyError: there is no such key.
        """
        found = [key for key in self.present if key.fits(kid, algorithm)]
        if len(found) != 1:
            await self._fetch()
            found = [key for key in self._keys if key.fits(kid, algorithm)]
        if not self._keys:
            raise jwt.PyJWKClientConnectionError
        if len(found) != 1:
            raise jwt.InvalidKeyError
        return found[0].public

    async def close(self) -> None:
        """Close the connection."""
        if self._refreshing:
            self._refreshing.cancel()
        await self._http.aclose()

    def _refresh_beside(self) -> None:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        """Read the keys, once for all who wait, and not again before the pause is over."""
        async with self._lock:
            pause = self._pause if self._keys else min(self._pause, COLD_PAUSE_SECONDS)
            if time.monotonic() - self._tried < pause:
                return
            self._tried = time.monotonic()
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    keys = await self._read()
            except (httpx.HTTPError, TimeoutError, ValueError) as error:
                log.warning("auth.keys_unreadable", url=self._url, error=type(error).__name__, kept=len(self._keys))
                return
            self._keys, self._fetched = keys, time.monotonic()

    async def _read(self) -> tuple[Key, ...]:
        """Read the usable keys of the set.

        Raises:
            ValueError: the answer is not a key set, is too large, or has no usable key.
        """
        body = bytearray()
        async with self._http.stream("GET", self._url, headers={"Accept": "application/json"}) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError("the key set is too large")
        listed = orjson.loads(body)
        entries = listed.get("keys") if isinstance(listed, dict) else None
        keys = tuple(key for entry in entries if (key := _usable(entry))) if isinstance(entries, list) else ()
        if not keys:
            raise ValueError("there is no usable key")
        return keys


def _usable(entry: Any) -> Key | None:
    """Return a public key for signatures; None for anything else, above all a symmetric key, which is a secret."""
    if not isinstance(entry, dict) or entry.get("kty") not in FAMILIES.values() or entry.get("use", "sig") != "sig":
        return None
    kid, algorithm = entry.get("kid"), entry.get("alg")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    try:
        return Key(kid, entry["kty"], algorithm, jwt.PyJWK(entry).key)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
