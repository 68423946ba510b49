"""Prove operators: who runs the gateway, and is nobody's user.

An operator has a token of the settings (`op_…`), or one of the operators' OpenID provider, which says the role in a
claim. Both come in the header `Authorization` of each request, and never in a cookie, so that no other page can send
them along. They are proved here alone: whoever serves users (WebSockets, `/access`) does not know them.
"""

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from gateway.auth.principal import MAX_SUBJECT, Operator, Principal, Role, is_subject
from gateway.errors import Unauthenticated
from gateway.settings import Settings
from gateway.settings.values import MIN_OPERATOR_TOKEN, OPERATOR_PREFIX

if TYPE_CHECKING:
    from gateway.auth.tokens import Tokens

LEEWAY_SECONDS: Final = 10
MAX_NAME: Final = 80
MAX_TOKEN: Final = 8192
_WRONG: Final = "this is no operator's token"


class Operators:
    """Proves operators, where the settings have any.

    Args:
        settings: whether there are any, and how they sign in.
        tokens: verifies those of the provider; by default as the settings say.
    """

    def __init__(self, settings: Settings, *, tokens: "Tokens | None" = None) -> None:
        self._settings = settings
        self._known = settings.operator_tokens if settings.console else ()
        self._given = tokens
        self._tokens: Tokens | None = None

    def claims_to_be(self, header: str | None) -> bool:
        """Return whether an `Authorization` header is an operator's, or means to be one's; it proves nothing yet."""
        token = _token(header)
        if not self._settings.console or token is None:
            return False
        return token.startswith(OPERATOR_PREFIX) or self._is_providers(token)

    async def authenticate(self, header: str | None) -> Principal:
        """Return the operator that an `Authorization` header proves.

        Raises:
            TokenExpired: it is genuine and has expired.
            Unauthenticated: it is not valid, or its owner is no operator.
        """
        token = _token(header) or ""
        if token.startswith(OPERATOR_PREFIX):
            return self._by_token(token)
        claims = await self._verifier().claims(token)
        role = self._role(claims)
        if role is None:
            raise Unauthenticated("this account is no operator's: its token has neither of the two roles")
        return _principal(_name(claims), role, int(claims["exp"]))

    async def close(self) -> None:
        """Close the connection to the provider."""
        if self._tokens is not None:
            await self._tokens.close()

    def _by_token(self, token: str) -> Principal:
        """Return whose token it is. Every digest is compared, in constant time, so that timing tells nothing."""
        if len(token) < MIN_OPERATOR_TOKEN:  # a digest in the settings does not tell that it is of a short one
            raise Unauthenticated(_WRONG)
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        known = [each for each in self._known if hmac.compare_digest(digest, each.digest)]
        if not known:
            raise Unauthenticated(_WRONG)
        return _principal(known[0].name, Role.ACT if known[0].may_act else Role.READ, None)

    def _is_providers(self, token: str) -> bool:
        """Return whether a token says that the operators' provider made it for the console. Nothing is verified."""
        if self._settings.operator_jwks_url is None or len(token) > MAX_TOKEN:
            return False
        import jwt

        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, RecursionError):
            return False
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        is_ours = claims.get("iss") == self._settings.operator_issuer
        return is_ours and self._settings.operator_audience in audiences

    def _verifier(self) -> "Tokens":
        from gateway.auth.tokens import Tokens, Trust  # its libraries take ten megabytes

        if self._tokens is None:
            self._tokens = self._given or Tokens(Trust.of_operators(self._settings), LEEWAY_SECONDS)
        return self._tokens

    def _role(self, claims: dict[str, Any]) -> Role | None:
        said = claims.get(self._settings.operator_role_claim)
        roles = said if isinstance(said, list) else [said]
        if self._settings.operator_act_role in roles:
            return Role.ACT
        return Role.READ if self._settings.operator_read_role in roles else None


def _token(header: str | None) -> str | None:
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _name(claims: dict[str, Any]) -> str:
    """Return how the audit log names an operator of the provider: by the `sub`, which nobody can choose or pass on.

    The e-mail address stands before it where the provider has verified it (OpenID Connect Core, 5.1 and 5.7). No name
    in the settings has a blank, so that none of them can be had from the provider.

    Raises:
        Unauthenticated: there is no `sub`.
    """
    subject, email = claims.get("sub"), claims.get("email")
    if not is_subject(subject):
        raise Unauthenticated(f"the token's `sub` must be a text of 1 to {MAX_SUBJECT} characters")
    is_verified = claims.get("email_verified") is True and is_subject(email) and len(email) <= MAX_NAME
    return f"{email} (sub {subject})" if is_verified else f"sub {subject}"


def _principal(name: str, role: Role, expires_at: int | None) -> Principal:
    return Principal(operator=Operator(name, role), credential=f"operator {name}", expires_at=expires_at)
