"""The public keys of an OpenID provider: fetched when needed, kept during an outage, requested at a bounded rate.

Source: RFC 7517 (JSON Web Key), section 5 for what is ignored in a set.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import orjson
import structlog

TIMEOUT_SECONDS = 5.0
MAX_BYTES = 256 * 1024
FRESH_SECONDS = 600.0
"""After this the keys are read again, so that a withdrawn key is not trusted for ever."""

IDLE = 1.1
"""A gateway that has not tried to read them for so many times `fresh_seconds` was idle."""

MAX_AGE_SECONDS = 86_400.0
"""A provider may be away for a day before the keys that it published last are no longer believed."""

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
        fresh_seconds: after this the keys are read again.
        max_age_seconds: after this keys that could not be read again are no longer believed.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        url: str,
        pause: float,
        *,
        fresh_seconds: float = FRESH_SECONDS,
        max_age_seconds: float = MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._pause = pause
        self._fresh, self._max_age = fresh_seconds, max_age_seconds
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._keys: tuple[Key, ...] | None = None
        self._tried_at = self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None

    @property
    def known(self) -> tuple[Key, ...] | None:
        """The keys, a new tuple after each reading; None before the first, and once they are too old."""
        if self._keys is not None and self._clock() - self._read_at > self._max_age:
            log.error("auth.keys_too_old", url=self._url)
            self._keys = None
        return self._keys

    @property
    def is_fresh(self) -> bool:
        """Whether the keys that are known need not be read again."""
        return self.known is not None and self._clock() - self._read_at <= self._fresh

    async def current(self) -> tuple[Key, ...] | None:
        """Return the keys that are known, read again when they are old.

        A busy gateway reads them in the background. One that was idle waits for them, so that no token is verified with
        keys that were withdrawn long ago.
        """
        now = self._clock()
        if self.known is not None and now - self._read_at > self._fresh:
            if now - self._tried_at > self._fresh * IDLE:
                await self._fetch()
            else:
                self._begin()
        return self.known

    async def find(self, kid: Any, algorithm: str) -> Any:
        """Return the key that a token's header names.

        Args:
            kid: its `kid`; without one the set must have a single key for the algorithm.
            algorithm: its `alg`, an asymmetric one.

        Raises:
            jwt.PyJWKClientConnectionError: the keys are not known, and cannot be read now.
            jwt.InvalidKeyError: there is no such key.
        """
        found = [key for key in await self.current() or () if key.fits(kid, algorithm)]
        if len(found) != 1:
            await self._fetch()
            if self.known is None:
                raise jwt.PyJWKClientConnectionError
            found = [key for key in self.known if key.fits(kid, algorithm)]
        if len(found) != 1:
            raise jwt.InvalidKeyError
        return found[0].public

    async def close(self) -> None:
        """Close the connection."""
        if self._reading:
            self._reading.cancel()
        await self._http.aclose()

    def _begin(self) -> "asyncio.Task[None] | None":
        """Begin to read the keys, once for all who wait, and not again before the pause is over; what reads them."""
        if self._reading is None or self._reading.done():
            pause = self._pause if self._keys else min(self._pause, COLD_PAUSE_SECONDS)
            if self._clock() - self._tried_at < pause:
                return None
            self._tried_at = self._clock()
            self._reading = asyncio.create_task(self._read_again())
        return self._reading

    async def _fetch(self) -> None:
        """Read the keys. Whoever gives up waiting does not end it: others could not try again before the pause."""
        if reading := self._begin():
            await asyncio.shield(reading)

    async def _read_again(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                keys = await self._read()
        except Exception as error:  # noqa: BLE001 - whatever it answers: who signs in is told, and the keys stay
            kept = len(self._keys or ())
            log.warning("auth.keys_unreadable", url=self._url, error=type(error).__name__, kept=kept)
            return
        if not keys:
            log.warning("auth.no_usable_key", url=self._url)
        self._keys, self._read_at = keys, self._clock()

    async def _read(self) -> tuple[Key, ...]:
        """Return the usable keys of the set. A set without any counts: all keys are withdrawn.

        Raises:
            ValueError: the answer is not a key set, or is too large.
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
        if not isinstance(entries, list):
            raise ValueError("there is no list of keys")  # noqa: TRY004 - of a document, not of an argument
        return tuple(key for entry in entries if (key := _usable(entry)))


def _usable(entry: Any) -> Key | None:
    """Return a public key for signatures; None for anything else, above all a symmetric key, which is a secret.

    Whatever is wrong with an entry, it takes no neighbour along.
    """
    if not isinstance(entry, dict) or entry.get("kty") not in FAMILIES.values() or entry.get("use", "sig") != "sig":
        return None
    kid, algorithm = entry.get("kid"), entry.get("alg")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    try:
        return Key(kid, entry["kty"], algorithm, jwt.PyJWK(entry).key)
    except Exception:  # noqa: BLE001 - PyJWT raises NotImplementedError for `alg: none`, cryptography its own
        return None
