"""Verify a token of a user or an operator: a JSON Web Token of an OpenID provider.

Its signature is checked with one of the provider's public keys, or, for HS256, with a shared secret. The two never mix,
so that a public key cannot be used as a secret.
Sources: RFC 7519 (JWT), RFC 8725 (best current practices), OpenID Connect Core.
"""

from dataclasses import dataclass
from typing import Any, Self

import jwt

from gateway.auth.jwks import Key, KeySet
from gateway.errors import TokenExpired, Unauthenticated
from gateway.settings import Settings

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The algorithms that a provider's published keys may be used with; never `none`, never an HMAC."""

MAX_TOKEN = 8192


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose tokens are taken.

    Attributes:
        jwks_url: where the provider publishes its keys.
        secret: what it signs with instead (HS256).
        issuer: the `iss` that a token must name.
        audience: the `aud` that it must name.
        pause: seconds that lie at least between two requests for the keys.
    """

    jwks_url: str | None
    secret: str | None
    issuer: str | None
    audience: str | None
    pause: float

    @classmethod
    def of_users(cls, settings: Settings) -> Self:
        """Return how users sign in."""
        secret = settings.auth_hs256_secret.get_secret_value() if settings.auth_hs256_secret else None
        pause = settings.auth_jwks_min_refresh_seconds
        return cls(settings.auth_jwks_url, secret, settings.auth_issuer, settings.auth_audience, pause)

    @classmethod
    def of_operators(cls, settings: Settings) -> Self:
        """Return how operators sign in: never by a shared secret."""
        pause = settings.auth_jwks_min_refresh_seconds
        return cls(settings.operator_jwks_url, None, settings.operator_issuer, settings.operator_audience, pause)


class Tokens:
    """Verifies tokens.

    Args:
        trust: whose tokens are taken.
        leeway: seconds by which the clocks may differ.
        keys: the provider's keys; by default those at its address.
    """

    def __init__(self, trust: Trust, leeway: int, keys: KeySet | None = None) -> None:
        self._leeway = leeway
        self._secret = trust.secret
        self._keys = keys
        if keys is None and trust.jwks_url:
            self._keys = KeySet(trust.jwks_url, trust.pause)
        self._issuer, self._audience = trust.issuer, trust.audience

    @property
    def known_keys(self) -> tuple[Key, ...] | None:
        """The provider's keys that are known now, a new tuple after each reading; None without any."""
        return self._keys.known if self._keys else None

    @property
    def are_keys_fresh(self) -> bool:
        """Whether `current_keys` would return `known_keys` without reading anything."""
        return self._keys is None or self._keys.is_fresh

    async def current_keys(self) -> tuple[Key, ...] | None:
        """Return the provider's keys, read again when they are old; None without any."""
        return await self._keys.current() if self._keys else None

    async def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token after verifying it.

        Raises:
            TokenExpired: it is genuine and has expired.
            Unauthenticated: it is not valid; the message says why.
        """
        try:
            if len(token) > MAX_TOKEN or not token.isascii():
                raise jwt.DecodeError
            algorithm, key = await self._key(jwt.get_unverified_header(token))
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=self._leeway,
                options={
                    "require": ["exp"],
                    "verify_aud": self._audience is not None,
                    "verify_sub": False,  # the claim that the settings name counts
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.ExpiredSignatureError:  # raised for a genuine token alone: its signature is checked first
            raise TokenExpired("the token has expired; sign in again") from None
        except (jwt.PyJWTError, RecursionError) as error:  # a header of 4,000 brackets overflows the JSON parser
            raise Unauthenticated(_why(error)) from None

    async def close(self) -> None:
        """Close the connection to the provider."""
        if self._keys:
            await self._keys.close()

    async def _key(self, header: dict[str, Any]) -> tuple[str, Any]:
        """Return the algorithm that the token may be signed with, and the key for it."""
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._secret is not None:
            return algorithm, self._secret
        if algorithm in ASYMMETRIC and self._keys is not None:
            return algorithm, await self._keys.find(header.get("kid"), algorithm)
        raise jwt.InvalidAlgorithmError


def _why(error: Exception) -> str:
    """Return what the caller may know: problems of time, issuer and audience, but nothing about keys."""
    return next((sentence for kind, sentence in _REASONS.items() if isinstance(error, kind)), "this token is not valid")


_REASONS: dict[type[Exception], str] = {
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is from another issuer",
    jwt.MissingRequiredClaimError: "the token lacks a claim that it must have, such as `exp`",
    jwt.InvalidAlgorithmError: "the token is not signed in a way that is accepted here",
    jwt.PyJWKClientConnectionError: "the sign-in provider's keys cannot be read now; try again",
}
