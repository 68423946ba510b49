"""Who calls: nobody in particular, a signed-in user, or the application's own back end.

A user comes with a JSON Web Token of an OpenID provider. Its signature is checked with one of the provider's public
keys, or, with HS256, with a shared secret; the two never mix, so that no public key can pass for a secret.
Sources: RFC 7519 (JWT), RFC 8725 (best current practices), OpenID Connect Core.
"""

import hmac
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeGuard

import jwt

from gateway.errors import Unauthenticated
from gateway.jwks import KeySet
from gateway.settings import Settings

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The algorithms that a provider's published keys may be used with; never `none`, never an HMAC."""

LEEWAY_SECONDS = 10
MAX_TOKEN = 8192
MAX_EMAIL = 254
MAX_PROVED = 4096  # about two megabytes
_SUBJECT = re.compile(r"[^\x00-\x1f\x7f]{1,200}")  # Stripe keeps it as `client_reference_id`, up to 200 characters


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller.

    Attributes:
        subject: the user or organisation that is the customer (`AUTH_SUBJECT_CLAIM`); None for guests and services.
        email: as the identity provider says it.
        email_verified: whether the provider has proved it.
        is_service: whether it is the application's own back end, which may act for any customer.
        expires_at: when the token ends, in Unix seconds; None when it does not.
    """

    subject: str | None = None
    email: str | None = None
    email_verified: bool = False
    is_service: bool = False
    expires_at: int | None = None


ANONYMOUS = Principal()
SERVICE = Principal(is_service=True)


class Authenticator:
    """Tells who sends a request.

    Args:
        settings: the service tokens, and how users sign in.
    """

    def __init__(self, settings: Settings) -> None:
        self._service_tokens = [token.get_secret_value().encode() for token in settings.service_tokens]
        self._secret = settings.auth_hs256_secret.get_secret_value() if settings.auth_hs256_secret else None
        self._keys = KeySet(settings.auth_jwks_url, settings.auth_jwks_pause) if settings.auth_jwks_url else None
        self._issuer, self._audience = settings.auth_issuer, settings.auth_audience
        self._subject_claim = settings.auth_subject_claim
        self._proved = _Proved()

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
        if len(token) > MAX_TOKEN or not token.isascii():
            raise Unauthenticated(_INVALID)
        principal = self._proved.find(token, self._keys and self._keys.present)
        if principal is None:
            principal = self._principal(await self._claims(token))
            # nothing has waited since the key was found, so these are the keys that it is of
            self._proved.keep(token, principal, self._keys and self._keys.present)
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
        if self._keys:
            await self._keys.close()

    async def _claims(self, token: str) -> dict[str, Any]:
        """What a token claims, once everything about it is proved."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key = await self._key(header)
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={
                    "require": ["exp"],
                    "verify_aud": self._audience is not None,
                    "verify_sub": False,  # the claim of the settings is what counts
                    "enforce_minimum_key_length": True,
                },
            )
        except (jwt.PyJWTError, RecursionError) as error:  # a header of 4,000 brackets overruns the JSON parser
            raise Unauthenticated(_why(error)) from None

    async def _key(self, header: dict[str, Any]) -> tuple[str, Any]:
        """The algorithm that the token may be signed with, and the key for it."""
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._secret is not None:
            return algorithm, self._secret
        if algorithm in ASYMMETRIC and self._keys is not None:
            return algorithm, await self._keys.find(header.get("kid"), algorithm)
        raise jwt.InvalidAlgorithmError

    def _principal(self, claims: dict[str, Any]) -> Principal:
        subject, email = claims.get(self._subject_claim), claims.get("email")
        if not is_subject(subject):
            raise Unauthenticated(f"the token's `{self._subject_claim}` must be a text of 1 to 200 characters")
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
            token: in ASCII.
            keys: the keys of this moment.
        """
        if keys is not self._keys:
            self._callers.clear()
            return None
        digest = sha256(token.encode()).digest()
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
        self._callers[sha256(token.encode()).digest()] = principal, time.time()
        if len(self._callers) > MAX_PROVED:
            self._callers.popitem(last=False)


def _end(principal: Principal) -> float:
    """When a user's token is no longer taken."""
    return 0.0 if principal.expires_at is None else principal.expires_at + LEEWAY_SECONDS


def is_subject(value: Any) -> TypeGuard[str]:
    """Whether a user can be called so."""
    return isinstance(value, str) and _SUBJECT.fullmatch(value) is not None


def _why(error: Exception) -> str:
    """What the caller should know: what time, issuer and audience mend, and nothing of keys."""
    return next((sentence for kind, sentence in _REASONS.items() if isinstance(error, kind)), _INVALID)


_INVALID = "this token is not valid"
_REASONS: dict[type[Exception], str] = {
    jwt.ExpiredSignatureError: "the token has expired; sign in again",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience",
    jwt.InvalidIssuerError: "the token is from another issuer",
    jwt.MissingRequiredClaimError: "the token lacks a claim that it must have, such as `exp`",
    jwt.InvalidAlgorithmError: "the token is not signed in a way that is accepted here",
    jwt.PyJWKClientConnectionError: "the sign-in provider's keys cannot be read now; try again",
}
