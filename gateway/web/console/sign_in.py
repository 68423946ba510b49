"""The sign-in with the operators' OpenID provider: the authorization code flow, with PKCE, state and nonce.

The server asks the provider for the token, so that the page asks no other host. What belongs to one sign-in waits in a
cookie that no script reads; the page gets the token behind the `#` of its own address, which no server sees, and takes
it only where it has begun a sign-in itself.

Sources: OpenID Connect Core, section 3.1; RFC 7636 (PKCE); RFC 9700 (best current practice).
"""

import base64
import hmac
import secrets
import time
from hashlib import sha256
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.auth.operators import Operators
from gateway.errors import RateLimited, Unauthenticated
from gateway.http.rate_limit import RateLimiter
from gateway.http.request import client_of
from gateway.settings import Settings
from gateway.settings.values import origin_of

COOKIE: Final = "console-sign-in"
MINUTES: Final = 10
TIMEOUT_SECONDS: Final = 5.0
FRESH_SECONDS: Final = 600.0
"""For so long the provider is not asked again what it says of itself."""

BEGIN, BACK = "/console/sign-in", "/console/callback"

log = structlog.get_logger()


class ProviderSignIn:
    """Signs operators in with their provider.

    Args:
        settings: the provider, and who we are to it.
        operators: proves what the provider gives.
        limiter: counts, because whoever comes can have the provider asked, with our secret.
    """

    def __init__(self, settings: Settings, operators: Operators, limiter: RateLimiter) -> None:
        self._issuer = str(settings.operator_issuer)
        self._client = str(settings.operator_audience)
        self._secret = settings.operator_client_secret
        self._operators = operators
        self._limiter = limiter
        none = CookieJar(DefaultCookiePolicy(allowed_domains=[]))  # no sign-in has what the provider gave another
        self._http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, cookies=none)
        self._discovery: dict[str, Any] = {}
        self._discovery_until = 0.0

    def routes(self) -> list[BaseRoute]:
        """Return the two routes: to the provider, and back."""
        return [Route(BEGIN, self.begin, methods=["GET"]), Route(BACK, self.come_back, methods=["GET"])]

    async def close(self) -> None:
        """Close the connection to the provider."""
        await self._http.aclose()

    async def begin(self, request: Request) -> Response:
        """Send the browser to the provider."""
        try:
            await self._limiter.provider_sign_in(client_of(request.scope))
            provider = await self._discovered()
        except RateLimited as error:
            return _too_many(error)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return _away(error)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        asked = {
            "response_type": "code",
            "scope": "openid email profile",
            "client_id": self._client,
            "redirect_uri": _own(request),
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in provider["authorization_endpoint"] else "?"
        answer = RedirectResponse(f"{provider['authorization_endpoint']}{separator}{urlencode(asked)}", status_code=303)
        cookie, is_secure = f"{state}.{nonce}.{verifier}", request.url.scheme == "https"
        answer.set_cookie(COOKIE, cookie, MINUTES * 60, path=BACK, secure=is_secure, httponly=True, samesite="lax")
        return answer

    async def come_back(self, request: Request) -> Response:
        """Take the code that the provider has given, and hand the page its token."""
        try:
            await self._limiter.provider_sign_in(client_of(request.scope))
        except RateLimited as error:
            return _too_many(error)
        state, nonce, verifier = [*request.cookies.get(COOKIE, "").split("."), "", "", ""][:3]
        given, code = request.query_params.get("state", ""), request.query_params.get("code")
        if not state or not hmac.compare_digest(state.encode(), given.encode()):
            return _refusal("this sign-in was not begun here, or too long ago: begin again at /console")
        if code is None:
            return _refusal("the provider has not signed you in")
        try:
            token = await self._token(code, verifier, _own(request))
            await self._operators.authenticate(f"Bearer {token}")
            _check_nonce(token, nonce)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return _away(error)
        except Unauthenticated as error:
            return _refusal(str(error))
        answer = RedirectResponse(f"/console#token={quote(token)}", status_code=303)
        answer.delete_cookie(COOKIE, path=BACK, httponly=True, samesite="lax")
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def _discovered(self) -> dict[str, Any]:
        """Return what the provider says of itself, which is kept for a while.

        Raises:
            ValueError: it is not the provider, or what it names would be asked without TLS.
        """
        if time.monotonic() < self._discovery_until:
            return self._discovery
        answer = await self._http.get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        answer.raise_for_status()
        provider: dict[str, Any] = answer.json()
        if not isinstance(provider, dict) or provider.get("issuer") != self._issuer:
            raise ValueError("the provider calls itself otherwise than GATEWAY_OPERATOR_ISSUER")
        is_tls = self._issuer.startswith("https://")
        for name in ("authorization_endpoint", "token_endpoint"):
            if is_tls and not origin_of(str(provider.get(name))).startswith("https://"):
                raise ValueError(f"the provider's {name} is not https")
        self._discovery, self._discovery_until = provider, time.monotonic() + FRESH_SECONDS
        return provider

    async def _token(self, code: str, verifier: str, redirect: str) -> str:
        """Return the ID token for a code.

        Raises:
            ValueError: the provider gives none.
        """
        provider = await self._discovered()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "client_id": self._client}
        form["code_verifier"] = verifier
        if self._secret is not None:
            form["client_secret"] = self._secret.get_secret_value()
        answer = await self._http.post(provider["token_endpoint"], data=form, headers={"Accept": "application/json"})
        answer.raise_for_status()
        found = answer.json()
        token = found.get("id_token") if isinstance(found, dict) else None
        if not isinstance(token, str):
            raise ValueError("the provider gives no ID token")  # noqa: TRY004 - of an answer, not of an argument
        return token


def _check_nonce(token: str, nonce: str) -> None:
    """Refuse the token of another sign-in; its signature was checked before.

    Raises:
        Unauthenticated: it is one.
    """
    import jwt  # its libraries take ten megabytes

    said = jwt.decode(token, options={"verify_signature": False}).get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise Unauthenticated("this token is of another sign-in: begin again at /console")


def _own(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}{BACK}"


def _refusal(message: str) -> Response:
    return PlainTextResponse(message, status_code=400, headers={"Cache-Control": "no-store"})


def _too_many(error: RateLimited) -> Response:
    headers = {"Cache-Control": "no-store", "Retry-After": str(error.retry_after)}
    return PlainTextResponse(str(error), status_code=429, headers=headers)


def _away(error: Exception) -> Response:
    log.warning("console.provider", error=type(error).__name__)
    return PlainTextResponse("the sign-in provider does not answer as it should; try again", status_code=502)
